# hostile_put: puts what nobody should, and checks that each is answered with an error and changes nothing.
#
#   hostile_put.py INJECT CONTROL TAPS --topic TOPIC --messages N [--seed S]
#
# INJECT takes Actions under TOPIC. Meanwhile a player of good faith, joined before, must get its frames.

import argparse
import json
import random
import struct
import time

import msgpack
import zmq

import wire
from player import Player, watch
from wire import need

pack = msgpack.packb
LARGEST = 64 << 20
PATIENCE = 20  # seconds
BATCH = 50  # commands sent before their answers are read

# Of a player that is not there, so that what is right with it changes nothing either.
NOBODY = {"action": 1, "kind": 0, "session": 999_999, "act": 0, "arrived_ns": 0, "game": -1}


def message(topic, fields=NOBODY, payload=b"", version=1, length=None, header=None, **parts):
    """A message in the form of the taps, but for what is asked to be otherwise."""
    whole = {"seq": 0, "t_ns": 1, "run_id": "a", "type": "Action", "encoding": "raw"}
    whole["fields"] = fields
    whole.update(parts)
    data = pack(whole) if header is None else header
    size = struct.pack("<H", len(data) if length is None else length)
    return topic + b"\0" + bytes([version]) + size + data + payload


class Families:
    """Each public method makes one message that is to be refused."""

    def __init__(self, topic, seed):
        self.topic = topic
        self.random = random.Random(seed)

    def any(self, *choices):
        return self.random.choice(choices)

    def bytes(self, most):
        return self.random.randbytes(self.random.randrange(most))

    def random_bytes(self):
        return self.bytes(300)

    def random_header(self):
        # A map of more entries than there are bytes.
        return message(self.topic, header=b"\xdf\xff" + self.bytes(300))

    def truncated(self):
        whole = message(self.topic)
        return whole[: self.random.randrange(len(whole))]

    def trailing(self):
        return message(self.topic, payload=b"x" + self.bytes(100_000))

    def version(self):
        return message(self.topic, version=self.any(0, 2, 3, 127, 255))

    def length(self):
        whole = len(message(self.topic)) - len(self.topic) - 4
        return message(self.topic, length=self.any(0, 1, whole - 1, whole + 1, 65535))

    def nested(self):
        inside = self.any(b"\x91", b"\x81\xa1a") * self.any(9, 100, 10_000, 30_000) + b"\xc0"
        if self.any(True, False):
            return message(self.topic, header=inside[:65535])
        return message(self.topic, header=b"\x82\xa4type\xa6Action\xa6fields" + inside[:60_000])

    def liar(self):
        lie = self.any(b"\xdf", b"\xdd", b"\xdb", b"\xc6", b"\xc9") + b"\xff" * 4 + self.bytes(20)
        return message(self.topic, header=self.any(b"", b"\x81\xa6fields") + lie)

    def no_map(self):
        return message(self.topic, header=pack(self.any(None, True, 1, 1.5, "x", b"x", [], [1], {})))

    def header_types(self):
        key = self.any("seq", "t_ns", "run_id", "type", "encoding", "fields")
        return message(self.topic, **{key: self.any(-1, 1.5, None, True, b"x", [], [1], {1: 2})})

    def nouns(self):
        kind = self.any("", "Nothing", "action", "Action ", "Snapshot", "Frame", "Tick", "Turn", "End", "x" * 9000)
        return message(self.topic, type=kind)

    def encodings(self):
        return message(self.topic, encoding=self.any("", "png", "jpeg", "RAW", "x" * 9000))

    def field_types(self):
        wrong = self.any(1.5, None, True, "1", b"1", [], [1], {}, 2**63, {"dtype": "uint8", "shape": [1]})
        return message(self.topic, fields={**NOBODY, self.any(*NOBODY): wrong})

    def kinds(self):
        return message(self.topic, fields={**NOBODY, "kind": self.any(4, 5, 255, 256, 2**32, 2**64 - 1, -1)})

    def missing(self):
        fields = dict(NOBODY)
        del fields[self.any(*NOBODY)]
        return message(self.topic, fields=fields)

    def more(self):
        return message(self.topic, fields={**NOBODY, self.any("", "x", "Action", "y" * 9000): 1})

    def no_fields(self):
        fields = self.any({}, {"fields": {}}, {"fields": []}, {"fields": 5}, {"fields": None})
        return message(self.topic, header=pack({"type": "Action", "encoding": "raw", **fields}))

    def topics(self):
        topic = self.any(b"", self.topic + b"x", self.topic[:-1], self.topic.upper(), b"\xff", b"y" * 5000)
        return message(topic)


class Putter:
    def __init__(self, endpoint):
        self.socket = wire.connect(endpoint, zmq.DEALER)
        self.last = 0

    def send(self, **parts):
        self.last += 1
        self.socket.send(pack({"version": 1, "id": self.last, **parts}))
        return self.last

    def answer(self, number, said):
        need(self.socket.poll(PATIENCE * 1000), "no answer to", said)
        answer = wire.unpack(self.socket.recv())
        need(wire.check_answer(answer) and answer["id"] in (number, None), said, "was answered with", answer)
        return answer

    def refused(self, number, said):
        answer = self.answer(number, said)
        need("error" in answer, said, "was answered with", answer)

    def taken(self, topic):
        """That what is right is taken shows that the input still works."""
        answer = self.answer(self.send(do="put", message=message(topic)), "what is right")
        need("ok" in answer, "what is right was answered with", answer)


def oversized(endpoint, topic):
    """One that is told, and one whose connection is ended."""
    teller = Putter(endpoint)
    teller.refused(teller.send(do="put", message=message(topic, payload=bytes(LARGEST))), "somewhat too much")
    teller.taken(topic)
    cut_off = Putter(endpoint)
    cut_off.send(do="put", message=message(topic, payload=bytes(LARGEST + (1 << 20))))
    need(not cut_off.socket.poll(1000), "far too much was answered")
    for each in (teller, cut_off):
        each.socket.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("inject")
    parser.add_argument("control")
    parser.add_argument("taps")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    player = Player(options.control, options.taps, seed=options.seed)
    status = wire.Control(options.control)
    before = status.command(do="status")
    topic = options.topic.encode()
    families = Families(topic, options.seed)
    names = [name for name, member in vars(Families).items() if callable(member) and name[0] != "_"]
    names = [name for name in names if name not in ("any", "bytes")]
    putter = Putter(options.inject)
    putter.taken(topic)
    sent, longest, seen = 0, 0, time.monotonic()
    while sent < options.messages:
        batch = []
        for _ in range(BATCH):
            # Each of them once, and then as they come.
            name = names[sent] if sent < len(names) else families.any(*names)
            made = getattr(families, name)()
            batch.append((putter.send(do="put", message=made), f"{name}: {made[:300]}"))
            sent += 1
        for number, said in batch:
            putter.refused(number, said)
        for command in ({"do": "join"}, {"do": "status"}, {"do": "put"}, {"do": "put", "message": "x"}):
            putter.refused(putter.send(**command), command)
        if player.look():
            longest, seen = max(longest, time.monotonic() - seen), time.monotonic()
            player.play()
        need(time.monotonic() < seen + PATIENCE, "the player of good faith sees nothing any more")
    oversized(options.inject, topic)
    putter.taken(topic)

    after = status.command(do="status")
    for name in ("run_id", "sessions", "max_players", "parameters"):
        need(after[name] == before[name], name, "was", before[name], "and is", after[name])
    watch([player], lambda each: not each.unseen)
    player.leave()
    print(json.dumps({"messages": sent, "gaps": player.gaps, "longest_pause_ms": round(longest * 1000)}))


if __name__ == "__main__":
    wire.run(main)
