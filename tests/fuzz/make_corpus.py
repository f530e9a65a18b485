#!/usr/bin/python3
"""Write the seeds of fuzz_onnx: tiny ONNX models, one for each family of ops, encoded here by hand.

usage: make_corpus.py DIR

SPDX-License-Identifier: MIT
"""
import os
import struct
import sys

FLOAT, INT64, BOOL = 1, 7, 9


# ---- protocol buffers


def varint(n):
    out, n = b"", n & (1 << 64) - 1
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


# ---- ONNX


def tensor(name, values, dims=None, floats=True):
    dims = [len(values)] if dims is None else dims
    raw = struct.pack("<%d%s" % (len(values), "f" if floats else "q"), *values)
    return b"".join(number(1, d) for d in dims) + number(2, FLOAT if floats else INT64) + data(8, name) + data(9, raw)


def attribute(name, value):
    out = data(1, name)
    if isinstance(value, float):
        return out + varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1)
    if isinstance(value, int):
        return out + number(3, value) + number(20, 2)
    if isinstance(value, str):
        return out + data(4, value) + number(20, 3)
    if isinstance(value, bytes):
        return out + data(6, value) + number(20, 5)
    return out + b"".join(number(8, v) for v in value) + number(20, 7)


def node(text, domain="", **attributes):
    """'Add a b > y'"""
    left, right = text.split(" > ")
    kind, *inputs = left.split()
    return b"".join(data(1, "" if i == "-" else i) for i in inputs) + b"".join(data(2, o) for o in right.split()) + \
        data(4, kind) + b"".join(data(5, attribute(k, v)) for k, v in attributes.items()) + (data(7, domain) if domain else b"")


def value(name, dims, kind=FLOAT):
    shape = b"".join(data(1, data(2, "N") if d is None else number(1, d)) for d in dims)
    return data(1, name) + data(2, data(1, number(1, kind) + data(2, shape)))


def graph(nodes, inputs=(), outputs=(), parameters=()):
    return b"".join(data(1, n) for n in nodes) + data(2, "g") + b"".join(data(5, p) for p in parameters) + \
        b"".join(data(11, i) for i in inputs) + b"".join(data(12, o) for o in outputs)


def function(name, inputs, outputs, nodes, opset=17):
    return data(1, name) + b"".join(data(4, i) for i in inputs) + b"".join(data(5, o) for o in outputs) + \
        b"".join(data(7, n) for n in nodes) + data(9, number(2, opset)) + data(10, "own")


def model(nodes, dims=(1, 2, 4, 4), parameters=(), opset=17, functions=(), kind=FLOAT):
    g = graph(nodes, [value("x", dims, kind)], [value("y", [])], parameters)
    return number(1, 8) + data(7, g) + data(8, number(2, opset)) + b"".join(data(25, f) for f in functions)


# ---- the seeds


def ints(name, *values):
    return tensor(name, values, floats=False)


def kernel(o=2, i=2, r=3, s=3):
    return tensor("w", [0.1 * (k % 7 - 3) for k in range(o * i * r * s)], [o, i, r, s])


def seeds():
    branch = [graph([node("Relu x > h")], outputs=[value("h", [])]), graph([node("Neg x > h")], outputs=[value("h", [])])]
    yield "conv", model([node("Conv x w > c", pads=[1, 1, 1, 1]), node("Relu c > r"), node("MaxPool r > y", kernel_shape=[2, 2])],
                        parameters=[kernel()])
    # Of an odd size: see fuzz_onnx.c.
    yield "folded", model([node("Conv x w > conv", pads=[1, 1, 1, 1]), node("BatchNormalization conv of of of of > n"), node("Relu n > y")],
                          parameters=[kernel(), tensor("of", [0.5, 1.5])])
    yield "same", model([node("Conv x w > c", auto_pad="SAME_UPPER", strides=[2, 2], dilations=[1, 2]), node("Clip c lo hi > y")],
                        parameters=[kernel(), tensor("lo", [0.0], []), tensor("hi", [6.0], [])])
    yield "transpose", model([node("ConvTranspose x w > y", strides=[2, 2], output_padding=[1, 0], group=1)], parameters=[kernel()])
    yield "pool", model([node("AveragePool x > a", kernel_shape=[3, 2], ceil_mode=1, count_include_pad=1, pads=[1, 0, 0, 1]),
                         node("LpPool a > b", kernel_shape=[2, 2], p=2), node("GlobalMaxPool b > y")])
    yield "indices", model([node("MaxPool x > m i", kernel_shape=[2, 2], strides=[2, 2]), node("MaxUnpool m i > y", kernel_shape=[2, 2],
                                                                                      strides=[2, 2])])
    yield "norm", model([node("BatchNormalization x s s s s > a"), node("InstanceNormalization a s s > b"), node("LRN b > y", size=3)],
                        parameters=[tensor("s", [0.5, 1.5])])
    yield "layernorm", model([node("LayerNormalization x s > a"), node("Softmax a > y")], (2, 4), [tensor("s", [1.0, 2.0, 0.5, 1.0])])
    yield "gemm", model([node("Gemm x w b > a", transB=1, alpha=0.5), node("MatMul a w > y")], (2, 3),
                        [tensor("w", [0.5] * 9, [3, 3]), tensor("b", [1.0, 2.0, 3.0])])
    yield "einsum", model([node("Einsum x x > y", equation="bij,bkj->bik")], (2, 3, 4))
    yield "shapes", model([node("Shape x > s"), node("Gather s zero > n", axis=0), node("Unsqueeze n zero1 > u"),
                           node("Concat u minus > t", axis=0), node("Reshape x t > y")], (None, 2, 3),
                          [ints("zero1", 0), ints("minus", -1), tensor("zero", [0], [], False)])
    yield "slices", model([node("Slice x a b c d > s"), node("Pad s p v > q", mode="constant"), node("Split q > y z", axis=1)],
                          parameters=[ints("a", 0, 3), ints("b", 2, -5), ints("c", 1, 2), ints("d", 1, -2), ints("p", 0, 0, 1, 0, 0, 0, 0, 2),
                                      tensor("v", [1.0], [])])
    yield "pads", model([node("Pad x p > q", mode="reflect"), node("Pad q p > y", mode="edge")], parameters=[ints("p", 0, 0, 1, 1, 0, 0, 1, 1)])
    yield "centre", model([node("CenterCropPad x e > y", axes=[2, 3])], parameters=[ints("e", 2, 7)], opset=18)
    yield "attention", model([node("Attention x x x m > a k v w", is_causal=1, softcap=2.0), node("RotaryEmbedding a c s > y", interleaved=1)],
                             parameters=[tensor("m", [0.5] * 4), tensor("c", [0.6] * 8, [1, 4, 2]), tensor("s", [0.8] * 8, [1, 4, 2])],
                             opset=23)
    yield "grid", model([node("AffineGrid t e > g", align_corners=1), node("GridSample x g > y", mode="cubic", padding_mode="reflection")],
                        parameters=[tensor("t", [1.0, 0.2, 0.1, -0.3, 0.9, 0.0], [1, 2, 3]), ints("e", 1, 2, 3, 5)], opset=20)
    yield "expand", model([node("ConstantOfShape s > c"), node("Expand c e > f"), node("Tile f r > g"), node("Mul g x > y")], (1, 1),
                          [ints("s", 2, 1), ints("e", 2, 3), ints("r", 1, 2)])
    yield "range", model([node("Range a b c > r"), node("Cast r > f", to=1), node("Add f x > y")], (1,),
                         [tensor("a", [0], [], False), tensor("b", [6], [], False), tensor("c", [2], [], False)])
    yield "resize", model([node("Resize x - s > r", mode="linear", coordinate_transformation_mode="half_pixel"),
                           node("Resize r - t > y", mode="cubic")],
                          parameters=[tensor("s", [1.0, 1.0, 2.0, 1.5]), tensor("t", [1.0, 1.0, 0.5, 1.0])])
    yield "gathers", model([node("GatherElements x i > a", axis=1), node("GatherND x j > b"), node("ScatterND x j b > c"),
                            node("ScatterElements c i a > y", axis=1, reduction="add")], (2, 3),
                           [tensor("i", [0, 1, 2, 2, 0, 1], [2, 3], False), tensor("j", [0, 1], [2, 1], False)])
    yield "topk", model([node("TopK x k > v i"), node("CumSum v a > y", reverse=1), node("ArgMax x > m")], (2, 4),
                        [ints("k", 2), tensor("a", [1], [], False)])
    yield "onehot", model([node("OneHot x d v > y", axis=-1)], (3,), [tensor("d", [4], [], False), tensor("v", [0.0, 1.0])], kind=INT64)
    yield "reduce", model([node("ReduceMean x > a", axes=[2, 3]), node("ReduceL2 a > b", axes=[1]), node("ReduceLogSumExp b > y")], opset=13)
    yield "logic", model([node("Greater x z > g"), node("Not g > n"), node("Where n x z > w"), node("Mod w o > m", fmod=1),
                          node("Pow m o > y")], (2, 3), [tensor("z", [0.0], []), tensor("o", [2.0], [])])
    yield "lstm", model([node("LSTM x w r b > y h c", hidden_size=2, direction="bidirectional")], (3, 1, 2),
                        [tensor("w", [0.1] * 32, [2, 8, 2]), tensor("r", [0.2] * 32, [2, 8, 2]), tensor("b", [0.1] * 32, [2, 16])])
    yield "gru", model([node("GRU x w r > y h", hidden_size=2, linear_before_reset=1)], (3, 1, 2),
                       [tensor("w", [0.1] * 12, [1, 6, 2]), tensor("r", [0.2] * 12, [1, 6, 2])])
    yield "loss", model([node("SoftmaxCrossEntropyLoss x t > y", reduction="mean")], (2, 3), [ints("t", 0, 2)])
    yield "space", model([node("SpaceToDepth x > a", blocksize=2), node("DepthToSpace a > y", blocksize=2, mode="CRD")])
    yield "if", model([node("ReduceSum x > s", keepdims=0), node("Cast s > c", to=BOOL),
                       node("If c > y", then_branch=branch[0], else_branch=branch[1])], (2, 3))
    yield "function", model([node("F x > y", "own", alpha=0.5)], (2, 3),
                            functions=[function("F", ["a"], ["b"], [node("Relu a > h"), node("G h > b", "own")]),
                                       function("G", ["a"], ["b"], [node("LeakyRelu a > b", alpha=0.1)])])
    yield "constants", model([node("Constant > c", value_floats=[]), node("Identity x > i"), node("Dropout i > y m")], (2, 3))


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, content in seeds():
        with open(os.path.join(sys.argv[1], name + ".onnx"), "wb") as f:
            f.write(content)
