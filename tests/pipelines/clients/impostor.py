# impostor: answers as no pipeline would, at one endpoint for each manner, until FOLDER/end is there.
#
#   impostor.py FOLDER      ipc://FOLDER/control.MANNER and ipc://FOLDER/taps.MANNER

import os
import struct
import sys

import msgpack
import zmq

import wire

pack = msgpack.packb


def header(**parts):
    data = pack({"seq": 0, "t_ns": 1, "run_id": "a", "encoding": "raw", **parts})
    return b"\1" + struct.pack("<H", len(data)) + data


# By manner: what stands behind the topic of the one message that is sent; None: nothing is.
TAPS = {
    "garbage": b"\xff" * 1000,
    "version": b"\2\0\0",
    "cut": b"\1\xff\xff\x86",
    "nested": b"\1\x10\x27" + b"\x91" * 10_000,
    "oversized": bytes(65 << 20),
    "type": header(type="Tick", fields={"skipped": 1}),
    "fields": header(type="Hello", fields={"taps": 5, "pipeline": [[]]}),
    "escapes": header(type="Hello", fields={"taps": [{"topic": "\33[2J", "edge": "a"}],
                                            "pipeline": {"dtype": "uint8", "shape": [0]}}),
    "silent": None,
}

# By manner: what a command is answered with. To `events`, more comes without being asked for.
CONTROL = {
    "garbage": lambda number: b"\xc1" * 1000,
    "nested": lambda number: b"\x91" * 10_000 + b"\xc0",
    "liar": lambda number: b"\xdf\xff\xff\xff\xff",
    "number": lambda number: pack({"version": 1, "id": number, "ok": 5}),
    "nothing": lambda number: pack({"version": 1, "id": number, "ok": {}}),
    "error": lambda number: pack({"version": 1, "id": number, "error": [1]}),
    "oversized": lambda number: bytes(2 << 20),
    "events": lambda number: pack({"version": 1, "event": "alive"}),
    "silent": lambda number: None,
}


def bind(folder, name, kind):
    socket = zmq.Context.instance().socket(kind)
    socket.linger = 0
    socket.bind(f"ipc://{folder}/{name}")
    return socket


def main():
    folder = sys.argv[1]
    taps = {bind(folder, f"taps.{manner}", zmq.XPUB): manner for manner in TAPS}
    control = {bind(folder, f"control.{manner}", zmq.ROUTER): manner for manner in CONTROL}
    poller = zmq.Poller()
    for each in (*taps, *control):
        poller.register(each, zmq.POLLIN)
    asked = set()
    while not os.path.exists(f"{folder}/end"):
        for each, _ in poller.poll(20):
            if each in control:
                peer, data = each.recv_multipart()
                answer = CONTROL[control[each]](wire.unpack(data)["id"])
                if control[each] == "events":
                    asked.add((each, peer))
                if answer is not None:
                    each.send_multipart([peer, answer])
                continue
            wanted = each.recv()
            if wanted[0] == 1 and wanted.endswith(b"\0") and TAPS[taps[each]] is not None:
                each.send(wanted[1:] + TAPS[taps[each]])
        for each, peer in asked:
            each.send_multipart([peer, CONTROL["events"](None)])


if __name__ == "__main__":
    wire.run(main)
