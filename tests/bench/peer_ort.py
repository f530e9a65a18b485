#!/usr/bin/env python3
"""What tests/bench/bench measures of forward passes, measured in ONNX Runtime: the same names and fields, a line of JSON
for each convolution and classifier.

    taskset -c 1 python3 tests/bench/peer_ort.py --only saliency > theirs.jsonl

Needs the packages onnxruntime and onnx. Graphs are made here, with random weights; batch norms are folded into the
convolutions before them, as ONNX Runtime does on loading. Time is taken as in bench.c.

SPDX-License-Identifier: MIT
"""
import argparse
import fnmatch
import json
import statistics
import sys
import time

import numpy as np
from onnx import TensorProto, helper, numpy_helper
import onnxruntime  # after onnx: the other way round, some builds print a screenful of complaints

random = np.random.default_rng(0)


class Graph:
    """An ONNX graph under construction. Every op takes and returns the name of a value; x is the input."""

    def __init__(self, *shape):
        self.nodes, self.weights, self.shape = [], [], shape

    def add(self, op, *inputs, **attributes):
        name = f'v{len(self.nodes)}'
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def weight(self, *shape):
        name, scale = f'w{len(self.weights)}', (2 / max(np.prod(shape[1:]), 1)) ** 0.5
        values = random.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def relu(self, x):
        return self.add('Relu', x)

    def conv(self, x, channels, out, kernel, stride=1, pad=0):
        return self.add('Conv', x, self.weight(out, channels, kernel, kernel), self.weight(out),
                        kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def linear(self, x, features, out):
        return self.add('Gemm', x, self.weight(out, features), self.weight(out), transB=1)

    def max_pool(self, x, kernel, stride, pad=0, ceil=0):
        return self.add('MaxPool', x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, ceil_mode=ceil)

    def session(self, y, threads):
        graph = helper.make_graph(
            self.nodes, 'peer', [helper.make_tensor_value_info('x', TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
        model.ir_version = 8
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])


# ---- the classifiers: graph → name of the scores ----

def fire(g, x, channels, squeeze, out):
    x = g.relu(g.conv(x, channels, squeeze, 1))
    return g.add('Concat', g.relu(g.conv(x, squeeze, out, 1)), g.relu(g.conv(x, squeeze, out, 3, 1, 1)), axis=1)


def average(g, x):
    return g.add('Flatten', g.add('GlobalAveragePool', x))


def squeezenet(g):
    x = g.relu(g.conv('x', 3, 64, 3, 2))
    channels = 64
    for modules in ((16, 64), (16, 64)), ((32, 128), (32, 128)), ((48, 192), (48, 192), (64, 256), (64, 256)):
        x = g.max_pool(x, 3, 2, ceil=1)
        for squeeze, out in modules:
            x = fire(g, x, channels, squeeze, out)
            channels = 2 * out
    return average(g, g.relu(g.conv(x, channels, 1000, 1)))


def dense(g, x, features):
    """The three linear layers AlexNet and VGG-16 end with; at 224 × 224 the average before them changes nothing."""
    x = g.relu(g.linear(g.add('Flatten', x), features, 4096))
    return g.linear(g.relu(g.linear(x, 4096, 4096)), 4096, 1000)


def alexnet(g):
    x = g.max_pool(g.relu(g.conv('x', 3, 64, 11, 4, 2)), 3, 2)
    x = g.max_pool(g.relu(g.conv(x, 64, 192, 5, 1, 2)), 3, 2)
    for channels, out in (192, 384), (384, 256), (256, 256):
        x = g.relu(g.conv(x, channels, out, 3, 1, 1))
    return dense(g, g.max_pool(x, 3, 2), 256 * 36)


def residual(g, x, channels, out):
    stride = 1 if out == channels else 2
    y = g.conv(g.relu(g.conv(x, channels, out, 3, stride, 1)), out, out, 3, 1, 1)
    return g.relu(g.add('Add', y, g.conv(x, channels, out, 1, stride) if stride > 1 else x))


def resnet18(g):
    x = g.max_pool(g.relu(g.conv('x', 3, 64, 7, 2, 3)), 3, 2, 1)
    channels = 64
    for out in 64, 128, 256, 512:
        x = residual(g, residual(g, x, channels, out), out, out)
        channels = out
    return g.linear(average(g, x), 512, 1000)


def vgg16(g):
    x, channels = 'x', 3
    for out, convolutions in (64, 2), (128, 2), (256, 3), (512, 3), (512, 3):
        for _ in range(convolutions):
            x = g.relu(g.conv(x, channels, out, 3, 1, 1))
            channels = out
        x = g.max_pool(x, 2, 2)
    return dense(g, x, 512 * 49)


CLASSIFIERS = squeezenet, alexnet, resnet18, vgg16
CONVOLUTIONS = (  # N, C, H, W, K, kernel, stride, pad; as in conv.c
    (1, 3, 224, 224, 64, 3, 1, 1), (1, 64, 224, 224, 64, 3, 1, 1), (1, 128, 112, 112, 128, 3, 1, 1),
    (1, 256, 56, 56, 256, 3, 1, 1), (1, 512, 28, 28, 512, 3, 1, 1), (1, 512, 14, 14, 512, 3, 1, 1),
    (1, 3, 227, 227, 96, 11, 4, 0), (1, 64, 56, 56, 16, 1, 1, 0), (1, 16, 56, 56, 64, 3, 1, 1),
    (8, 32, 32, 32, 64, 3, 1, 1), (32, 1, 28, 28, 16, 5, 1, 2),
)


def workloads():
    """(group/name, shape of x, graph → name of the result)"""
    for n, c, h, w, k, r, stride, pad in CONVOLUTIONS:
        yield (f'conv/N{n}_C{c}_{h}x{w}_K{k}_k{r}_s{stride}_p{pad}:fwd', (n, c, h, w),
               lambda g: g.conv('x', c, k, r, stride, pad))
    for classifier in CLASSIFIERS:
        yield f'saliency/{classifier.__name__}:forward_only', (1, 3, 224, 224), classifier


def measure(run, budget, clock):
    """Seconds of each run."""
    seconds = []
    for _ in range(3):
        run()
    while len(seconds) < 300 and (len(seconds) < 7 or sum(seconds) < budget):
        start = clock()
        run()
        seconds.append(clock() - start)
    return seconds


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', default='*/*', metavar='LIST', help='groups, or globs of group/name, with commas')
    parser.add_argument('--threads', type=int, default=1, choices=range(1, 257), metavar='N')
    parser.add_argument('--budget', type=float, default=1, metavar='S', help='seconds of measuring per workload')
    parser.add_argument('--cpu-time', action='store_true', help='take processor time, not time passed')
    parser.add_argument('--list', action='store_true', help='print the names and measure nothing')
    return parser.parse_args()


def main():
    options = read_arguments()
    clock = time.process_time if options.cpu_time else time.perf_counter
    globs = [glob if '/' in glob else glob + '/*' for glob in options.only.split(',')]
    matched = 0
    for name, shape, build in workloads():
        if not any(fnmatch.fnmatchcase(name, glob) for glob in globs):
            continue
        matched += 1
        if options.list:
            print(name)
            continue
        graph, x = Graph(*shape), random.standard_normal(shape, dtype=np.float32)
        session = graph.session(build(graph), options.threads)
        seconds = measure(lambda: session.run(None, {'x': x}), options.budget, clock)
        print(json.dumps({'group': name.split('/')[0], 'name': name.split('/')[1], 'threads': options.threads,
                          'med_ms': round(statistics.median(seconds) * 1e3, 5),
                          'min_ms': round(min(seconds) * 1e3, 5), 'reps': len(seconds)}), flush=True)
    if not matched:
        sys.exit(f'peer_ort.py: no workload is called "{options.only}"')


if __name__ == '__main__':
    main()
