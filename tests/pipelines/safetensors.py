# safetensors: an independent reader and writer, from the format's description alone.
#
#   safetensors.py copy IN OUT     reads IN, checks it, and writes its tensors to OUT in the opposite order

import json
import struct
import sys

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def read(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    metadata = header.pop("__metadata__", {})
    tensors, reached = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        size = SIZES[entry["dtype"]]
        for length in entry["shape"]:
            size *= length
        assert begin == reached and end - begin == size and begin % SIZES[entry["dtype"]] == 0, name
        reached = end
        tensors[name] = (entry["dtype"], entry["shape"], body[begin:end])
    assert reached == len(body)
    return tensors, metadata


def write(path, tensors, metadata):
    header, body = {"__metadata__": metadata}, b""
    for name, (dtype, shape, numbers) in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(numbers)]}
        body += numbers
    text = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + body)


if __name__ == "__main__":
    tensors, metadata = read(sys.argv[2])
    assert json.loads(metadata["model"])["d_model"] == 64
    write(sys.argv[3], reversed(list(tensors.items())), metadata)
    print(len(tensors), "tensors")
