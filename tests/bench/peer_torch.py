#!/usr/bin/env python3
"""What tests/bench/bench measures, measured in PyTorch: the same workloads, names and fields, a line of JSON for each.

    OMP_NUM_THREADS=1 taskset -c 1 python3 tests/bench/peer_torch.py --only conv,train > theirs.jsonl

Needs PyTorch 1.13 or later and nothing else. sh tests/bench/versus.sh runs it in turn with ours and prints the ratios.
Instruction sets are limited by the environment: ATEN_CPU_CAPABILITY=avx2 (or default), ONEDNN_MAX_CPU_ISA=AVX2 (or
SSE41), OPENBLAS_CORETYPE=Haswell (or Nehalem).

A group is a generator of workloads. What stands before its first yield is prepared once; what a workload is given to
run is one repetition. Time is taken as in bench.c.

SPDX-License-Identifier: MIT
"""
import argparse
import fnmatch
import functools
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.autograd import grad
from torch.nn import functional as F


# ---- taking time ----

class Bench:
    """The options, and what follows from them: choosing, measuring, printing."""

    def __init__(self, options):
        self.options = options
        self.clock = time.process_time if options.cpu_time else time.perf_counter
        self.globs = [glob if '/' in glob else glob + '/*' for glob in options.only.split(',')]
        self.matched = self.failed = 0

    def wants_some_of(self, group):
        return any(fnmatch.fnmatchcase(group, glob.split('/')[0]) for glob in self.globs)

    def wants(self, group, name):
        return any(fnmatch.fnmatchcase(f'{group}/{name}', glob) for glob in self.globs)

    def reading(self, run, repetitions):
        """Seconds per repetition."""
        start = self.clock()
        for _ in range(repetitions):
            run()
        return (self.clock() - start) / repetitions

    def measure(self, run, budget=1, min_reps=7, max_reps=300, single=False):
        """Seconds per repetition, as often as the budget allows; short ones for about a millisecond at a time."""
        self.reading(run, 1)
        first = min(self.reading(run, 1), self.reading(run, 1))
        inner = 1 if single or first > 1e-3 else int(1e-3 / max(first, 1e-7)) + 1
        seconds = []
        while len(seconds) < max_reps and (len(seconds) < min_reps or sum(seconds) * inner < budget):
            seconds.append(self.reading(run, inner))
        return seconds

    def run(self, group, name, run, record=True, fields=None, budget=1, **limits):
        """Measure one workload and print its line; record=False: without autograd."""
        if not self.wants(group, name):
            return
        self.matched += 1
        if self.options.list:
            print(f'{group}/{name}')
            return
        try:
            with torch.set_grad_enabled(record):
                seconds = self.measure(run, self.options.budget * budget, **limits)
        except (RuntimeError, NotImplementedError) as error:  # this version cannot do it
            print(f'{group}/{name}: {error}', file=sys.stderr)
            self.failed += 1
            return
        line = {'group': group, 'name': name, 'threads': self.options.threads,
                'med_ms': round(statistics.median(seconds) * 1e3, 5), 'min_ms': round(min(seconds) * 1e3, 5),
                'reps': len(seconds), **(fields or {})}
        if self.options.tag:
            line['tag'] = self.options.tag
        print(json.dumps(line), flush=True)


# ---- the classifiers, as in networks.c: tables of (name, layer) in the order they are run ----

class Fire(nn.Module):
    """SqueezeNet's module: squeeze, then 1 × 1 and 3 × 3 beside each other."""

    def __init__(self, channels, squeeze, out):
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(channels, squeeze, 1), relu())
        self.expand1 = nn.Sequential(nn.Conv2d(squeeze, out, 1), relu())
        self.expand3 = nn.Sequential(nn.Conv2d(squeeze, out, 3, padding=1), relu())

    def forward(self, x):
        x = self.squeeze(x)
        return torch.cat([self.expand1(x), self.expand3(x)], 1)


class Residual(nn.Module):
    """ResNet's basic block."""

    def __init__(self, channels, out, stride=1):
        super().__init__()
        self.branch = nn.Sequential(*conv_bn(channels, out, 3, stride, 1), relu(), *conv_bn(out, out, 3, 1, 1))
        self.shortcut = nn.Sequential(*conv_bn(channels, out, 1, stride, 0)) if stride > 1 else nn.Identity()
        self.relu = relu()

    def forward(self, x):
        y = self.branch(x)
        y += self.shortcut(x)
        return self.relu(y)


def relu():
    return nn.ReLU(inplace=True)


def conv_bn(channels, out, kernel, stride, pad):
    return nn.Conv2d(channels, out, kernel, stride, pad, bias=False), nn.BatchNorm2d(out)


def squeezenet():
    pool = functools.partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
    return [('conv1', nn.Conv2d(3, 64, 3, 2)), ('relu1', relu()), ('pool1', pool()),
            ('fire2', Fire(64, 16, 64)), ('fire3', Fire(128, 16, 64)), ('pool3', pool()),
            ('fire4', Fire(128, 32, 128)), ('fire5', Fire(256, 32, 128)), ('pool5', pool()),
            ('fire6', Fire(256, 48, 192)), ('fire7', Fire(384, 48, 192)),
            ('fire8', Fire(384, 64, 256)), ('fire9', Fire(512, 64, 256)),
            ('conv10', nn.Conv2d(512, 1000, 1)), ('relu10', relu()), ('pool10', nn.AdaptiveAvgPool2d(1)),
            ('logits', nn.Flatten())]


def dense(features, side):
    """The three linear layers AlexNet and VGG-16 end with."""
    return [('average', nn.AdaptiveAvgPool2d(side)), ('features', nn.Flatten()),
            ('fc6', nn.Linear(features * side * side, 4096)), ('relu6', relu()),
            ('fc7', nn.Linear(4096, 4096)), ('relu7', relu()), ('logits', nn.Linear(4096, 1000))]


def alexnet():
    return [('conv1', nn.Conv2d(3, 64, 11, 4, 2)), ('relu1', relu()), ('pool1', nn.MaxPool2d(3, 2)),
            ('conv2', nn.Conv2d(64, 192, 5, 1, 2)), ('relu2', relu()), ('pool2', nn.MaxPool2d(3, 2)),
            ('conv3', nn.Conv2d(192, 384, 3, 1, 1)), ('relu3', relu()),
            ('conv4', nn.Conv2d(384, 256, 3, 1, 1)), ('relu4', relu()),
            ('conv5', nn.Conv2d(256, 256, 3, 1, 1)), ('relu5', relu()), ('pool5', nn.MaxPool2d(3, 2)),
            *dense(256, 6)]


def resnet18():
    layers = [('conv1', nn.Sequential(*conv_bn(3, 64, 7, 2, 3), relu())), ('pool1', nn.MaxPool2d(3, 2, 1))]
    channels = 64
    for stage, out in enumerate((64, 128, 256, 512), 1):
        layers += [(f'layer{stage}.0', Residual(channels, out, 1 if out == channels else 2)),
                   (f'layer{stage}', Residual(out, out))]
        channels = out
    return layers + [('average', nn.AdaptiveAvgPool2d(1)), ('features', nn.Flatten()), ('logits', nn.Linear(512, 1000))]


def vgg16():
    layers, channels = [], 3
    for stage, (out, convolutions) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for k in range(1, convolutions + 1):
            layers += [(f'conv{stage}_{k}', nn.Conv2d(channels, out, 3, 1, 1)), (f'relu{stage}_{k}', relu())]
            channels = out
        layers.append((f'pool{stage}', nn.MaxPool2d(2)))
    return layers + dense(512, 7)


CLASSIFIERS = {  # and three layers to ask units of
    'squeezenet': (squeezenet, {'early': 'fire2', 'middle': 'fire5', 'late': 'fire9'}),
    'alexnet': (alexnet, {'early': 'conv1', 'middle': 'conv3', 'late': 'conv5'}),
    'resnet18': (resnet18, {'early': 'layer1', 'middle': 'layer2', 'late': 'layer4'}),
    'vgg16': (vgg16, {'early': 'conv1_2', 'middle': 'conv3_3', 'late': 'conv5_3'}),
}


def network(name, until='logits'):
    """The layers up to the one called until, which is included; for inference, with random parameters."""
    layers = CLASSIFIERS[name][0]()
    end = [layer for layer, _ in layers].index(until) + 1
    return nn.Sequential(*(module for _, module in layers[:end])).eval().requires_grad_(False)


def image(batch=1):
    return torch.randn(batch, 3, 224, 224, requires_grad=True)


# ---- the groups: each yields (name, one repetition, options of Bench.run) ----

def gemm():
    for m, n, k in (1024, 1024, 1024), (256, 3136, 1152), (64, 64, 64):
        a, b, c = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
        yield f'sgemm_m{m}_n{n}_k{k}', lambda: torch.mm(a, b, out=c), {'record': False}


CONVOLUTIONS = (  # N, C, H, W, K, kernel, stride, pad; as in conv.c
    (1, 3, 224, 224, 64, 3, 1, 1), (1, 64, 224, 224, 64, 3, 1, 1), (1, 128, 112, 112, 128, 3, 1, 1),
    (1, 256, 56, 56, 256, 3, 1, 1), (1, 512, 28, 28, 512, 3, 1, 1), (1, 512, 14, 14, 512, 3, 1, 1),
    (1, 3, 227, 227, 96, 11, 4, 0), (1, 64, 56, 56, 16, 1, 1, 0), (1, 16, 56, 56, 64, 3, 1, 1),
    (8, 32, 32, 32, 64, 3, 1, 1), (32, 1, 28, 28, 16, 5, 1, 2),
)


def conv():
    for n, c, h, w, k, r, stride, pad in CONVOLUTIONS:
        name = f'N{n}_C{c}_{h}x{w}_K{k}_k{r}_s{stride}_p{pad}'
        x = torch.randn(n, c, h, w, requires_grad=True)
        weight, bias = torch.randn(k, c, r, r), torch.randn(k)

        def forward():
            return F.conv2d(x, weight, bias, stride, pad)

        dy = torch.randn_like(forward())
        yield name + ':fwd', forward, {'record': False}
        yield name + ':fwd+dx', lambda: grad(forward(), x, dy), {}
        for parameter in weight, bias:
            parameter.requires_grad_()
        yield name + ':fwd+dx+dw', lambda: grad(forward(), (x, weight, bias), dy), {}


def class_score_gradient(net, x):
    return grad(net(x)[0, 7], x)


def saliency():
    for name in CLASSIFIERS:
        net, x = network(name), image()
        yield name + ':forward_only', lambda: net(x), {'record': False}
        yield name + ':class_logit_fwd+bwd', lambda: class_score_gradient(net, x), {}
        scores = net(x)
        yield name + ':class_logit_bwd_only', lambda: grad(scores[0, 7], x, retain_graph=True), {}


def middle_unit(h):
    """The last channel, in the middle of the picture."""
    return h[0, h.shape[1] - 1, h.shape[2] // 2, h.shape[3] // 2]


def unit():
    for name, (_, layers) in CLASSIFIERS.items():
        for depth, layer in layers.items():
            net, x = network(name, layer), image()
            h = net(x)
            shape = {'fields': {'shape': list(h.shape)}}
            yield f'{name}:{depth}:fwd+bwd', lambda: grad(middle_unit(net(x)), x), shape
            yield f'{name}:{depth}:bwd_only', lambda: grad(middle_unit(h), x, retain_graph=True), shape


def jacobian():
    name, options = 'squeezenet_fire5_64units:', {'budget': 3, 'min_reps': 5}
    net, x, x64, k = network('squeezenet', 'fire5'), image(), image(64), torch.arange(64)

    def middle(h):
        return h[:, 64:128, h.shape[2] // 2, h.shape[3] // 2]

    units = middle(net(x))[0]
    yield name + 'loop_bwd_only', lambda: [grad(u, x, retain_graph=True) for u in units], options
    yield (name + 'is_grads_batched',
           lambda: grad(units, x, torch.eye(64), retain_graph=True, is_grads_batched=True), options)
    yield name + 'input_repeated_x64_fwd+bwd', lambda: grad(middle(net(x64))[k, k].sum(), x64), options


def stages(channels, sizes, kernel):
    """Convolution, ReLU, halving, for each of the sizes."""
    for out in sizes:
        yield from (nn.Conv2d(channels, out, kernel, padding=kernel // 2), nn.ReLU(), nn.MaxPool2d(2))
        channels = out
    yield nn.Flatten()


TRAININGS = {  # name → layers, shape of a batch, optimiser
    'lenet28_b64_sgdm': (lambda: [*stages(1, (16, 32), 5), nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10)],
                         (64, 1, 28, 28), functools.partial(torch.optim.SGD, lr=0.001, momentum=0.9)),
    'mlp784_b128_adam': (lambda: [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)],
                         (128, 784), functools.partial(torch.optim.Adam, lr=1e-4)),
    'cifar32_b64_sgdm': (lambda: [*stages(3, (32, 64, 128), 3), nn.Linear(2048, 10)],
                         (64, 3, 32, 32), functools.partial(torch.optim.SGD, lr=0.001, momentum=0.9)),
}


def train():
    trainings = dict(TRAININGS)
    if int(torch.__version__.split('.')[0]) >= 2:  # the other Adam
        layers, shape, adam = TRAININGS['mlp784_b128_adam']
        trainings['mlp784_b128_adam_fused'] = layers, shape, functools.partial(adam, fused=True)
    for name, (layers, shape, optimizer) in trainings.items():
        net = nn.Sequential(*layers())
        x, labels = torch.randn(shape), torch.randint(0, 10, shape[:1])
        opt = optimizer(net.parameters())

        def step():
            opt.zero_grad()
            F.cross_entropy(net(x), labels).backward()
            opt.step()

        yield name, step, {'budget': 3, 'max_reps': 3000, 'single': True}
        yield name + ':forward_only', lambda: net(x), {'record': False}


def overhead():
    def chain(x, factor=1.0001, term=0.0001):
        for _ in range(5000):
            x = x * factor + term
        return x

    name, x, vector = 'chain10000_', torch.ones(1, requires_grad=True), torch.ones(1000, requires_grad=True)
    factor, term = torch.tensor([1.0001]), torch.tensor([0.0001])
    y = chain(x)
    for what, run, record in (
            ('record', lambda: chain(x), True),
            ('record+backward', lambda: grad(chain(x), x), True),
            ('backward_only', lambda: grad(y, x, retain_graph=True), True),
            ('no_grad', lambda: chain(x), False),
            ('tensor_operands_record+backward', lambda: grad(chain(x, factor, term), x), True),
            ('1000elem_record+backward', lambda: grad(chain(vector).sum(), vector), True)):
        yield name + what, run, {'record': record, 'single': True}


FUNCTIONS = {  # name → op, and the op into a tensor that is there, or None
    'relu': (torch.relu, lambda x, y: torch.clamp_min(x, 0, out=y)),
    'exp': (torch.exp, lambda x, y: torch.exp(x, out=y)),
    'tanh': (torch.tanh, lambda x, y: torch.tanh(x, out=y)),
    'sigmoid': (torch.sigmoid, lambda x, y: torch.sigmoid(x, out=y)),
    'gelu_erf': (F.gelu, None),
    'gelu_tanh': (functools.partial(F.gelu, approximate='tanh'), None),
    'log': (torch.log, lambda x, y: torch.log(x, out=y)),
    'mul_scalar': (lambda x: x * 1.5, lambda x, y: torch.mul(x, 1.5, out=y)),
}
HALF, HALF_FORWARD = {'budget': 0.5}, {'budget': 0.5, 'record': False}


def vectors(size, elements):
    values = torch.randn(elements).abs_().add_(0.01)
    x, y, ones = values.clone().requires_grad_(), torch.empty(elements), torch.ones(elements)
    for name, (op, into) in FUNCTIONS.items():
        yield f'{name}_{size}:fwd', lambda: op(values), HALF_FORWARD
        if into:
            yield f'{name}_{size}:fwd_out', lambda: into(values, y), HALF_FORWARD
        yield f'{name}_{size}:fwd+bwd', lambda: grad(op(x), x, ones), HALF
    yield f'add_{size}:fwd', lambda: values + ones, HALF_FORWARD
    yield f'add_{size}:fwd_out', lambda: torch.add(values, ones, out=y), HALF_FORWARD
    yield f'sum_{size}:fwd', values.sum, HALF_FORWARD
    yield f'sum_{size}:fwd+bwd', lambda: grad(x.sum(), x), HALF


def matrices(rows, columns=1024):
    values, dy = torch.randn(rows, columns), torch.randn(rows, columns)
    x = values.clone().requires_grad_()
    gamma, beta, row = (torch.randn(columns, requires_grad=True) for _ in range(3))
    column = torch.randn(rows, 1, requires_grad=True)
    size = f'{rows}x{columns}'
    for name, op, parameters in (
            ('softmax', lambda x: F.softmax(x, 1), ()),
            ('log_softmax', lambda x: F.log_softmax(x, 1), ()),
            ('layernorm', lambda x: F.layer_norm(x, (columns,), gamma, beta), (gamma, beta)),
            ('add_row_broadcast', lambda x: x + row, (row,)),
            ('add_col_broadcast', lambda x: x + column, (column,))):
        yield f'{name}_{size}:fwd', lambda: op(values), HALF_FORWARD
        yield f'{name}_{size}:fwd+bwd', lambda: grad(op(x), (x, *parameters), dy), HALF
    yield f'sum_dim1_{size}:fwd', lambda: values.sum(1), HALF_FORWARD
    yield f'sum_dim0_{size}:fwd', lambda: values.sum(0), HALF_FORWARD


def elem():
    yield from vectors('64K', 1 << 16)
    yield from vectors('16M', 1 << 24)
    yield from matrices(1024)
    yield from matrices(16384)


def guided():
    """Hooks at every ReLU; PyTorch wants them out of place for that."""
    for name in 'squeezenet', 'vgg16':
        net, x = network(name), image()
        relus = [module for module in net.modules() if isinstance(module, nn.ReLU)]
        for module in relus:
            module.inplace = False
        yield name + ':plain_saliency_relu_not_inplace', lambda: class_score_gradient(net, x), {}
        for module in relus:
            module.register_full_backward_hook(lambda module, dx, dy: (dx[0].clamp(min=0),))
        yield (name + ':guided_backward_hooks', lambda: class_score_gradient(net, x),
               {'fields': {'hooks': len(relus)}})


GROUPS = (gemm, conv, saliency, unit, jacobian, train, overhead, elem, guided)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', default='*/*', metavar='LIST', help='groups, or globs of group/name, with commas')
    parser.add_argument('--threads', type=int, default=1, choices=range(1, 257), metavar='N')
    parser.add_argument('--budget', type=float, default=1, metavar='S', help='seconds of measuring per workload')
    parser.add_argument('--tag', metavar='TEXT', help='a field "tag" in every line')
    parser.add_argument('--cpu-time', action='store_true', help='take processor time, not time passed')
    parser.add_argument('--list', action='store_true', help='print the names and measure nothing')
    return parser.parse_args()


def main():
    bench = Bench(read_arguments())
    torch.set_num_threads(bench.options.threads)
    torch.manual_seed(0)
    for group in GROUPS:
        if bench.wants_some_of(group.__name__):
            for name, run, options in group():
                bench.run(group.__name__, name, run, **options)
    if not bench.matched:
        sys.exit(f'peer_torch.py: no workload is called "{bench.options.only}"')
    return 1 if bench.failed else 0


if __name__ == '__main__':
    sys.exit(main())
