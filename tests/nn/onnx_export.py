#!/usr/bin/python3
"""Export networks from PyTorch, with random weights, as ONNX conformance cases: NAME/model.onnx and a data set with
PyTorch's outputs and pixel gradients; and have onnx_conformance compare.

usage: onnx_export.py ONNX_CONFORMANCE [DIR]

The parts that whole networks are made of, one case each: residual blocks, depthwise and squeeze-excitation blocks,
channel shuffles, dense concatenations, U-Net's ways down and up, attention, recurrent layers. Exit status 77, which means
skipped, where PyTorch is missing.

SPDX-License-Identifier: MIT
"""
import os
import struct
import subprocess
import sys
import tempfile
import warnings

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    print("PyTorch is missing: install python3-torch")
    sys.exit(77)

warnings.filterwarnings("ignore")
torch.manual_seed(1)


def conv_bn(i, o, k=3, s=1, g=1, act=nn.ReLU):
    """Convolution, batch norm with statistics that are not trivial, activation."""
    norm = nn.BatchNorm2d(o)
    nn.init.uniform_(norm.running_mean, -0.5, 0.5)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), norm, act())


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = conv_bn(8, 16, 3, 2), conv_bn(16, 16, 3, 1, 1, nn.Identity)
        self.skip = conv_bn(8, 16, 1, 2, 1, nn.Identity)

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + self.skip(x))


class SqueezeExcite(nn.Module):
    def __init__(self, c, act):
        super().__init__()
        self.down, self.up, self.act = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1), act

    def forward(self, x):
        return x * self.act(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class Shuffle(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(conv_bn(8, 8, 1), conv_bn(8, 8, 3, 1, 8, nn.Identity), conv_bn(8, 8, 1))

    def forward(self, x):
        a, b = x.chunk(2, 1)
        y = torch.cat((a, self.branch(b)), 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(conv_bn(8 + 4 * k, 4) for k in range(3))

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        return F.avg_pool2d(x, 2)


class UNet(nn.Module):
    def __init__(self, up):
        super().__init__()
        self.down, self.deep = conv_bn(3, 8), conv_bn(8, 8)
        self.up = nn.ConvTranspose2d(8, 8, 2, 2) if up == "transpose" else \
            nn.Upsample(scale_factor=2, mode=up, **({} if up == "nearest" else {"align_corners": up == "bicubic"}))
        self.out = conv_bn(16, 4)

    def forward(self, x):
        a = self.down(x)
        return self.out(torch.cat((a, self.up(self.deep(F.max_pool2d(a, 2)))), 1))


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.depth, self.norm = nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.LayerNorm(8, 1e-6)
        self.wide, self.narrow = nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale = nn.Parameter(torch.rand(8))

    def forward(self, x):
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.cls, self.pos = nn.Parameter(torch.rand(1, 1, 16)), nn.Parameter(torch.rand(1, 17, 16))
        self.attention, self.n1, self.n2 = nn.MultiheadAttention(16, 4, batch_first=True), nn.LayerNorm(16), nn.LayerNorm(16)
        self.mlp, self.head = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)), nn.Linear(16, 5)

    def forward(self, x):
        y = self.patch(x).flatten(2).transpose(1, 2)
        y = torch.cat((self.cls.expand(y.shape[0], -1, -1), y), 1) + self.pos
        z = self.n1(y)
        y = y + self.attention(z, z, z, need_weights=False)[0]
        return self.head((y + self.mlp(self.n2(y)))[:, 0])


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer = kind(6, 5, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.layer(x)[0]


class Function(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


def cases():
    image, features = torch.randn(2, 3, 16, 16), torch.randn(2, 8, 8, 8)
    yield "residual", Residual(), features
    yield "inverted", nn.Sequential(conv_bn(8, 24, 1, act=nn.Hardswish), conv_bn(24, 24, 5, 2, 24, nn.Hardswish),
                                    SqueezeExcite(24, nn.Hardsigmoid()), conv_bn(24, 8, 1, act=nn.Identity)), features
    yield "relu6", nn.Sequential(conv_bn(8, 24, 1, act=nn.ReLU6), conv_bn(24, 8, 3, 1, 8, nn.ReLU6)), features
    yield "efficient", nn.Sequential(conv_bn(8, 16, 3, act=nn.SiLU), SqueezeExcite(16, nn.Sigmoid())), features
    yield "shuffle", Shuffle(), torch.randn(2, 16, 6, 6)
    yield "dense", Dense(), features
    for up in ("transpose", "nearest", "bilinear", "bicubic"):
        yield "unet_" + up, UNet(up), image
    yield "convnext", ConvNeXt(), features
    yield "attention", Attention(), image
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        yield "recurrent_" + kind.__name__.lower(), Recurrent(kind), torch.randn(3, 4, 6)
    yield "alexnet", nn.Sequential(nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
                                   nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 7), nn.LogSoftmax(1)), image
    yield "norms", nn.Sequential(nn.InstanceNorm2d(8, affine=True), nn.GroupNorm(4, 8), nn.PReLU(8), nn.Softplus(), nn.ELU()), features
    yield "pads", nn.Sequential(nn.ReflectionPad2d((1, 2, 0, 3)), nn.ReplicationPad2d(1), nn.ConstantPad2d((1, -1, 0, 2), 3)), features
    yield "conv3d", nn.Sequential(nn.Conv3d(2, 4, 3, (1, 2, 1), 1), nn.ReLU(), nn.MaxPool3d(2), nn.ConvTranspose3d(4, 2, 2, 2)), \
        torch.randn(1, 2, 6, 8, 6)
    yield "einsum", Function(lambda x: torch.einsum("bchw,bdhw->bcd", x, x * 2)), features
    yield "indexing", Function(lambda x: x[:, 1:-1:2, ..., -1].roll(1, 1).flip(1)), features
    yield "split", Function(lambda x: sum(t.mean((2, 3)) for t in x.split([3, 5], 1)[:1])), features
    yield "topk", Function(lambda x: x.flatten(1).topk(5, 1)[0].cumsum(1)), features
    yield "pixel_shuffle", Function(lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2).clamp(0, 1)), features
    yield "masked", Function(lambda x: torch.where(x > 0, x.tanh(), x.abs().sqrt()).masked_fill(x < -1, 0.25)), features


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def tensor_proto(t):
    """A TensorProto: dims (field 1), data_type float (2), raw_data (9)."""
    raw = struct.pack("<%df" % t.numel(), *t.flatten().tolist())
    return b"".join(b"\x08" + varint(d) for d in t.shape) + b"\x10\x01" + b"\x4a" + varint(len(raw)) + raw


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def export(folder, model, x, opset):
    """One case, unless this opset cannot express it."""
    model.eval()
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    try:
        torch.onnx.export(model, x, os.path.join(folder, "model.onnx"), opset_version=opset,
                          dynamic_axes={"x": {0: "batch"}}, input_names=["x"], output_names=["y"])
    except Exception as e:
        print("not exported:", os.path.basename(folder), str(e).splitlines()[0][:100])
        return
    x.requires_grad_(True)
    y = model(x)
    gradient, = torch.autograd.grad((y * y).sum() / 2, x)
    for name, value in (("input_0", x), ("output_0", y), ("gradient_0", gradient)):
        write(os.path.join(data, name + ".pb"), tensor_proto(value.detach()))
    x.requires_grad_(False)


def main(program, root):
    for opset in (11, 13, 16):
        for name, model, x in cases():
            export(os.path.join(root, "%s_opset%d" % (name, opset)), model, x, opset)
    return subprocess.call([program, root])


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(main(sys.argv[1], sys.argv[2]))
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(sys.argv[1], scratch))
