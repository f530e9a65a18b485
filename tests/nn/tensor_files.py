"""tensor_files.py: safetensors files as PyTorch tensors, for the oracles.

SPDX-License-Identifier: MIT
"""
import json
import struct

import numpy as np
import torch

KINDS = {"F32": np.float32, "F64": np.float64, "I32": np.int32, "I64": np.int64, "U8": np.uint8}
NAMES = {np.dtype(kind): name for name, kind in KINDS.items()}


def read_safetensors(path):
    """{name: tensor}"""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        begin, end = info["data_offsets"]
        values = np.frombuffer(data[begin:end], KINDS[info["dtype"]]).reshape(info["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors


def write_safetensors(path, tensors):
    """Wider elements first, so that every tensor lies at a multiple of its element's size."""
    header, data = {}, b""
    for name, t in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        values = t.detach().contiguous().numpy()
        span = [len(data), len(data) + values.nbytes]
        header[name] = {"dtype": NAMES[values.dtype], "shape": list(t.shape), "data_offsets": span}
        data += values.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
