"""oracle.py: influence maps against an independent computation: PyTorch, in float64.

    oracle.py MAPS ROOT    MAPS: the program of maps.c; ROOT: the source tree, for where the data are (see data.h)

Both networks are written here a second time, in terms of torch alone. For random units with a positive value, in layers
of every depth, each map under each rule (gradient, deconvnet, guided) must lie within 1e-3 of its own largest value of the
oracle's, and be exactly zero where the oracle's receptive field ends. In f64, where rounding decides nothing, on other photos,
within 1e-6. Exit status 77 if there is no torch or no data.

SPDX-License-Identifier: MIT
"""
import os
import subprocess
import sys
import tempfile


def skip(why):
    print("[SKIP] nn/oracle: " + why)
    sys.exit(77)


try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError:
    skip("no PyTorch for this Python: apt-get install python3-torch")

from tensor_files import read_safetensors

TOLERANCE = {"f32": 1e-3, "f64": 1e-6}
RULES = ("gradient", "deconvnet", "guided")


# ---- ReLU under a rule


class Relu(torch.autograd.Function):
    rule = "gradient"

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        if Relu.rule != "gradient":
            dy = dy.clamp(min=0)
        return dy if Relu.rule == "deconvnet" else dy * (x > 0)


relu = Relu.apply


# ---- the networks; every layer's output is kept in `layers`


def squeezenet(w, x, layers):
    def conv(name, x, **how):
        layers[name] = F.conv2d(x, w[name + ".weight"], w[name + ".bias"], **how)
        return relu(layers[name])

    def fire(k, x):
        name = "fire%d" % k
        x = conv(name + ".squeeze1x1", x)
        sides = conv(name + ".expand1x1", x), conv(name + ".expand3x3", x, padding=1)
        layers[name] = torch.cat(sides, 1)
        return layers[name]

    x = conv("conv1", x, stride=2)
    for k in range(2, 10):
        if k in (2, 5, 9):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = fire(k, x)
    x = conv("conv10", x, padding=1)
    layers["logits"] = x.mean((2, 3))


def resnet20(w, x, layers):
    def conv_bn(conv, bn, x, stride):
        layers[conv] = F.conv2d(x, w[conv + ".weight"], stride=stride, padding=1)
        statistics = (w[bn + s] for s in (".running_mean", ".running_var", ".weight", ".bias"))
        layers[bn] = F.batch_norm(layers[conv], *statistics, eps=1e-5)
        return layers[bn]

    def block(name, x, stride):
        y = relu(conv_bn(name + ".conv1", name + ".bn1", x, stride))
        y = conv_bn(name + ".conv2", name + ".bn2", y, 1)
        if stride == 2:
            c = x.shape[1] // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, c, c))
        layers[name] = relu(x + y)
        return layers[name]

    x = relu(conv_bn("conv1", "bn1", x, 1))
    for stage in (1, 2, 3):
        for k in range(3):
            x = block("layer%d.%d" % (stage, k), x, 2 if stage > 1 and k == 0 else 1)
    layers["logits"] = F.linear(x.mean((2, 3)), w["linear.weight"], w["linear.bias"])


# Photos in which a map in f32 is often off by far more than that: many of their pixels are nearly alike.
PHOTOS_F64 = ("skimage_coffee.png", "skimage_rocket.jpg")

# Units of each case beside the random ones: on their way lie ReLUs whose input is so close to 0 that a forward pass less exact
# than plain sums in f32 gets its sign wrong, and a map that is off by more than the tolerance.
CASES = (
    ("squeezenet1_0", "squeezenet1_0_dc.safetensors", "chelsea_227.png", squeezenet,
     (("fire9.expand3x3", (0, 114, 10, 8)), ("fire9.expand1x1", (0, 51, 12, 8)), ("logits", (0, 347))),
     ("conv1", "fire2", "fire3.expand3x3", "fire4.squeeze1x1", "fire5", "fire6.expand1x1", "fire7", "fire8.expand3x3",
      "fire9.squeeze1x1", "fire9", "conv10", "logits")),
    ("resnet20", "resnet20_cifar10.safetensors", "chelsea.png", resnet20, (),
     ("conv1", "bn1", "layer1.0", "layer1.1.conv2", "layer1.2", "layer2.0.bn1", "layer2.0", "layer2.2", "layer3.0.conv1",
      "layer3.1", "layer3.2", "logits")),
)


# ---- comparing


def random_unit(layers, name, random):
    """An index, batch first, at which the layer is positive."""
    positive = np.argwhere(layers[name].detach().numpy() > 0)
    return tuple(int(i) for i in positive[random.integers(len(positive))])


def all_pass(net, w, x):
    """The layers of the network with weights of one and averages for maxima: whatever can reach a unit does."""
    layers, ones = {}, {k: torch.ones_like(v) for k, v in w.items()}
    original = F.max_pool2d
    F.max_pool2d = lambda x, *how, ceil_mode: F.avg_pool2d(x, *how, ceil_mode=ceil_mode)
    try:
        net(ones, x, layers)
    finally:
        F.max_pool2d = original
    return layers


def influence(y, x, rule):
    Relu.rule = rule
    return torch.autograd.grad(y, x, retain_graph=True)[0].numpy()


def compare(what, ours, theirs, field, tolerance):
    scale = np.abs(theirs).max()
    error = np.abs(ours - theirs).max() / scale if scale > 0 else np.abs(ours).max()
    outside = np.abs(ours[~field]).max(initial=0)
    good = ours.shape == theirs.shape and error <= tolerance and outside == 0
    print("%-5s %-44s error %.1e of %.2e, %3.0f %% of the input in its field"
          % ("ok" if good else "WRONG", what, error, scale, 100 * field.mean()))
    return good, scale > 0


def check(program, dtype, data, arch, weights, picture, net, chosen, names):
    maps = [program] + ["--f64"] * (dtype == "f64")
    spec = arch + ":" + os.path.join(data, weights)
    picture = os.path.join(data, picture)
    w = {name: t.double() for name, t in read_safetensors(os.path.join(data, weights)).items()}
    random = np.random.default_rng(2)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(maps + [spec, picture, folder], check=True)
        x = torch.tensor(np.load(folder + "/0.input.npy").astype(np.float64), requires_grad=True)
        layers, passing = {}, all_pass(net, w, x)
        net(w, x, layers)
        units = [(name, random_unit(layers, name, random)) for name in names] + list(chosen)
        texts = ["%s[%s]" % (name, ",".join(map(str, index[1:]))) for name, index in units]
        subprocess.run(maps + [spec, picture, folder] + texts, check=True)
        verdicts = []
        for k, (name, index) in enumerate(units):
            field = influence(passing[name][index], x, "deconvnet") != 0
            for rule in RULES:
                theirs = influence(layers[name][index], x, rule)
                ours = np.load("%s/%d.%s.npy" % (folder, k, rule))
                what = "%s %s %s" % (arch, texts[k], rule)
                verdicts.append(compare(what, ours, theirs, field, TOLERANCE[dtype]))
    good, telling = zip(*verdicts)
    print("%s in %s: %d of %d maps agree, %d of them are not zero"
          % (arch, dtype, sum(good), len(good), sum(telling)))
    return all(good) and sum(telling) > len(good) * 3 // 4


def main():
    maps, root = sys.argv[1:]
    data = os.environ.get("HZ_DATA") or os.path.join(root, "../shared/data")
    good = True
    for case in CASES:
        for name in case[1:3] + PHOTOS_F64:
            if not os.access(os.path.join(data, name), os.R_OK):
                skip("no %s in %s: set HZ_DATA" % (name, data))
        good = check(maps, "f32", data, *case) and good
        for photo in PHOTOS_F64:
            good = check(maps, "f64", data, *case[:2], photo, case[3], (), case[5]) and good
    sys.exit(0 if good else 1)


main()
