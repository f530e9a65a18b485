"""layers_oracle.py: every layer against PyTorch's, with shapes and options drawn at random.

    layers_oracle.py LAYERS [SEED [DRAWS]]    LAYERS: the program of layers.c

Compared are outputs, gradients in the inputs and in every parameter, and the state dictionary afterwards (running
statistics, counters), in training and out of it: to 1e-5 of the largest number of a tensor in float32, to 1e-12 in
float64. The poolings and activations among the ops are, too, and a network that is a table. State dictionaries go both
ways, each with strict loading: PyTorch's into the layer, and the layer's first values, as it saved them, into PyTorch's;
these are compared with PyTorch's first values in distribution.

To add a layer, write a function that draws a case and add it to LAYERS. Exit status 77 if there is no torch.

SPDX-License-Identifier: MIT
"""
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass

try:
    import torch
    from torch import nn
except ImportError:
    print("[SKIP] nn/layers_oracle: no PyTorch for this Python: apt-get install python3-torch")
    sys.exit(77)

from tensor_files import read_safetensors, write_safetensors

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


@dataclass
class Case:
    options: str       # what layers.c is asked for
    module: nn.Module  # what it is compared with: module(*inputs) is a tensor or a tuple of tensors
    inputs: tuple


# ---- drawing; extents are small and odd, batches are now and then empty


def some(low, high):
    return random.randint(low, high)


def flag():
    return random.random() < 0.5


def spell(name, **options):
    def number(value):
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(int(value) if value is True else value)

    return " ".join([name] + ["%s=%s" % (key, number(v)) for key, v in options.items() if v is not False])


def windows(axes):
    """Kernel, stride, padding and dilation along each axis, and an extent that fits."""
    kernel, stride, dilation = (tuple(some(1, most) for _ in range(axes)) for most in (4, 3, 2))
    pad = tuple(some(0, 2) for _ in range(axes))
    extent = tuple(max(d * (k - 1) + 1 - 2 * p, 1) + some(0, 6) for k, d, p in zip(kernel, dilation, pad))
    return kernel, stride, pad, dilation, extent


def channels():
    groups = random.choice((1, 1, 2, 3))
    return groups * some(1, 4), groups * some(1, 4), groups


def batch():
    return random.choice((0, 1, 1, 2, 3, 4, 5))


def convolution(name, make, axes):
    kernel, stride, pad, dilation, extent = windows(axes)
    c, out, groups = channels()
    bias = flag()
    module = make(c, out, kernel, stride, pad, dilation, groups, bias)
    how = dict(out=out, kernel=kernel, stride=stride, pad=pad, dilation=dilation, groups=groups, no_bias=not bias)
    return Case(spell(name, **how), module, (torch.randn(batch(), c, *extent),))


def conv1d():
    return convolution("conv1d", nn.Conv1d, 1)


def conv2d():
    return convolution("conv2d", nn.Conv2d, 2)


def transposed(name, make, axes):
    kernel, stride, _, dilation, _ = windows(axes)
    pad = tuple(some(0, d * (k - 1) // 2) for k, d in zip(kernel, dilation))
    more = tuple(some(0, max(s, d) - 1) for s, d in zip(stride, dilation))
    c, out, groups = channels()
    bias = flag()
    module = make(c, out, kernel, stride, pad, more, groups, bias, dilation)
    how = dict(out=out, kernel=kernel, stride=stride, pad=pad, output_pad=more, dilation=dilation, groups=groups,
               no_bias=not bias)
    return Case(spell(name, **how), module, (torch.randn(batch(), c, *(some(1, 5) for _ in range(axes))),))


def conv_transpose2d():
    return transposed("conv_transpose2d", nn.ConvTranspose2d, 2)


def conv_transpose1d():
    return transposed("conv_transpose1d", nn.ConvTranspose1d, 1)


def linear():
    out, bias = some(1, 9), flag()
    shape = [batch() for _ in range(some(0, 3))] + [some(1, 9)]
    return Case(spell("linear", out=out, no_bias=not bias), nn.Linear(shape[-1], out, bias), (torch.randn(shape),))


def embedding():
    rows, width, padding = some(2, 9), some(1, 6), flag()
    k = some(-rows, rows - 1)
    index = torch.randint(0, rows, [batch() for _ in range(some(1, 3))])
    options = spell("embedding", rows=rows, width=width) + (" padding=%d" % k if padding else "")
    return Case(options, nn.Embedding(rows, width, k if padding else None), (index,))


def eps_and_momentum():
    return random.choice(({}, {"eps": 0.001}, {"momentum": 0.3}, {"eps": 0.1, "momentum": 1.0}))


# At least four numbers to a mean: of two, normalised, only the sign is left, and their gradient is all rounding.


def batch_norm():
    axes, affine, running, how = some(0, 2), flag(), flag() or flag(), eps_and_momentum()
    shape = [some(4, 6), some(1, 5)] + [some(1, 5) for _ in range(axes)]
    make = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[axes]
    module = make(shape[1], affine=affine, track_running_stats=running, **how)
    x = 2 * torch.randn(shape) + 1
    return Case(spell("batch_norm", no_affine=not affine, no_running=not running, **how), module, (x,))


def instance_norm():
    axes, affine, running, how = some(1, 2), flag(), flag(), eps_and_momentum()
    shape = [some(1, 4), some(1, 5), some(4, 7)] + [some(1, 5) for _ in range(axes - 1)]
    module = (nn.InstanceNorm1d, nn.InstanceNorm2d)[axes - 1](shape[1], affine=affine, track_running_stats=running, **how)
    x = 2 * torch.randn(shape) + 1
    return Case(spell("instance_norm", affine=affine, running=running, **how), module, (x,))


def layer_norm():
    axes, affine, eps = some(1, 3), flag(), random.choice((1e-5, 0.01))
    shape = [batch() for _ in range(some(0, 2))] + [some(4, 7)] + [some(1, 4) for _ in range(axes - 1)]
    module = nn.LayerNorm(shape[-axes:], eps, affine)
    return Case(spell("layer_norm", axes=axes, eps=eps, no_affine=not affine), module, (2 * torch.randn(shape) + 1,))


def group_norm():
    groups, affine, eps = some(1, 4), flag(), random.choice((1e-5, 0.01))
    shape = [some(1, 4), groups * some(1, 3), some(4, 6)] + [some(1, 4) for _ in range(some(0, 1))]
    module = nn.GroupNorm(groups, shape[1], eps, affine)
    return Case(spell("group_norm", groups=groups, eps=eps, no_affine=not affine), module, (2 * torch.randn(shape) + 1,))


def prelu():
    shape = [batch(), some(1, 5)] + [some(1, 5) for _ in range(some(0, 2))]
    slopes = random.choice((1, shape[1]))
    return Case(spell("prelu", slopes=slopes), nn.PReLU(slopes), (torch.randn(shape),))


class HardSigmoid(nn.Module):
    """PyTorch's own has the sixth of its gradient in float32."""

    def forward(self, x):
        return nn.functional.relu6(x + 3) / 6


ACTIVATIONS = dict(elu=nn.ELU(), gelu=nn.GELU(), gelu_tanh=nn.GELU("tanh"), hard_sigmoid=HardSigmoid(),
                   hard_swish=nn.Hardswish(), hard_tanh=nn.Hardtanh(), leaky_relu=nn.LeakyReLU(), relu=nn.ReLU(),
                   relu6=nn.ReLU6(), sigmoid=nn.Sigmoid(), silu=nn.SiLU(), softplus=nn.Softplus(), tanh=nn.Tanh())


def activation():
    name = random.choice(sorted(ACTIVATIONS))
    return Case(spell("activation", of=name), ACTIVATIONS[name], (4 * torch.randn(batch(), some(9, 19)),))


def pool():
    """Kernels of every size, ceil mode, padding that counts and that does not; adaptive."""
    axes, is_max = some(1, 2), flag()
    kernel, stride, pad, dilation, extent = windows(axes)
    pad = tuple(min(p, k // 2) for p, k in zip(pad, kernel))
    extent = tuple(d * (k - 1) + 1 + some(0, 6) for d, k in zip(dilation, kernel))
    x = torch.randn(some(1, 3), some(1, 3), *extent)
    if random.random() < 0.3:
        out = tuple(some(1, 5) for _ in range(axes))
        make = {(1, True): nn.AdaptiveMaxPool1d, (2, True): nn.AdaptiveMaxPool2d,
                (1, False): nn.AdaptiveAvgPool1d, (2, False): nn.AdaptiveAvgPool2d}[axes, is_max]
        return Case(spell("pool", max=is_max, axes=axes, out=out), make(out if axes == 2 else out[0]), (x,))
    how = dict(max=is_max, axes=axes, kernel=kernel, stride=stride, pad=pad, ceil=flag())
    if is_max:
        module = (nn.MaxPool1d, nn.MaxPool2d)[axes - 1](kernel, stride, pad, dilation, ceil_mode=how["ceil"])
        return Case(spell("pool", dilation=dilation, **how), module, (x,))
    counts = flag()
    module = (nn.AvgPool1d, nn.AvgPool2d)[axes - 1](kernel, stride, pad, how["ceil"], counts)
    return Case(spell("pool", count_padding=counts, **how), module, (x,))


class Residual(nn.Sequential):
    def __init__(self, branch, downsample):
        super().__init__(*branch)
        object.__setattr__(self, "branch", branch)
        self.downsample = downsample

    def forward(self, x):
        y = x
        for stage in self.branch:
            y = stage(y)
        return y + self.downsample(x)


def network():
    """The table in layers.c."""
    length = 2 * some(3, 6)
    branch = (nn.Conv1d(8, 8, 3, padding=1), nn.Tanh(), nn.Conv1d(8, 8, 2, 2, bias=False))
    shortcut = nn.Sequential(nn.Conv1d(8, 8, 2, 2, bias=False), nn.GroupNorm(4, 8))
    first = nn.Conv1d(3, 8, 3, padding=1, bias=False)
    module = nn.Sequential(first, nn.BatchNorm1d(8), nn.GELU(), Residual(branch, shortcut))
    module.add_module("up", nn.ConvTranspose1d(8, 6, 2, 2))
    for number, stage in ((5, nn.SiLU()), (6, nn.Flatten()),
                          (7, nn.Sequential(nn.Linear(6 * length, 12), nn.LayerNorm(12)))):
        module.add_module(str(number), stage)
    return Case("network", module, (torch.randn(some(4, 6), 3, length),))


def dropout():
    """Compared out of training; see check_dropout."""
    p = random.choice((0.1, 0.5, 0.9))
    return Case(spell("dropout", p=p), nn.Dropout(p), (torch.randn(batch(), some(1, 9)),))


# ---- sequences


def sequence(steps, n, width, batch_first, unbatched):
    return torch.randn((steps, width) if unbatched else (n, steps, width) if batch_first else (steps, n, width))


def flat_state(kind):
    """A recurrent module whose forward takes the state as arguments of its own."""
    class Flat(kind):
        def forward(self, x, *state):
            return super().forward(x, (state if kind is nn.LSTM else state[0]) if state else None)

    return Flat


def recurrent(name, kind, relu=False):
    width, hidden, layers, n = some(1, 5), some(1, 5), some(1, 3), some(1, 4)
    both, first, bias, given, unbatched = flag(), flag(), flag(), flag(), some(0, 4) == 0
    how = {"nonlinearity": "relu"} if relu else {}
    module = flat_state(kind)(width, hidden, layers, bias=bias, batch_first=first, bidirectional=both, **how)
    inputs = [sequence(some(1, 6), n, width, first, unbatched)]
    for _ in range((2 if kind is nn.LSTM else 1) if given else 0):
        state = torch.randn(layers * (2 if both else 1), n, hidden)
        inputs.append(state[:, 0].contiguous() if unbatched else state)
    options = dict(hidden=hidden, layers=layers, bidirectional=both, batch_first=first, no_bias=not bias, relu=relu,
                   given=given)
    return Case(spell(name, **options), module, tuple(inputs))


def rnn():
    return recurrent("rnn", nn.RNN, flag())


def lstm():
    return recurrent("lstm", nn.LSTM)


def gru():
    return recurrent("gru", nn.GRU)


def masks(queries, keys, n, heads):
    """A mask of one of four kinds or none, and padding or none. Every query may look at key 0."""
    kind = random.choice(("none", "bool", "float", "bool each", "float each"))
    shape = (n * heads, queries, keys) if "each" in kind else (queries, keys)
    mask = None if kind == "none" else torch.randn(shape) if "float" in kind else (torch.rand(shape) < 0.4).byte()
    if "bool" in kind:
        mask[..., 0] = 0
    padding = (torch.rand(n, keys) < 0.4).byte() if flag() else None
    if padding is not None:
        padding[:, 0] = 0
    return mask, padding


def as_bool(mask):
    return mask.bool() if mask is not None and mask.dtype == torch.uint8 else mask


def with_causal(mask, causal, queries, keys):
    """The mask of PyTorch's call."""
    if not causal:
        return as_bool(mask)
    later = torch.ones(queries, keys).triu(1).bool()
    if mask is None:
        return later
    return as_bool(mask) | later if mask.dtype == torch.uint8 else mask.masked_fill(later, float("-inf"))


class Attention(nn.MultiheadAttention):
    """Takes its one, two or three inputs, then a mask and padding."""
    inputs, causal, mask, padding = 1, False, False, False

    def forward(self, *given):
        x, rest = list(given[:self.inputs]), list(given[self.inputs:])
        mask = rest.pop(0) if self.mask else None
        padding = rest.pop(0) if self.padding else None
        q, k, v = x[0], x[len(x) > 1], x[-1]
        steps = [t.shape[0 if t.dim() == 2 or not self.batch_first else 1] for t in (q, k)]
        y, weights = super().forward(q, k, v, key_padding_mask=as_bool(padding), average_attn_weights=False,
                                     attn_mask=with_causal(mask, self.causal, *steps))
        return y, weights.unsqueeze(0) if q.dim() == 2 else weights


def attention():
    heads, n, inputs = some(1, 3), some(1, 3), some(1, 3)
    width, first, bias, causal, unbatched = heads * some(1, 4), flag(), flag(), flag(), some(0, 4) == 0
    apart = inputs > 1 and flag()
    queries = some(1, 5)
    keys = queries if inputs == 1 else some(1, 5)
    widths = [width] + [some(1, 6) if apart else width for _ in range(inputs - 1)]
    n = 1 if unbatched else n
    # Small, so that no weight comes near 1, where its gradient is the difference of equal numbers.
    x = [0.5 * sequence(keys if k else queries, n, w, first, unbatched) for k, w in enumerate(widths)]
    mask, padding = (None, None) if unbatched else masks(queries, keys, n, heads)
    module = Attention(width, heads, bias=bias, batch_first=first, kdim=widths[inputs > 1], vdim=widths[-1])
    module.inputs, module.causal, module.mask, module.padding = inputs, causal, mask is not None, padding is not None
    options = dict(heads=heads, inputs=inputs, causal=causal, batch_first=first, no_bias=not bias, mask=module.mask,
                   padding=module.padding)
    return Case(spell("attention", **options), module, tuple(x + [m for m in (mask, padding) if m is not None]))


class Transformer(nn.TransformerEncoderLayer):
    causal, mask, padding = False, False, False

    def forward(self, x, *rest):
        rest = list(rest)
        mask = rest.pop(0) if self.mask else None
        padding = rest.pop(0) if self.padding else None
        steps = x.shape[0 if x.dim() == 2 or not self.self_attn.batch_first else 1]
        return super().forward(x, with_causal(mask, self.causal, steps, steps), as_bool(padding))


def transformer():
    heads, n, steps, first, causal, norm_first, gelu = some(1, 3), some(1, 3), some(1, 5), flag(), flag(), flag(), flag()
    width, feedforward, eps = heads * some(4, 6), some(4, 9), random.choice((1e-5, 0.01))
    mask, padding = masks(steps, steps, n, heads)
    module = Transformer(width, heads, feedforward, 0.0, "gelu" if gelu else "relu", eps, first, norm_first)
    module.causal, module.mask, module.padding = causal, mask is not None, padding is not None
    options = dict(heads=heads, feedforward=feedforward, causal=causal, batch_first=first, norm_first=norm_first, gelu=gelu,
                   eps=eps, mask=module.mask, padding=module.padding)
    x = sequence(steps, n, width, first, False)
    return Case(spell("transformer", **options), module, tuple([x] + [m for m in (mask, padding) if m is not None]))


LAYERS = (linear, embedding, conv1d, conv2d, conv_transpose1d, conv_transpose2d, batch_norm, instance_norm, layer_norm,
          group_norm, prelu, dropout, activation, pool, network,
          rnn, lstm, gru, attention, transformer)

# ---- PyTorch's side


def unsettle(module):
    """Parameters and running statistics that are not trivial, as after some training."""
    for name, t in module.state_dict().items():
        if name.endswith("running_var"):
            t.uniform_(0.5, 2)
        elif t.is_floating_point():
            t.normal_(0.2, 0.5)


def outputs(module, inputs):
    y = module(*inputs)
    return flatten(y)


def flatten(y):
    if torch.is_tensor(y):
        return [y]
    return [t for part in y if part is not None for t in flatten(part)]


def reference(case, inputs, dy):
    """What layers.c writes to OUT and STATE."""
    case.module.zero_grad()
    inputs = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    y = outputs(case.module, inputs)
    sum((t * d).sum() for t, d in zip(y, dy)).backward()
    results = {"y%d" % k: t for k, t in enumerate(y)}
    results.update({"dx%d" % k: x.grad for k, x in enumerate(inputs) if x.requires_grad})
    results.update({"d.layer." + name: p.grad for name, p in case.module.named_parameters()})
    results.update({"layer." + name: t for name, t in case.module.state_dict().items()})
    return {name: t.detach() for name, t in results.items()}


# ---- this side


def run(folder, options, inputs, dy, state):
    tensors = {"x%d" % k: x for k, x in enumerate(inputs)}
    tensors.update({"dy%d" % k: d for k, d in enumerate(dy)})
    tensors.update({"state.layer." + name: t for name, t in state.items()})
    paths = [folder + "/" + name for name in ("in.safetensors", "out.safetensors", "state.safetensors")]
    write_safetensors(paths[0], tensors)
    if subprocess.run([sys.argv[1], options, *paths]).returncode:
        sys.exit("WRONG %s, x %s: it failed" % (options, " ".join(str(list(x.shape)) for x in inputs)))
    return read_safetensors(paths[1]), read_safetensors(paths[2])


# ---- comparing


def difference(ours, theirs):
    """Of the largest number, or of 0.1: inputs being about 1, less is what a sum that cancels has left. Infinite if the
    shapes differ or something is not a number."""
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return float("inf")
    if theirs.numel() == 0:
        return 0.0
    error, size = (ours.double() - theirs.double()).abs().max().item(), theirs.double().abs().max().item()
    if error == 0:
        return 0.0
    return error / max(size, 0.1) if error == error else float("inf")


def verdict(what, ours, theirs, tolerance):
    errors = {name: difference(ours[name], theirs[name]) for name in theirs if name in ours}
    amiss = ["%s: %.1e" % (name, e) for name, e in errors.items() if not e <= tolerance]
    amiss += [name + " is missing" for name in theirs if name not in ours]
    amiss += [name + " is too many" for name in ours if name not in theirs]
    if amiss or not errors:
        print("WRONG %s: %s" % (what, "; ".join(amiss) or "nothing compared"))
    return not amiss and bool(errors), max(errors.values(), default=0)


def check(folder, case, dtype, training, own):
    """With PyTorch's parameters, or with the layer's own first values, which PyTorch then takes."""
    case.module.to(dtype).train(training)
    inputs = [x.to(dtype) if x.is_floating_point() else x for x in case.inputs]
    dy = [torch.randn_like(y) for y in outputs(case.module, inputs)]
    if not own:
        unsettle(case.module)
    state = {name: t.clone() for name, t in case.module.state_dict().items()}
    options = case.options + (" train=1" if training else "") + " seed=%d" % some(1, 1000)
    results, after = run(folder, options, inputs, dy, {} if own else state)
    if own:
        begun = run(folder, options.replace(" train=1", ""), inputs, dy, {})[1]
        case.module.load_state_dict({name[len("layer."):]: t for name, t in begun.items()}, strict=True)
    shape = " ".join(str(list(x.shape)) for x in inputs)
    what = "%s, x %s, %s%s" % (options, shape, dtype, ", own first values" if own else "")
    return verdict(what, {**results, **after}, reference(case, inputs, dy), TOLERANCE[dtype])


def check_layer(folder, draw, draws):
    good, worst = True, {dtype: 0.0 for dtype in TOLERANCE}
    for k in range(draws):
        for dtype in TOLERANCE:
            case = draw()
            ok, error = check(folder, case, dtype, draw is not dropout and flag(), k % 4 == 3)
            good, worst[dtype] = good and ok, max(worst[dtype], error)
    print("%-5s %-20s %d draws, error up to %s" % ("ok" if good else "WRONG", draw.__name__, draws, ", ".join(
        "%.1e in %s" % (error, str(dtype).split(".")[1]) for dtype, error in worst.items())))
    return good


# ---- extents as in real networks, where sums are long and convolutions take other ways

LARGE = (
    ("linear out=500", nn.Linear(2048, 500), (16, 2048), 0),
    ("conv1d out=128 kernel=9 pad=4", nn.Conv1d(64, 128, 9, padding=4), (4, 64, 100), 0),
    ("conv2d out=128 kernel=3,3 pad=1,1", nn.Conv2d(128, 128, 3, padding=1), (2, 128, 14, 14), 0),
    ("conv2d out=64 kernel=5,5 pad=2,2", nn.Conv2d(128, 64, 5, padding=2), (2, 128, 14, 14), 0),
    ("conv2d out=64 kernel=7,7 stride=2,2 pad=3,3", nn.Conv2d(3, 64, 7, 2, 3), (2, 3, 64, 64), 0),
    ("conv2d out=128 kernel=3,3 pad=1,1 groups=128", nn.Conv2d(128, 128, 3, 1, 1, groups=128), (2, 128, 16, 16), 0),
    ("conv_transpose2d out=64 kernel=3,3 pad=1,1", nn.ConvTranspose2d(128, 64, 3, 1, 1), (2, 128, 14, 14), 0),
    ("batch_norm", nn.BatchNorm2d(8), (16, 8, 16, 16), 50),
    ("layer_norm", nn.LayerNorm(768), (8, 16, 768), 10),
)


def check_large(folder, options, module, shape, mean):
    good = True
    for dtype in TOLERANCE:
        good = check(folder, Case(options, module, (torch.randn(shape) + mean,)), dtype, True, False)[0] and good
    print("%-5s %s, x %s" % ("ok" if good else "WRONG", options, list(shape)))
    return good


# ---- what is random: dropout in training, first values


def check_dropout(folder):
    """Of 20000 a share p is dropped, within five standard deviations; the rest is scaled, and so is the gradient."""
    good = True
    for p in (0.1, 0.5, 0.8):
        x, dy = torch.randn(200, 100).double(), torch.randn(200, 100).double()
        results, _ = run(folder, "dropout p=%g train=1" % p, [x], [dy], {})
        kept = results["y0"] != 0
        right = torch.allclose(results["y0"], x * kept / (1 - p)) and torch.allclose(results["dx0"], dy * kept / (1 - p))
        good = good and right and abs((~kept).double().mean().item() - p) < 5 * (p * (1 - p) / x.numel()) ** 0.5
    print("%-5s dropout in training" % ("ok" if good else "WRONG"))
    return good


FIRST_VALUES = (
    ("linear out=200", nn.Linear(300, 200), torch.zeros(1, 300)),
    ("conv1d out=60 kernel=5 groups=2", nn.Conv1d(80, 60, 5, groups=2), torch.zeros(1, 80, 5)),
    ("conv2d out=60 kernel=3,2", nn.Conv2d(50, 60, (3, 2)), torch.zeros(1, 50, 3, 2)),
    ("conv_transpose2d out=60 kernel=3,2 groups=2", nn.ConvTranspose2d(50, 60, (3, 2), groups=2), torch.zeros(1, 50, 1, 1)),
    ("conv_transpose1d out=60 kernel=5", nn.ConvTranspose1d(50, 60, 5), torch.zeros(1, 50, 1)),
    ("prelu slopes=7", nn.PReLU(7), torch.zeros(1, 7)),
    ("embedding rows=200 width=100 padding=3", nn.Embedding(200, 100, 3), torch.zeros(1, dtype=torch.int64)),
    ("batch_norm", nn.BatchNorm2d(7), torch.zeros(1, 7, 1, 1)),
    ("instance_norm affine=1 running=1", nn.InstanceNorm2d(7, 1e-5, 0.1, True, True), torch.zeros(1, 7, 1, 1)),
    ("layer_norm axes=2", nn.LayerNorm((3, 4)), torch.zeros(1, 3, 4)),
    ("group_norm groups=2", nn.GroupNorm(2, 6), torch.zeros(1, 6, 4)),
    ("lstm hidden=50 layers=2 bidirectional=1", nn.LSTM(30, 50, 2, bidirectional=True), torch.zeros(1, 1, 30)),
    ("gru hidden=50", nn.GRU(30, 50), torch.zeros(1, 1, 30)),
    ("attention heads=4 inputs=1", Attention(60, 4), torch.zeros(1, 1, 60)),
    ("transformer heads=4 feedforward=90", Transformer(60, 4, 90), torch.zeros(1, 1, 60)),
)


def check_first_values(folder, options, module, x):
    """Mean and deviation as PyTorch's to what n numbers allow, and as far out as they, within 5 % (of few, 50 %)."""
    dy = [torch.zeros_like(y) for y in outputs(module.eval(), [x])]
    ours = run(folder, options, [x], dy, {})[1]
    good = True
    for name, theirs in module.state_dict().items():
        mine, theirs = ours["layer." + name].double(), theirs.double()
        n, spread = theirs.numel(), theirs.std(unbiased=False).item()
        near = mine.shape == theirs.shape and abs(mine.mean() - theirs.mean()) <= 7 * spread / n ** 0.5
        slack = 0.05 if n > 1000 else 0.5
        near = near and abs(mine.std(unbiased=False) - spread) <= slack * spread
        far, slack = theirs.abs().max(), 0.25 if "embedding" in options else slack
        near = near and abs(mine.abs().max() - far) <= slack * far
        if not near:
            print("WRONG first values of %s: %s" % (options, name))
        good = good and bool(near)
    if "padding" in options:
        good = good and ours["layer.weight"][3].abs().max().item() == 0
    print("%-5s first values of %s" % ("ok" if good else "WRONG", options))
    return good


def main():
    given = [int(word) for word in sys.argv[2:]]
    seed, draws = given + [1, 12][len(given):]
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        good = [check_layer(folder, draw, draws) for draw in LAYERS] + [check_dropout(folder)]
        good += [check_large(folder, *case) for case in LARGE]
        good += [check_first_values(folder, *case) for case in FIRST_VALUES]
    print("%d of %d agree" % (sum(good), len(good)))
    sys.exit(0 if all(good) else 1)


main()
