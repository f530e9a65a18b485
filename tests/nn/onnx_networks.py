#!/usr/bin/python3
"""Whole networks from PyTorch as ONNX: outputs, and pixel gradients of random hidden units under each rule, against PyTorch.

usage: onnx_networks.py MAPS [NETWORK…] [--opset N]… [--units N] [--seed N] [--no-folding] [--f64]      MAPS: the program of maps.c

The networks are torchvision's, with random weights and batch norm statistics that are not trivial, and a small U-Net. Each is
exported with the outputs of some of its modules, chosen at random, beside its own; hidden units are chosen at random among
these. PyTorch computes them in float64. Outputs must agree to 1e-4 and gradients to 1e-3 of the largest; where a unit stands within
rounding of a ReLU's kink, f32 may fail that, as PyTorch's f32 does, and so may f64 if the exporter has rounded weights it folded.
With --f64 ours are computed in f64, too, from an export without folding, and must agree to 1e-7, which leaves room for constants of
the graph that the exporter has rounded (1/6, √2). Exit status 77, which means skipped, where PyTorch or torchvision is missing.

SPDX-License-Identifier: MIT
"""
import argparse
import copy
import os
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torchvision import models
except ImportError as missing:
    print("[SKIP] nn/onnx_networks: %s: apt-get install python3-torch python3-torchvision" % missing)
    sys.exit(77)

warnings.filterwarnings("ignore")
RULES = ("gradient", "deconvnet", "guided")


# ---- ReLU and ReLU6 under a rule


class Rectify(torch.autograd.Function):
    """clamp(x, 0, top), where the derivative is 1 inside."""

    rule = "gradient"

    @staticmethod
    def forward(ctx, x, top):
        ctx.save_for_backward((x > 0) & (x < top))
        return x.clamp(0, top)

    @staticmethod
    def backward(ctx, dy):
        (inside,) = ctx.saved_tensors
        if Rectify.rule != "gradient":
            dy = dy.clamp(min=0)
        return (dy if Rectify.rule == "deconvnet" else dy * inside), None


class rules_apply:
    """While this lasts, ReLUs follow Rectify.rule."""

    def __enter__(self):
        self.kept = F.relu, F.hardtanh
        F.relu = lambda x, inplace=False: Rectify.apply(x, float("inf"))
        F.hardtanh = lambda x, low, high, inplace=False: \
            Rectify.apply(x, high) if low == 0 else self.kept[1](x, low, high)

    def __exit__(self, *_):
        F.relu, F.hardtanh = self.kept


# ---- the networks


class UNet(nn.Module):
    def __init__(self, width=8):
        super().__init__()

        def twice(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
                                 nn.Conv2d(o, o, 3, padding=1), nn.ReLU())

        self.down = nn.ModuleList(twice(3 if k == 0 else width << k - 1, width << k) for k in range(4))
        self.up = nn.ModuleList(nn.ConvTranspose2d(width << k + 1, width << k, 2, 2) for k in range(3))
        self.join = nn.ModuleList(twice(width << k + 1, width << k) for k in range(3))
        self.out = nn.Conv2d(width, 4, 1)

    def forward(self, x):
        kept = []
        for k, layer in enumerate(self.down):
            x = layer(F.max_pool2d(x, 2) if k else x)
            kept.append(x)
        for k in (2, 1, 0):
            x = self.join[k](torch.cat((kept[k], self.up[k](x)), 1))
        return self.out(x)


def torchvision(name, size=96, **how):
    return lambda: (getattr(models, name)(weights=None, **how), size)


NETWORKS = {
    "alexnet": torchvision("alexnet", 224),
    "vgg11": torchvision("vgg11"),
    "vgg13_bn": torchvision("vgg13_bn"),
    "resnet18": torchvision("resnet18"),
    "resnet50": torchvision("resnet50"),
    "resnext50_32x4d": torchvision("resnext50_32x4d"),
    "squeezenet1_0": torchvision("squeezenet1_0", 127),
    "squeezenet1_1": torchvision("squeezenet1_1"),
    "googlenet": torchvision("googlenet", 128, aux_logits=False, init_weights=False, transform_input=True),
    "inception_v3": torchvision("inception_v3", 128, aux_logits=False, init_weights=True),
    "densenet121": torchvision("densenet121"),
    "mobilenet_v2": torchvision("mobilenet_v2"),
    "mobilenet_v3_small": torchvision("mobilenet_v3_small"),
    "mobilenet_v3_large": torchvision("mobilenet_v3_large"),
    "mnasnet0_5": torchvision("mnasnet0_5"),
    "efficientnet_b0": torchvision("efficientnet_b0"),
    "efficientnet_v2_s": torchvision("efficientnet_v2_s"),
    "shufflenet_v2_x0_5": torchvision("shufflenet_v2_x0_5"),
    "regnet_x_400mf": torchvision("regnet_x_400mf"),
    "regnet_y_400mf": torchvision("regnet_y_400mf"),
    "convnext_tiny": torchvision("convnext_tiny"),
    "vit_b_32": torchvision("vit_b_32", 64, image_size=64),
    "swin_t": torchvision("swin_t"),
    "unet": lambda: (UNet(), 64),
}


def draw_statistics(model):
    """Running averages and factors as training leaves them, not the 0 and 1 they begin with."""
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.running_mean, -0.2, 0.2)
            nn.init.uniform_(m.running_var, 0.6, 1.5)
            nn.init.uniform_(m.weight, 0.8, 1.3)
            nn.init.uniform_(m.bias, -0.2, 0.2)
        elif isinstance(m, nn.Linear) and not m.weight.any():
            nn.init.uniform_(m.weight, -0.1, 0.1)


class Watched(nn.Module):
    """A network that also returns the outputs of the modules of these names."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names, self.seen = model, names, {}
        for name in names:
            dict(model.named_modules())[name].register_forward_hook(self.keep(name))

    def keep(self, name):
        def hook(_m, _x, y):
            self.seen[name] = y * 1  # at once: what follows may work in place

        return hook

    def forward(self, x):
        y = self.model(x)
        return (y,) + tuple(self.seen[name] for name in self.names)


def choose_modules(model, x, n, random):
    """Names of n modules whose outputs are tensors that depend on x, none of them the last one's."""
    shapes = {}

    def note(name):
        def hook(_m, _x, y):
            shapes[name] = y

        return hook

    hooks = [m.register_forward_hook(note(name)) for name, m in model.named_modules() if name]
    x = x.clone().requires_grad_(True)
    last = model(x)
    for hook in hooks:
        hook.remove()
    fit = [k for k, y in shapes.items() if torch.is_tensor(y) and y is not last and y.dim() > 1 and y.shape[0] == 1]
    chosen = []
    for k in random.permutation(len(fit)):
        if len(chosen) < n and torch.autograd.grad(shapes[fit[k]].sum(), x, retain_graph=True, allow_unused=True)[0] is not None:
            chosen.append(k)
    return [fit[k] for k in sorted(chosen)]


# ---- comparing


def distance(ours, theirs):
    scale = np.abs(theirs).max()
    return np.abs(ours - theirs).max() / scale if scale > 0 else np.abs(ours).max()


def export(watched, x, path, opset, fold):
    names = ["scores"] + ["hidden/%d" % k for k in range(len(watched.names))]
    how = {"dynamo": False} if "dynamo" in torch.onnx.export.__code__.co_varnames else {}
    if not fold:  # otherwise batch norm is folded before we see it
        how["training"] = torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(watched, x, path, opset_version=opset, input_names=["pixels"], output_names=names,
                      dynamic_axes={"pixels": {0: "batch"}}, do_constant_folding=fold, **how)


def pick_unit(y, random):
    """An index at which y is not zero, if there is one."""
    some = np.argwhere(y.detach().numpy() != 0)
    return tuple(int(i) for i in some[random.integers(len(some))]) if len(some) else (0,) * y.dim()


def has_relu(y):
    seen, todo = set(), [y.grad_fn]
    while todo:
        f = todo.pop()
        if f is None or f in seen:
            continue
        seen.add(f)
        if "Rectify" in f.name():
            return True
        todo += [g for g, _ in f.next_functions]
    return False


def check(a, name, opset, random, folder):
    torch.manual_seed(int(random.integers(1 << 30)))
    model, size = NETWORKS[name]()
    draw_statistics(model)
    model.eval()
    x = torch.randn(1, 3, size, size)
    names, exact = choose_modules(model, x, a.units, random), copy.deepcopy(model).double()
    watched, exact = Watched(model, names).eval(), Watched(exact, names).eval()
    path = os.path.join(folder, name + ".onnx")
    export(watched, x, path, opset, not a.no_folding and not a.f64)
    np.save(os.path.join(folder, "x.npy"), x.numpy())
    x = x.double().requires_grad_(True)
    with rules_apply():
        y = exact(x)
        rules = RULES if any(has_relu(h) for h in y) else RULES[:1]
        units = [(k, pick_unit(y[k + 1], random)) for k in range(len(watched.names))]
        texts = ["hidden/%d[%s]" % (k, ",".join(map(str, index))) for k, index in units]
        mode = ["--f64"] if a.f64 else []
        subprocess.run([a.maps] + mode + [path, os.path.join(folder, "x.npy"), folder] + texts, check=True)
        outputs = distance(np.load(os.path.join(folder, "0.output.npy")), y[0].detach().numpy())
        worst, where, compared = 0, "", 0
        for k, index in units:
            for rule in rules:
                Rectify.rule = rule
                theirs, = torch.autograd.grad(y[k + 1][index], x, retain_graph=True)
                error = distance(np.load(os.path.join(folder, "%d.%s.npy" % (k, rule))), theirs[0].numpy())
                compared += 1
                if not error <= worst:
                    worst, where = error, "%s[%s] %s" % (watched.names[k], ",".join(map(str, index)), rule)
    good = outputs <= (1e-7 if a.f64 else 1e-4) and worst <= (1e-7 if a.f64 else 1e-3)
    print("%-5s %-18s opset %d: output %.1e, %d gradients within %.1e (%s)"
          % ("ok" if good else "WRONG", name, opset, outputs, compared, worst, where), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("maps")
    parser.add_argument("--opset", type=int, action="append")
    parser.add_argument("--units", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-folding", action="store_true", help="export without folding constants and batch norm")
    parser.add_argument("--f64", action="store_true", help="compute ours in f64, too, without folding, and agree to 1e-7")
    parser.add_argument("network", nargs="*")
    a = parser.parse_args()
    random, bad, n = np.random.default_rng(a.seed), 0, 0
    torch.set_num_threads(1)
    for name in a.network or NETWORKS:
        for opset in a.opset or [13]:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    good = check(a, name, opset, random, folder)
                except Exception as e:
                    print("WRONG %s opset %d: %s" % (name, opset, str(e).strip()[:300]), flush=True)
                    good = False
            bad, n = bad + (not good), n + 1
    print("%d of %d networks agree" % (n - bad, n))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
