# hostile: sends what nobody should, and checks that each command is answered as the protocol says.
#
#   hostile.py CONTROL TAPS --messages N [--seed S]
#
# Meanwhile a player of good faith, joined before, must get its frames and its answers.

import argparse
import collections
import json
import random
import socket
import struct
import time

import msgpack
import zmq

import wire
from player import Player, watch
from wire import need

pack = msgpack.packb
NAN, INFINITE = float("nan"), float("inf")
AHEAD = 200  # commands sent before their answers are read; the sockets hold several times that
PATIENCE = 20  # seconds
JUNK = 10  # rounds of what is no command at all

# What an answer may be, and which ids it may carry: None is nil, and for `ids` any. Whether an id can be read
# from what is damaged, the protocol does not say: then both are right.
Expected = collections.namedtuple("Expected", "kinds ids")
OK, ERROR, EITHER = ("ok",), ("error",), ("ok", "error")


class Families:
    """Each method after `unreadable` makes one message: its frames, and what is to come of it."""

    def __init__(self, seed, mine, nobodys, live):
        self.random = random.Random(seed)
        self.mine = mine  # the session that these messages may act for
        self.nobodys = nobodys  # sessions that they may not
        self.live = live  # the name of a parameter
        self.last = 0

    def any(self, *choices):
        return self.random.choice(choices)

    def bytes(self, most):
        return self.random.randbytes(self.random.randrange(most))

    def command(self, **parts):
        self.last += 1
        return {"version": 1, "id": self.last, **parts}

    def harmless(self):
        return self.command(
            **self.any(
                {"do": "join", "seed": 7},
                {"do": "act", "session": self.mine, "action": "up"},
                {"do": "get", "name": self.live},
            )
        )

    def valid(self):
        return self.command(
            **self.any(
                {"do": "join"},
                {"do": "join", "seed": 7},
                {"do": "act", "session": self.mine, "action": 1},
                {"do": "act", "session": self.mine, "action": "up"},
                {"do": "reset", "session": self.mine, "seed": 5},
                {"do": "leave", "session": self.mine},
                {"do": "set", "name": self.live, "value": 4},
                {"do": "get", "name": self.live},
                {"do": "status"},
                {"do": "put", "message": b"x"},
            )
        )

    def with_raw(self, key, raw, /, **parts):
        """A command with one more key, whose value is these bytes."""
        data = pack(self.command(**parts))
        return bytes([data[0] + 1]) + data[1:] + pack(key) + raw

    def refused(self, **parts):
        return [pack(self.command(**parts))], Expected(ERROR, (self.last,))

    def damaged(self, data):
        return [data], Expected(ERROR, (None, self.last))

    def unreadable(self, data):
        return [data], Expected(ERROR, (None,))

    # Bytes

    def random_bytes(self):
        return self.unreadable(self.bytes(200))

    def truncated(self):
        data = pack(self.valid())
        return self.damaged(data[: self.random.randrange(len(data))])

    def flipped(self):
        data = bytearray(pack(self.harmless()))
        data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        # It may have become another command that is as good, or have another id.
        return [bytes(data)], Expected(EITHER, None)

    def trailing(self):
        return self.damaged(pack(self.valid()) + b"\1" + self.bytes(50))

    def oversized(self):
        size = (64 << 10) + self.random.randrange(256 << 10)
        return self.damaged(pack(self.command(do="get", name="x" * size)))

    def nested(self):
        depth = self.any(9, 10, 16, 100, 1000, 10_000, 20_000)
        inside = self.any(b"\x91", b"\x81\xa1a") * depth + b"\xc0"
        if self.any(True, False):
            return self.unreadable(inside)
        return self.damaged(self.with_raw("value", inside, do="set", name=self.live))

    def liar(self):
        # Maps, arrays, text and bytes that announce billions, and hold a few.
        lie = self.any(b"\xdf", b"\xdd", b"\xdb", b"\xc6", b"\xc9") + self.any(b"\xff", b"\x7f") + b"\xff" * 3
        lie += self.bytes(20)
        if self.any(True, False):
            return self.unreadable(lie)
        return self.damaged(self.with_raw("message", lie, do="put"))

    def text(self):
        bad = self.any(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80")
        return self.damaged(self.with_raw("name", bytes([0xA0 + len(bad)]) + bad, do="get"))

    def no_map(self):
        value = self.any(None, True, 1, -1, 1.5, NAN, "join", b"join", "\0" * 100, [], [1, 2], [{}], {})
        return self.unreadable(pack(self.any(value, msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 2))))

    # Keys and values

    def version(self):
        command = self.valid()
        command["version"] = self.any(0, 2, -1, 257, 2**32 + 1, 2**63, "1", b"\1", 1.5, None, True, [], {})
        if self.random.random() < 0.1:
            del command["version"]
        return [pack(command)], Expected(ERROR, (self.last,))

    def ids(self):
        command = self.valid()
        number = self.any(-1, -(2**63), 2**63, 2**64 - 1, 1.0, 1.5, NAN)
        command["id"] = self.any(number, True, None, "7", b"7", [7], {})
        if self.random.random() < 0.1:
            del command["id"]
        return self.unreadable(pack(command))

    def types(self):
        wrong = self.any(1.5, NAN, INFINITE, True, b"up", [], [1], {}, {"a": 1})
        return self.refused(
            **self.any(
                {"do": wrong},
                {"do": "join", "seed": wrong},
                {"do": "act", "session": wrong, "action": 1},
                {"do": "act", "session": self.mine, "action": wrong},
                {"do": "reset", "session": wrong},
                {"do": "leave", "session": wrong},
                {"do": "set", "name": wrong, "value": 4},
                {"do": "set", "name": self.live, "value": self.any(None, True, b"4", [4], {"a": 4})},
                {"do": "get", "name": wrong},
                {"do": "put", "message": wrong},
            )
        )

    def keys(self):
        command = self.valid()
        key = self.any("", "Do", "verb", "session2", "id ", "\0", "versions", "x" * 5000)
        command[key] = self.any(1, None, [])
        return [pack(command)], Expected(ERROR, (self.last,))

    def odd_keys(self):
        command = self.valid()
        command[self.any(1, None, -5, 2.5, b"seed", True)] = 1
        return self.damaged(pack(command))

    def duplicates(self):
        # Which of the two counts, the protocol does not say: so they ask for nothing that changes anything.
        one, two = pack(self.command(do="status")), pack(self.command(do="status"))
        return [bytes([0x86]) + one[1:] + two[1:]], Expected(EITHER, (None, self.last - 1, self.last))

    def missing(self):
        return self.refused(
            **self.any(
                {},
                {"do": "act"},
                {"do": "act", "session": self.mine},
                {"do": "act", "action": 1},
                {"do": "reset"},
                {"do": "leave"},
                {"do": "set"},
                {"do": "set", "name": self.live},
                {"do": "set", "value": 4},
                {"do": "get"},
                {"do": "put"},
            )
        )

    def verbs(self):
        names = ("", "Join", "JOIN", "join ", "joi", "quit", "alive", "event", "\0", "join\0", "ö" * 9)
        return self.refused(do=self.any("x" * 10_000, *names))

    def strangers(self):
        return self.refused(
            session=self.random.choice(self.nobodys),
            **self.any(
                {"do": "act", "action": 1},
                {"do": "act", "action": "up"},
                {"do": "reset"},
                {"do": "reset", "seed": 1},
                {"do": "leave"},
            ),
        )

    def actions(self):
        number = self.any(-1, 0, 4, 99, 257, -(2**63), 2**31, 2**32 + 1, 2**62, 2**63, 2**64 - 1)
        other = self.any(1.5, NAN, INFINITE, None, True, b"up", [], [1], {})
        text = self.any("", "fly", "UP", "up ", "up\0", "0", "x" * 1000)
        return self.refused(do="act", session=self.mine, action=self.any(number, other, text))

    def parameters(self):
        name = self.any("", ".", "nothing", self.live + ".", self.live.upper(), "stop.steps", "a" * 9000)
        value = self.any("", "a lot", NAN, INFINITE, -INFINITE, 2**64 - 1, "x" * 1000)
        return self.refused(
            **self.any(
                {"do": "get", "name": name},
                {"do": "set", "name": name, "value": 4},
                {"do": "set", "name": self.live, "value": value},
            )
        )

    def put(self):
        fields = self.any(
            None,
            [],
            {},
            {"skipped": -1},
            {"skipped": {"dtype": "uint8", "shape": [1]}},
            {"pixels": {"dtype": "uint8", "shape": [2**32, 2**32, 2**32]}},
            {"pixels": {"dtype": "uint8", "shape": [2**63, 0, 2]}},
            {"pixels": {"dtype": "uint8", "shape": [-1, 3, 3]}},
            {"pixels": {"dtype": "complex", "shape": [1, 1, 1]}},
            {"pixels": {"dtype": 8, "shape": "no"}},
            {"action": {"dtype": "int64", "shape": [1] * 3000}},
            {"starts": [{"session": 1}] * 50, "players": 3},
        )
        kind = self.any("Turn", "View", "Tick", "Action", "End", "Nothing", "", 5, None)
        header = pack({"type": kind, "fields": fields})
        length = struct.pack("<H", self.any(len(header), 0, 1, 65535, len(header) + 1, len(header) - 1))
        # Whatever else is right with it, the version is not.
        topic = self.any(b"", b"x", b"actions", b"\xff\xfe", b"y" * 5000)
        message = topic + self.any(b"\0\0", b"\0\2", b"\0\xff") + length + header + self.bytes(60)
        return self.refused(do="put", message=message[: self.any(None, 0, 1, 20)])

    # Frames

    def many_frames(self):
        count = self.any(2, 2, 3, 10, 300)
        frames = [self.any(b"", b"x", pack({"version": 1, "id": 1, "do": "status"})) for _ in range(count)]
        # An empty frame and one more is what REQ sends.
        frames[0] = frames[0] or b"x"
        return frames, Expected(ERROR, (None, 1))

    def as_req(self):
        if self.any(True, False):
            return [b"", self.any(b"", b"x", pack([]))], Expected(ERROR, (None,))
        return [b"", pack(self.command(do="status"))], Expected(OK, (self.last,))

    def empty(self):
        return self.unreadable(b"")

    # What is right

    def fine(self):
        data = pack(self.command(**self.any({"do": "status"}, {"do": "get", "name": self.live})))
        number = pack(self.last)
        # In a wider form it is the same number.
        wide = self.any(number, struct.pack(">BQ", 0xCF, self.last), struct.pack(">Bq", 0xD3, self.last))
        return [data.replace(pack("id") + number, pack("id") + wide)], Expected(OK, (self.last,))

    def largest_id(self):
        return [pack({"version": 1, "id": 2**63 - 1, "do": "status"})], Expected(OK, (2**63 - 1,))

    def acts(self):
        action = self.any(1, 2, 3, "stay", "up", "down")
        data = pack(self.command(do="act", session=self.mine, action=action))
        # An error, where 64 wait for a tick.
        return [data], Expected(EITHER, (self.last,))

    def resets(self):
        return [pack(self.command(do="reset", session=self.mine))], Expected(EITHER, (self.last,))

    def joins(self):
        # What gets in, Hostile.read() takes out again.
        return [pack(self.command(do="join"))], Expected(EITHER, (self.last,))


# How often a family comes: what is large or makes work is seldom.
WEIGHTS = {
    **dict.fromkeys(("random_bytes", "truncated", "flipped", "liar", "version", "ids", "types", "keys"), 10),
    **dict.fromkeys(("strangers", "actions", "put"), 10),
    **dict.fromkeys(("trailing", "text", "no_map", "odd_keys", "missing", "verbs", "parameters"), 5),
    **dict.fromkeys(("as_req", "fine"), 5),
    **dict.fromkeys(("nested", "duplicates", "many_frames", "empty", "largest_id", "acts"), 2),
    **{"joins": 0.1, "oversized": 0.05, "resets": 0.02},
}


class Hostile:
    """Sends commands ahead of their answers, and holds each answer against its command."""

    def __init__(self, connection, families):
        self.socket = connection
        self.families = families
        self.waiting = collections.deque()
        self.due = collections.deque()
        self.counts = collections.defaultdict(collections.Counter)

    def send(self, family, frames, expected):
        self.socket.send_multipart(frames)
        self.waiting.append((family, frames, expected))
        self.counts[family]["sent"] += 1

    def read(self):
        """Takes the answers that are here, and gives their number."""
        before = len(self.waiting)
        while self.socket.poll(0):
            *envelope, last = self.socket.recv_multipart()
            message = wire.unpack(last)
            if not wire.check_answer(message):
                need(message["event"] == "alive", "an event", message)
                continue
            need(self.waiting, "an answer to nothing:", message)
            family, frames, expected = self.waiting.popleft()
            kind = "ok" if "ok" in message else "error"
            self.counts[family][kind] += 1
            said = f"{family}: {[frame[:200] for frame in frames[:5]]} was answered with {message}"
            need(kind in expected.kinds, said)
            need(expected.ids is None or message["id"] in expected.ids, said)
            need(not any(envelope), "an answer in more than one frame:", message)
            if kind == "ok" and "session" in message["ok"]:
                self.out_again(message["ok"]["session"])
        return before - len(self.waiting)

    def out_again(self, session):
        refused, leave = self.families.refused, self.families.command(do="leave", session=session)
        self.due.append(([pack(leave)], Expected(OK, (leave["id"],))))
        self.due.append(refused(do="leave", session=session))
        self.due.append(refused(do="reset", session=session))
        self.due.append(refused(do="act", session=session, action=1))
        # These go out before anything that a family makes from now on.
        self.families.nobodys.append(session)


# Below commands and messages


def junk_subscriptions(taps, rand):
    """Prefixes by the thousand, and what is no subscription at all; nobody reads."""
    subscriber = wire.connect(taps, zmq.SUB)
    for _ in range(2000):
        subscriber.subscribe(rand.randbytes(rand.randrange(300)))
    other = wire.connect(taps, zmq.XSUB)
    for _ in range(500):
        frames = rand.choice((1, 1, 1, 20))
        other.send_multipart([rand.randbytes(rand.randrange(100)) for _ in range(frames)])
    return [subscriber, other]


def greeting(kind):
    """What a ZeroMQ socket sends before its messages."""
    ready = b"\5READY" + b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    return b"\xff" + bytes(8) + b"\x7f\3\0" + b"NULL".ljust(52, b"\0") + bytes([4, len(ready)]) + ready


def junk_bytes(endpoint, kind, frames, rand):
    """Connections that are no ZeroMQ, or up to some point only, to a socket that speaks with those of `kind`."""
    place_kind, _, place = wire.address(endpoint).partition("://")
    host, _, port = place.rpartition(":")
    family, place = (socket.AF_UNIX, place) if place_kind == "ipc" else (socket.AF_INET, (host, int(port)))
    hello = greeting(rand.choice((b"DEALER", b"SUB", b"PUSH", b"", b"\xff" * 20)))
    # Behind a whole handshake: frames that announce exabytes and 4 GB, a command cut off, one without a name, flags
    # that are none.
    frames += [b"\2" + b"\xff" * 8, b"\2\0\0\0\1\0\0\0\0", b"\4\xff\5PING", b"\4\0", b"\xf8\1x"]
    for opening, data in (
        (b"", b""),
        (b"", b"GET / HTTP/1.0\r\n\r\n"),
        (b"", rand.randbytes(2000)),
        (b"", hello[: rand.randrange(len(hello))]),
        *((greeting(kind), frame + rand.randbytes(rand.randrange(1000))) for frame in frames),
    ):
        with socket.socket(family) as plain:
            plain.settimeout(0.5)
            plain.connect(place)
            try:
                plain.sendall(opening)
                heard = b""
                while opening and b"READY" not in heard:
                    part = plain.recv(500)
                    need(part, "no handshake, but the end after", heard)
                    heard += part
                plain.sendall(data)
                plain.settimeout(0.05)
                plain.recv(64)
            except (ConnectionError, TimeoutError):
                # To hang up on this, or to wait for more, is right.
                pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("control")
    parser.add_argument("taps")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    began = time.monotonic()
    player = Player(options.control, options.taps, seed=options.seed)
    own = wire.Control(options.control)
    mine = own.command(do="join")["session"]
    before = own.command(do="status")
    live = "denoise.steps"
    need(live in before["parameters"], "no parameter", live, "in", before)
    nobodys = [-1, -(2**63), 999_999, 2**32 + mine, 2**62, 2**63, 2**64 - 1, player.session]
    if 0 not in before["sessions"]:
        nobodys.append(0)
    hostile = Hostile(own.socket, Families(options.seed, mine, nobodys, live))

    rand = random.Random(options.seed)
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    order = names[:]  # each of them once, and then as they come
    # Wants all there is, and reads nothing of it.
    deaf = wire.connect(options.taps, zmq.SUB)
    deaf.subscribe(b"")
    others = []
    sent = junk = longest = 0
    answered = seen = time.monotonic()
    while sent < options.messages or hostile.waiting or hostile.due:
        while len(hostile.waiting) < AHEAD and (sent < options.messages or hostile.due):
            if hostile.due:
                hostile.send("order", *hostile.due.popleft())
                continue
            order = order or rand.choices(names, weights, k=1000)
            family = order.pop()
            hostile.send(family, *getattr(hostile.families, family)())
            sent += 1
        own.socket.poll(10)
        if hostile.read():
            answered = time.monotonic()
        if time.monotonic() > answered + PATIENCE:
            raise wire.Wrong(f"no answer to {hostile.waiting[0]}")
        if player.look():
            longest, seen = max(longest, time.monotonic() - seen), time.monotonic()
            player.play()
        need(time.monotonic() < seen + PATIENCE, "the player of good faith sees nothing any more")
        if junk < JUNK and sent * JUNK >= junk * options.messages:
            junk += 1
            for each in others:
                each.close()
            others = junk_subscriptions(options.taps, rand)
            # What others asked for is cancelled, too.
            cancelled = [b"\0", b"\0" + player.topic.encode() + b"\0"]
            junk_bytes(options.taps, b"SUB", [bytes([0, len(each)]) + each for each in cancelled], rand)
            junk_bytes(options.control, b"DEALER", [], rand)

    after = own.command(do="status")
    for name in ("run_id", "sessions", "max_players", "parameters"):
        need(after[name] == before[name], name, "was", before[name], "and is", after[name])
    own.command(do="leave", session=mine)
    watch([player], lambda player: not player.unseen)
    player.leave()
    print(
        json.dumps(
            {
                "messages": sent,
                "families": dict(sorted(hostile.counts.items())),
                "player": {
                    "frames": player.frames,
                    "gaps": player.gaps,
                    "acts": player.acts,
                    "answered": player.answered,
                    "latency_ms": wire.percentiles(player.latency_ms),
                    "longest_pause_ms": round(longest * 1000),
                },
                "seconds": round(time.monotonic() - began, 1),
            }
        )
    )


if __name__ == "__main__":
    wire.run(main)
