# player: plays games over the wire, by what it sees alone, and checks all that it is told.
#
#   player.py CONTROL TAPS --frames N [--players K] [--seed S]
#   player.py CONTROL TAPS --until-end        until the pipeline ends, which it must be told in both ways
#   player.py CONTROL TAPS --silent           sends nothing at all, until the server lets it go

import argparse
import collections
import json
import time

import zmq

import wire
from wire import need

# Where no ball is seen, acts go out now and then all the same: there is to be something to measure.
EVERY = 10


class Player:
    """A session, with connections of its own."""

    def __init__(self, control, taps, seed=None):
        self.control = wire.Control(control)
        joined = self.control.command(do="join", **({} if seed is None else {"seed": seed}))
        self.session, self.topic = joined.get("session"), joined.get("topic")
        need(wire.natural(self.session) and wire.is_text(self.topic), "joined as", joined)
        need(self.session != 0, "joined as the person at the machine")
        self.taps = wire.subscribe(taps, self.topic)
        self.header = self.pixels = None  # of the newest View
        self.frames = self.gaps = self.acts = self.answered = 0
        self.ended = False
        self.may_be_late = False  # as the pipeline may end at any time
        self.latency_ms = []
        # Acts that no View has shown yet: (id, action, sent at). The newest View shows the one before them.
        self.unseen = collections.deque()
        self.shown, self.action, self.sent_ns, self.arrived_ns = 0, None, None, None

    def look(self):
        """Takes all that has come; true where a View was among it."""
        before = self.frames
        while self.control.read(0):
            pass
        for number in list(self.control.answers):
            answer = self.control.answers.pop(number)
            need("ok" in answer or self.may_be_late, "act", number, "was refused:", answer.get("error"))
            self.answered += 1
        while message := wire.receive(self.taps, 0):
            self.take(*message)
        return self.frames > before

    def take(self, topic, header, pixels):
        now = time.time_ns()
        need(topic == self.topic, "a message under", topic)
        need(not self.ended, topic, "went on after its End")
        lost = 0
        if self.header:
            need(header["run_id"] == self.header["run_id"], "another run under", topic)
            lost = header["seq"] - self.header["seq"] - 1
            need(lost >= 0, "seq", header["seq"], "after", self.header["seq"])
        self.gaps += lost
        if header["type"] == "End":
            self.ended = True
            return
        view = header["fields"]
        need(header["type"] == "View" and header["encoding"] == "raw" and view["pixels"], "no View:", header)
        need(view["session"] == self.session, "a View of session", view["session"])
        if self.header:
            need(view["number"] > self.header["fields"]["number"], "tick", view["number"], "comes late")
        if view["act"] != self.shown:
            self.show(view["act"], lost)
            self.arrived_ns = view["arrived_ns"]
            need(self.sent_ns <= self.arrived_ns <= header["t_ns"] <= now, "act", self.shown, "was sent at",
                 self.sent_ns, "arrived at", self.arrived_ns, "was shown at", header["t_ns"], "and seen at",
                 now)
            self.latency_ms.append((now - self.sent_ns) / 1e6)
        if self.shown:
            need(view["arrived_ns"] == self.arrived_ns, "act", self.shown, "arrived twice")
            need(view["action"] == wire.ACTIONS[self.action], "shows", view["action"], "for", self.action)
        self.header, self.pixels = header, pixels
        self.frames += 1

    def show(self, act, lost):
        while self.unseen:
            self.shown, self.action, self.sent_ns = self.unseen.popleft()
            if self.shown == act:
                return
            # Only a `stay` may go unseen: another one came before the tick.
            need(self.action == "stay" or lost, "act", self.shown, self.action, "is shown by no View")
        raise wire.Wrong(f"a View with act {act}, which is none of those that were sent and not seen")

    def play(self):
        """Says what it wants where that has changed, as a key does."""
        wanted = follow(self.pixels, self.header["fields"]["pixels"]["shape"])
        said = self.unseen[-1][1] if self.unseen else self.action
        if wanted != said or self.frames % EVERY == 0:
            self.act(wanted)

    def act(self, action):
        sent_ns = time.time_ns()
        number = self.control.send(do="act", session=self.session, action=action)
        self.unseen.append((number, action, sent_ns))
        self.acts += 1

    def heard(self, name):
        return sum(event["event"] == name for event in self.control.events)

    def leave(self):
        while self.answered < self.acts:
            need(self.control.read(10), self.acts - self.answered, "acts were not answered")
            self.look()
        status = self.control.command(do="status")
        need(self.session in status["sessions"], "session", self.session, "is not in", status)
        need(status["run_id"] == self.header["run_id"], "another run:", status, self.header)
        self.control.command(do="leave", session=self.session)
        need(self.session not in self.control.command(do="status")["sessions"], self.topic, "is still there")
        watch([self], lambda player: player.ended, total=10)


def follow(pixels, shape):
    """The cyan paddle towards the white ball; a network's colours are only about those of the game."""
    _, width, _ = shape
    red, green, blue = pixels[0::3], pixels[1::3], pixels[2::3]
    white = [max(0, min(shades) - 64) for shades in zip(red, green, blue)]
    cyan = [max(0, min(g, b) - r - 32) for r, g, b in zip(red, green, blue)]
    ball, paddle = middle(white, width, 0), middle(cyan, width, width - 2)
    if ball is None or paddle is None or abs(ball - paddle) < 0.5:
        return "stay"
    # Row 0 is the top.
    return "up" if ball < paddle else "down"


def middle(weights, width, left):
    """The middle row of what there is from this column on; None where there is as good as nothing."""
    rows = [sum(weights[row + left : row + width]) for row in range(0, len(weights), width)]
    total = sum(rows)
    return sum(row * weight for row, weight in enumerate(rows)) / total if total > 64 else None


def watch(players, done, seen=lambda player: None, silence=20, total=3600):
    """Until `done(player)` for each of them; `seen(player)` for each that has a new View."""
    poller = zmq.Poller()
    for player in players:
        poller.register(player.taps, zmq.POLLIN)
        poller.register(player.control.socket, zmq.POLLIN)
    began = heard = time.monotonic()
    while left := [player.session for player in players if not done(player)]:
        need(time.monotonic() < heard + silence, "nothing for", silence, "s, sessions", left, "wait for more")
        need(time.monotonic() < began + total, "not done after", total, "s: sessions", left)
        poller.poll(100)
        for player in players:
            if player.look():
                heard = time.monotonic()
                seen(player)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("control")
    parser.add_argument("taps")
    parser.add_argument("--frames", type=int, default=100, help="of each player")
    parser.add_argument("--players", type=int, default=1)
    parser.add_argument("--seed", type=int, help="of the first player's game; the next has one more")
    parser.add_argument("--until-end", action="store_true")
    parser.add_argument("--silent", action="store_true")
    options = parser.parse_args()

    began = time.monotonic()
    players = [Player(options.control, options.taps, None if options.seed is None else options.seed + index)
               for index in range(options.players)]
    sessions = [player.session for player in players]
    need(len(set(sessions)) == len(players), "a session twice:", sessions)
    if options.silent:
        watch(players, lambda player: player.ended and player.heard("left"), total=120)
    elif options.until_end:
        for player in players:
            player.may_be_late = True
        watch(players, lambda player: player.ended and player.heard("end"),
              lambda player: player.ended or player.play())
    else:
        watch(players, lambda player: player.frames >= options.frames and not player.unseen,
              lambda player: player.frames < options.frames and player.play())
        for player in players:
            player.leave()
    # Time for what should not come.
    time.sleep(0.1)
    for player in players:
        player.look()
        need(options.silent or not player.heard("left"), "session", player.session, "has left by itself")
        need(player.heard("alive") or time.monotonic() - began < 3, "no sign of life from the server")
    print(json.dumps({
        "players": len(players), "frames_each": min(player.frames for player in players),
        "acts": sum(player.acts for player in players),
        "answered": sum(player.answered for player in players),
        "latency_ms": wire.percentiles([each for player in players for each in player.latency_ms]),
        "gaps": sum(player.gaps for player in players), "sessions": sessions,
        "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    wire.run(main)
