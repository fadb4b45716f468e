# watcher: watches one topic of a tap, checks each message against the protocol, and says what came.
#
#   watcher.py ENDPOINT TOPIC --count N       until N messages have come
#   watcher.py ENDPOINT TOPIC --until-end     until the topic's End

import argparse
import hashlib
import json
import time

import wire
from wire import need

HOUR = 3600 * 10**9


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("endpoint")
    parser.add_argument("topic")
    parser.add_argument("--count", type=int, default=1, help="fewer messages than this are a failure")
    parser.add_argument("--encoding", choices=("raw", "png", "jpeg"), default="raw")
    parser.add_argument("--hashes", help="a file for a line `number sha256` for the pixels of each View")
    parser.add_argument("--slow", type=float, default=0, metavar="SECONDS", help="a pause after each")
    parser.add_argument("--until-end", action="store_true")
    parser.add_argument("--timeout", type=float, default=30, metavar="SECONDS", help="of silence, at most")
    options = parser.parse_args()

    # Who reads slowly and keeps little loses soon, which is what --slow is there to show.
    taps = wire.subscribe(options.endpoint, options.topic, capacity=2 if options.slow else 1000)
    hashes = open(options.hashes, "w") if options.hashes else None
    seen = Seen()
    while not seen.ended and (options.until_end or seen.frames < options.count):
        message = wire.receive(taps, options.timeout)
        need(message, "nothing for", options.timeout, "s, after", seen.frames, "messages")
        topic, header, payload = message
        need(topic == options.topic, "a message under", topic)
        seen.message(header, options.encoding)
        if hashes and header["type"] == "View":
            need(options.encoding == "raw", "hashes are of raw pixels")
            print(header["fields"]["number"], hashlib.sha256(payload).hexdigest(), file=hashes)
        time.sleep(options.slow)
    if hashes:
        hashes.close()
    need(seen.frames >= options.count, "the end came after", seen.frames, "messages of", options.count)
    print(json.dumps(seen.said()))


class Seen:
    """What came under a topic so far."""

    def __init__(self):
        self.frames = self.gaps = 0
        self.first = self.last = self.run_id = self.type = self.shape = self.view = None
        self.ended = False
        self.latency = []

    def message(self, header, encoding):
        now, seq, fields = time.time_ns(), header["seq"], header["fields"]
        need(abs(now - header["t_ns"]) < HOUR, "t_ns is", header["t_ns"], "at", now)
        need(self.run_id in (None, header["run_id"]), "another run:", header["run_id"], "after", self.run_id)
        self.run_id = header["run_id"]
        if self.last is None:
            self.first = seq
        else:
            need(seq > self.last, "seq", seq, "after", self.last)
            self.gaps += seq - self.last - 1
        self.last = seq
        if header["type"] == "End":
            self.ended = True
            return
        need(self.type in (None, header["type"]), "a", header["type"], "after a", self.type)
        self.type = header["type"]
        if self.type == "View":
            need(header["encoding"] == encoding, "encoded as", header["encoding"])
            self.see(fields)
        self.frames += 1
        self.latency.append((now - header["t_ns"]) / 1e6)

    def see(self, view):
        need(view["pixels"], "a View without pixels")
        for name in ("number", "session", "action", "act", "arrived_ns"):
            need(wire.natural(view[name]), name, "is", view[name])
        shape = view["pixels"]["shape"]
        need(self.shape in (None, shape), "pixels", shape, "after", self.shape)
        self.shape = shape
        if self.view:
            need(view["session"] == self.view["session"], "a View of session", view["session"])
            need(view["number"] > self.view["number"], "tick", view["number"], "after", self.view["number"])
        self.view = view

    def said(self):
        return {"frames": self.frames, "gaps": self.gaps, "first_seq": self.first, "last_seq": self.last,
                "type": self.type, "shape": self.shape, "ended": self.ended, "run_id": self.run_id,
                "latency_ms": wire.percentiles(self.latency)}


if __name__ == "__main__":
    wire.run(main)
