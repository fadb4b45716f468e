# vanisher: joins and vanishes without a word, over and over; the server is to find out by itself.
#
#   vanisher.py CONTROL TAPS --times N

import argparse
import collections
import json
import os
import time

import wire
from wire import need

PATIENCE = 40  # seconds until the server has seen that a connection is gone
RESULTS = ["unread", "refused", "joined"]


def visit(control, taps, manner):
    """Comes, and stays for as long as `manner` says; what became of it, and what is to be closed."""
    client = wire.Control(control)
    if manner == "unread":
        client.send(do="join")
        # Time to connect, as what is not sent before would never be.
        time.sleep(0.002)
        return "unread", [client]
    try:
        joined = client.command(do="join")
    except wire.Refused:
        return "refused", [client]
    watched = wire.subscribe(taps, joined["topic"])
    if manner in ("acted", "played"):
        client.send(do="act", session=joined["session"], action="up")
    if manner == "played":
        need(wire.receive(watched, client.timeout), "joined, and saw nothing for", client.timeout, "s")
    return "joined", [client, watched]


def killed(control, taps):
    """A visit of a process of its own, which ends with everything open."""
    child = os.fork()
    if child == 0:
        result, still_open = None, []
        try:
            result, still_open = visit(control, taps, "played")
        finally:
            os._exit(RESULTS.index(result) if result else 100)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    need(0 <= code < len(RESULTS), "a visit of another process failed")
    return RESULTS[code]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("control")
    parser.add_argument("taps")
    parser.add_argument("--times", type=int, default=100)
    options = parser.parse_args()

    own = wire.Control(options.control)
    before = own.command(do="status")["sessions"]
    counts = collections.Counter()
    manners = ("unread", "joined", "acted", "played", "killed")
    for number in range(options.times):
        manner = manners[number % len(manners)]
        if manner == "killed":
            result = killed(options.control, options.taps)
        else:
            result, sockets = visit(options.control, options.taps, manner)
            for each in sockets:
                each.close()
        counts[result] += 1

    began = time.monotonic()
    while (sessions := own.command(do="status")["sessions"]) != before:
        need(time.monotonic() < began + PATIENCE, "sessions", sessions, "after", PATIENCE, "s, not", before)
        time.sleep(0.1)
    cleared = round(time.monotonic() - began, 1)
    print(json.dumps({"times": options.times, **counts, "cleared_seconds": cleared}))


if __name__ == "__main__":
    wire.run(main)
