# wire: messages and commands as stages/wire/README.md says them, for the clients beside this file.

import collections
import math
import os
import struct
import sys
import time

import msgpack
import zmq

SIZES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
         "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1}
ACTIONS = {"stay": 1, "up": 2, "down": 3}

# Tensors as "dtype dimensions"; * where the page names no dtype.
NOUNS = {
    "View": {"number": int, "pixels": "uint8 3", "session": int, "action": int, "act": int,
             "arrived_ns": int},
    "Turn": {"number": int, "action": "int64 1",
             "starts": [{"session": int, "game": int, "frames": "uint8 4", "action": "int64 1"}],
             "players": [{"session": int, "act": int, "arrived_ns": int}]},
    "Tick": {"skipped": int},
    "Action": {"action": int, "kind": int, "session": int, "act": int, "arrived_ns": int, "game": int},
    "Report": {"step": int, "loss": float, "lr_muon": float, "lr_adam": float, "grad_norm": float,
               "frames": int, "progress": float, "val_loss_at": [{"level": float, "loss": float}]},
    "Clip": {"frames": "float32 5", "action": "int64 2", "background": int},
    "Patches": {"x": "float32 4", "action": "* 2", "height": int, "width": int, "patch_size": int,
                "background": int},
    "NoisyPatches": {"x_t": "float32 4", "v": "float32 4", "t": "* 2", "action": "* 2"},
    "Episode": {"frames": "uint8 4", "action": "int64 1", "reward": "float32 1"},
    "Hello": {"taps": [{"topic": str, "edge": str}], "pipeline": "uint8 1"},
    "End": {},
}


class Wrong(Exception):
    """What came, or did not come, is not what the protocol says."""


class Refused(Exception):
    """The server's answer was an error."""


def need(condition, *words):
    if not condition:
        raise Wrong(" ".join(map(str, words)))


def natural(value):
    # To Python, True is a number.
    return type(value) is int and value >= 0


def run(main):
    """main(), and one line on stderr for what went wrong."""
    try:
        main()
    except (Wrong, Refused, OSError, zmq.ZMQError) as error:
        line = " ".join(str(error).split())
        sys.exit(f"{os.path.basename(sys.argv[0])}: {line[:1000]}")


def percentiles(values):
    if not values:
        return None
    ordered = sorted(values)
    return {name: round(ordered[int(share * (len(ordered) - 1))], 3)
            for name, share in (("p50", 0.5), ("p99", 0.99))}


# Connections --------------------------------------------------------------------------------------


def address(endpoint):
    """In ZeroMQ's form: ipc://NAME without a slash is a socket in the user's own folder."""
    name = endpoint.removeprefix("ipc://")
    if name == endpoint or "/" in name:
        return endpoint
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return f"ipc://{runtime}/worldline/{name}" if runtime else f"ipc:///tmp/worldline-{os.getuid()}/{name}"


def connect(endpoint, kind):
    socket = zmq.Context.instance().socket(kind)
    # What could not be sent when the program ends is not worth waiting for.
    socket.linger = 0
    socket.connect(address(endpoint))
    return socket


def subscribe(endpoint, *topics, capacity=1000):
    """Hears these topics alone, not those that begin so."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.linger = 0
    # Takes effect on connections made after it.
    socket.rcvhwm = capacity
    socket.connect(address(endpoint))
    for topic in topics:
        socket.subscribe(topic.encode() + b"\0")
    return socket


def receive(taps, seconds):
    """The next message, taken apart; None when none comes in time."""
    if not taps.poll(seconds * 1000):
        return None
    frames = taps.recv_multipart()
    need(len(frames) == 1, "a message of", len(frames), "frames instead of one")
    return parse_message(frames[0])


# Messages -----------------------------------------------------------------------------------------


def unpack(data):
    def without_duplicates(pairs):
        members = dict(pairs)
        need(len(members) == len(pairs), "a key twice in", [key for key, value in pairs])
        return members

    try:
        return msgpack.unpackb(data, object_pairs_hook=without_duplicates)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Wrong(f"not msgpack: {error!r}") from error


def parse_message(message):
    """(topic, header, payload); raises Wrong where the message is not as the page says."""
    topic, zero, rest = message.partition(b"\0")
    need(zero and topic, "no topic in", message[:40])
    try:
        topic = topic.decode()
    except UnicodeDecodeError as error:
        raise Wrong(f"the topic {topic!r} is not UTF-8") from error
    need(len(rest) >= 3, topic, "is cut off after", len(message), "bytes")
    need(rest[0] == 1, topic, "has version", rest[0])
    end = 3 + int.from_bytes(rest[1:3], "little")
    need(len(rest) >= end, topic, "has", len(rest) - 3, "bytes after a header's length of", end - 3)
    header, payload = unpack(rest[3:end]), rest[end:]
    check_header(topic, header)
    check_payload(topic, header, payload)
    return topic, header, payload


def check_header(topic, header):
    need(isinstance(header, dict), topic, "has a header that is no map")
    for key, fits in (("seq", natural), ("t_ns", natural), ("run_id", is_text), ("type", is_text),
                      ("encoding", is_text), ("fields", lambda value: isinstance(value, dict))):
        need(key in header, topic, "has a header without", key)
        need(fits(header[key]), topic, "has", key, repr(header[key]))
    need(header["type"] in NOUNS, topic, "has the type", header["type"])
    check_fields(header["fields"], NOUNS[header["type"]], f"{topic}: {header['type']}")


def is_text(value):
    return isinstance(value, str) and value != ""


def check_fields(fields, kinds, where):
    need(isinstance(fields, dict), where, "is no map")
    for name, kind in kinds.items():
        here = f"{where}.{name}"
        need(name in fields, here, "is missing")
        value = fields[name]
        if isinstance(kind, list):
            need(isinstance(value, list), here, "is no array")
            for index, each in enumerate(value):
                check_fields(each, kind[0], f"{here}[{index}]")
        elif kind is float:
            need(type(value) in (float, int), here, "is", repr(value))
        elif isinstance(kind, str):
            check_tensor(value, *kind.split(), here)
        else:
            need(type(value) is kind, here, "is", repr(value))


def check_tensor(value, dtype, dimensions, where):
    if value is None:
        return
    need(is_tensor(value), where, "is no tensor but", repr(value))
    tensor_bytes(value, where)
    need(dtype in ("*", value["dtype"]), where, "is of", value["dtype"])
    need(len(value["shape"]) == int(dimensions), where, "has the shape", value["shape"])


def is_tensor(value):
    return isinstance(value, dict) and value.keys() == {"dtype", "shape"}


def tensor_bytes(value, where):
    """How many bytes of payload belong to a field. Fields that are not known have theirs too."""
    if is_tensor(value):
        dtype, shape = value["dtype"], value["shape"]
        need(isinstance(dtype, str) and dtype in SIZES, where, "is of", dtype)
        need(isinstance(shape, list) and all(map(natural, shape)), where, "has the shape", shape)
        return math.prod(shape, start=SIZES[dtype])
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(tensor_bytes(member, where) for member in members)


def check_payload(topic, header, payload):
    encoding, fields = header["encoding"], header["fields"]
    need(encoding in ("raw", "png", "jpeg"), topic, "has the encoding", encoding)
    if encoding == "raw":
        size = tensor_bytes(fields, topic)
        need(len(payload) == size, topic, "has", len(payload), "bytes of payload; its fields say", size)
        return
    need(header["type"] == "View", topic, "has a", header["type"], "as", encoding)
    pixels = fields["pixels"]
    need(pixels, topic, "has a", encoding, "of no pixels")
    inside = png_shape(payload) if encoding == "png" else jpeg_shape(payload)
    need(inside == pixels["shape"], topic, "has a", encoding, "of", inside, "for pixels", pixels["shape"])


def png_shape(data):
    need(data[:16] == b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" and data[-8:-4] == b"IEND", "no PNG:", data[:16])
    width, height, depth, colours = struct.unpack(">IIBB", data[16:26])
    need(depth == 8 and colours in (0, 2), "a PNG of depth", depth, "and colour type", colours)
    return [height, width, {0: 1, 2: 3}[colours]]


def jpeg_shape(data):
    need(data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", "no JPEG:", data[:16])
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        # A frame's header, of whichever coding; C4, C8 and CC are other things.
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return list(struct.unpack(">HHB", data[at + 5 : at + 10]))
        at += 2 + length
    raise Wrong("a JPEG that does not say how large it is")


# Commands -----------------------------------------------------------------------------------------


class Control:
    """A connection for commands: DEALER may send several before it reads, REQ gets no events.

    `events` are those that came, oldest first; `answers` those that nobody has asked for yet, by id.
    """

    def __init__(self, endpoint, kind=zmq.DEALER, timeout=10):
        self.socket = connect(endpoint, kind)
        self.timeout = timeout
        self.events, self.answers = [], {}
        self.waiting = collections.deque()
        self.last = 0

    def send(self, **parts):
        """Sends a command and gives its id, without waiting for the answer."""
        self.last += 1
        self.socket.send(msgpack.packb({"version": 1, "id": self.last, **parts}))
        self.waiting.append(self.last)
        return self.last

    def command(self, **parts):
        """Sends a command and gives what its answer has under `ok`; raises Refused."""
        number = self.send(**parts)
        end = time.monotonic() + self.timeout
        while number not in self.answers:
            need(self.read(end - time.monotonic()), parts["do"], "was not answered within", self.timeout, "s")
        answer = self.answers.pop(number)
        if "error" in answer:
            raise Refused(f"{parts['do']} was refused: {answer['error']}")
        return answer["ok"]

    def read(self, seconds):
        """Takes one answer or event; False when none comes in time."""
        if not self.socket.poll(max(0, seconds) * 1000):
            return False
        frames = self.socket.recv_multipart()
        need(len(frames) == 1, "an answer of", len(frames), "frames instead of one")
        message = unpack(frames[0])
        if check_answer(message):
            # Without commands on the way, an answer is to something that was never asked.
            need(self.waiting, "an answer to nothing:", message)
            asked = self.waiting.popleft()
            need(message["id"] == asked, "an answer with id", message["id"], "where", asked, "was next")
            self.answers[asked] = message
        else:
            self.events.append(message)
        return True

    def close(self):
        self.socket.close()


def check_answer(message):
    """Whether it is an answer, or else an event; raises Wrong where it is neither."""
    need(isinstance(message, dict) and message.get("version") == 1, "no version 1 in", message)
    if "event" in message:
        need(message["event"] in ("alive", "left", "end"), "an event", message)
        need(message["event"] != "left" or natural(message.get("session")), "who has left?", message)
        return False
    need("id" in message and ("ok" in message) != ("error" in message), "neither answer nor event:", message)
    if "ok" in message:
        need(isinstance(message["ok"], dict), "ok that is no map:", message)
    else:
        need(is_text(message["error"]) and "\n" not in message["error"], "an error of no line:", message)
    return True
