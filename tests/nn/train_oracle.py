"""train_oracle.py: optimisers, schedules, losses and a network in training against PyTorch.

    train_oracle.py TRAIN    TRAIN: the program of train.c

Compared are
  - parameters after each of 50 steps on given gradients, to 1e-6 of the largest, in float32;
  - the losses of a small network with batch norm over 200 steps from the same state dictionary and batches, and one out of
    training after that: in float32, without kinks, to 1e-4 relative; with ReLU and max pooling in float64, to 1e-8. (In
    float32 a ReLU or a maximum that rounding tips over shifts later losses by 1e-2, PyTorch's own against its float64 as
    well.) The state dictionaries afterwards, too;
  - losses and their gradients, to 1e-12, in float64;
  - schedules, to 1e-12.
Exit status 77 if there is no torch.

SPDX-License-Identifier: MIT
"""
import subprocess
import sys
import tempfile


def skip(why):
    print("[SKIP] nn/train_oracle: " + why)
    sys.exit(77)


try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    skip("no PyTorch for this Python: apt-get install python3-torch")

from tensor_files import read_safetensors, write_safetensors

torch.manual_seed(1)
torch.set_num_threads(1)


def run(*args):
    done = subprocess.run([sys.argv[1], *args], stdout=subprocess.PIPE, check=True)
    return [float(line) for line in done.stdout.split()]


def verdict(what, error, tolerance):
    good = bool(error <= tolerance)  # a NaN is not
    print("%-5s %-78s error %.1e" % ("ok" if good else "WRONG", what, error))
    return good


def options(text):
    """"adam lr=0.1" as ("adam", {"lr": 0.1})"""
    name, *rest = text.split()
    return name, {k: float(v) for k, v in (pair.split("=") for pair in rest)}


# ---- optimisers

OPTIMISERS = (
    "sgd lr=0.1",
    "sgd lr=0.1 weight_decay=0.01",
    "sgd lr=0.05 momentum=0.9 weight_decay=0.001",
    "sgd lr=0.05 momentum=0.9 dampening=0.3",
    "sgd lr=0.05 momentum=0.9 nesterov=1 weight_decay=0.01",
    "adam",
    "adam lr=0.01 beta1=0.8 beta2=0.95 eps=1e-6 weight_decay=0.02",
    "adam lr=0.01 amsgrad=1",
    "adamw",
    "adamw lr=0.01 weight_decay=0.1 amsgrad=1",
    "rmsprop",
    "rmsprop lr=0.001 alpha=0.9 momentum=0.9 weight_decay=0.01",
    "rmsprop lr=0.001 centered=1",
    "rmsprop lr=0.001 centered=1 momentum=0.9 alpha=0.95 eps=1e-4",
    "adagrad",
    "adagrad lr=0.1 lr_decay=0.01 initial=0.1 weight_decay=0.01 eps=1e-6",
    "adam lr=0.01 clip_norm=3",
    "sgd lr=0.1 momentum=0.9 clip_value=0.5",
)


def torch_optimizer(text, params):
    name, o = options(text)
    for key in ("clip_norm", "clip_value"):
        o.pop(key, None)
    for key in ("nesterov", "amsgrad", "centered"):
        if key in o:
            o[key] = bool(o[key])
    if name in ("adam", "adamw"):
        o["betas"] = (o.pop("beta1", 0.9), o.pop("beta2", 0.999))
    if name == "adagrad":
        o["initial_accumulator_value"] = o.pop("initial", 0)
    make = dict(sgd=torch.optim.SGD, adam=torch.optim.Adam, adamw=torch.optim.AdamW, rmsprop=torch.optim.RMSprop,
                adagrad=torch.optim.Adagrad)[name]
    return make(params, **o)


def clip(text, params):
    _, o = options(text)
    if "clip_norm" in o:
        torch.nn.utils.clip_grad_norm_(params, o["clip_norm"])
    if "clip_value" in o:
        torch.nn.utils.clip_grad_value_(params, o["clip_value"])


def check_optimiser(folder, text):
    start = torch.randn(37)
    grads = torch.randn(50, 37) * torch.logspace(-4, 1, 37)
    np.save(folder + "/p.npy", start.numpy())
    np.save(folder + "/g.npy", grads.numpy())
    run("optimiser", text, folder + "/p.npy", folder + "/g.npy", folder + "/out.npy")
    p = start.clone().requires_grad_()
    opt = torch_optimizer(text, [p])
    theirs = []
    for g in grads:
        p.grad = g.clone()
        clip(text, [p])
        opt.step()
        theirs.append(p.detach().numpy().copy())
    theirs = np.array(theirs)
    ours = np.load(folder + "/out.npy")
    moved = np.abs(theirs[-1] - start.numpy()).min() > 0
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    return verdict(text, error, 1e-6) and moved


# ---- a network

NETWORKS = (
    "sgd lr=0.05 momentum=0.9 weight_decay=0.0005",
    "adam lr=0.003",
    "adamw lr=0.003 weight_decay=0.05",
    "sgd lr=0.1 momentum=0.9 nesterov=1 clip_norm=1",
)
# Type, smooth, and tolerances: of losses, relative; of the state after all steps, of the largest number of a tensor.
DTYPES = ((torch.float32, True, 1e-4, 1e-4), (torch.float64, False, 1e-8, 1e-8))
STEPS = 200


class Network(nn.Module):
    def __init__(self, smooth):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.fc = nn.Linear(12, 5)
        self.act, self.pool = (F.gelu, F.avg_pool2d) if smooth else (F.relu, F.max_pool2d)

    def forward(self, x):
        x = self.pool(self.act(self.bn1(self.conv1(x))), 2)
        return self.fc(self.act(self.bn2(self.conv2(x))).mean((2, 3)))


def batches():
    """8 batches of 16 noisy pictures, whose pattern says their class."""
    patterns = torch.randn(5, 3, 10, 10)
    labels = torch.randint(0, 5, (8, 16))
    return patterns[labels] + 1.5 * torch.randn(8, 16, 3, 10, 10), labels


def train(net, text, x, labels):
    """The losses in training, and one out of it."""
    params = list(net.parameters())
    opt = torch_optimizer(text, params)
    losses = []
    for step in range(STEPS + 1):
        net.train(step < STEPS)
        loss = F.cross_entropy(net(x[step % 8]), labels[step % 8])
        losses.append(loss.item())
        if step < STEPS:
            opt.zero_grad()
            loss.backward()
            clip(text, params)
            opt.step()
    return np.array(losses)


def check_network(folder, text, dtype, smooth, tolerance, state_tolerance):
    net = Network(smooth).to(dtype)
    x, labels = batches()
    x = x.to(dtype)
    state = {"state." + name: t for name, t in net.state_dict().items()}
    write_safetensors(folder + "/w.safetensors", {"labels": labels, "x": x, **state})
    ours = np.array(run("network", text + " smooth=%d" % smooth, folder + "/w.safetensors", str(STEPS),
                        folder + "/state.safetensors"))
    theirs = train(net, text, x, labels)
    error = (np.abs(ours - theirs) / np.abs(theirs)).max()
    what = "%s: loss %.3f to %.3f in %s" % (text, theirs[0], theirs[-2], dtype)
    good = verdict(what, error, tolerance) and theirs[-2] < theirs[0] / 2
    after, their_state = read_safetensors(folder + "/state.safetensors"), net.state_dict()
    error = max((after[name] - t).abs().max().item() / t.abs().max().item() for name, t in their_state.items())
    return verdict("  the state afterwards", error, state_tolerance) and good and after.keys() == their_state.keys()


# ---- losses

CLASS_WEIGHTS = torch.tensor([0.5, 2, 1, 0.25, 3], dtype=torch.float64)
LABELLED = tuple(
    "%s reduce=%d label_smoothing=%g weights=%d ignore=%d" % (name, reduce, smoothing, weights, ignore)
    for name in ("cross_entropy", "nll")
    for reduce in (0, 1)
    for smoothing in (0, 0.1)
    for weights in (0, 1)
    for ignore in (0, -100)
    if not (name == "nll" and smoothing)  # PyTorch's has none
)
PAIRS = tuple("%s reduce=%d" % (name, reduce) for name in ("mse", "bce", "bce_with_logits", "l1", "kl", "huber delta=0.7",
                                                          "smooth_l1 beta=0.4") for reduce in (0, 1))


def torch_loss(text, x, target):
    name, o = options(text)
    how = {"reduction": "sum" if o["reduce"] else "mean"}
    if name in ("cross_entropy", "nll"):
        how.update(weight=CLASS_WEIGHTS if o["weights"] else None, ignore_index=int(o["ignore"]) or -1)
        if name == "nll":
            return F.nll_loss(x, target, **how)
        return F.cross_entropy(x, target, label_smoothing=o["label_smoothing"], **how)
    if name == "huber":
        how["delta"] = o["delta"]
    if name == "smooth_l1":
        how["beta"] = o["beta"]
    return dict(mse=F.mse_loss, bce=F.binary_cross_entropy, bce_with_logits=F.binary_cross_entropy_with_logits,
                l1=F.l1_loss, kl=F.kl_div, huber=F.huber_loss, smooth_l1=F.smooth_l1_loss)[name](x, target, **how)


def loss_inputs(text):
    name, o = options(text)
    if name in ("cross_entropy", "nll"):
        labels = torch.randint(0, 5, (9,))
        if o["ignore"]:
            labels[::4] = int(o["ignore"])
        return torch.randn(9, 5, dtype=torch.float64), labels
    target = torch.rand(4, 6, dtype=torch.float64)
    x = torch.rand(4, 6, dtype=torch.float64) if name == "bce" else torch.randn(4, 6, dtype=torch.float64)
    if name == "kl":
        target[0, 0] = 0
    return x, target


def check_loss(folder, text):
    x, target = loss_inputs(text)
    np.save(folder + "/x.npy", x.numpy())
    np.save(folder + "/t.npy", target.numpy())
    (ours,) = run("loss", text, folder + "/x.npy", folder + "/t.npy", folder + "/dx.npy")
    x.requires_grad_()
    theirs = torch_loss(text, x, target)
    theirs.backward()
    slope = x.grad.numpy()
    error = max(abs(ours - theirs.item()) / abs(theirs.item()),
                np.abs(np.load(folder + "/dx.npy") - slope).max() / np.abs(slope).max())
    return verdict(text, error, 1e-12)


# ---- schedules

schedulers = torch.optim.lr_scheduler
TOTAL = 40
SCHEDULES = (
    ("step every=7 gamma=0.3", lambda opt: schedulers.StepLR(opt, 7, 0.3), "lr"),
    ("multistep gamma=0.2", lambda opt: schedulers.MultiStepLR(opt, [3, 11, 12], 0.2), "lr"),
    ("cosine last=0.05", lambda opt: schedulers.CosineAnnealingLR(opt, TOTAL, 0.05), "lr"),
    ("warm_up steps=9 first=0.25", lambda opt: schedulers.LinearLR(opt, 0.25, 1, 9), "lr"),
    ("one_cycle", lambda opt: schedulers.OneCycleLR(opt, 1, TOTAL), "lr"),
    ("one_cycle linear=1", lambda opt: schedulers.OneCycleLR(opt, 1, TOTAL, anneal_strategy="linear"), "lr"),
    ("one_cycle_momentum", lambda opt: schedulers.OneCycleLR(opt, 1, TOTAL), "momentum"),
)


def check_schedule(text, make, key):
    ours = np.array(run("schedule", text, str(TOTAL)))
    opt = torch.optim.SGD([torch.zeros(1)], lr=1, momentum=0.9)
    scheduler = make(opt)
    theirs = []
    for _ in range(TOTAL):
        theirs.append(opt.param_groups[0][key])
        opt.step()
        if len(theirs) < TOTAL:
            scheduler.step()
    return verdict("schedule " + text, np.abs(ours - np.array(theirs)).max(), 1e-12)


def check_plateau():
    ours = np.array(run("schedule", "plateau", str(TOTAL)))
    opt = torch.optim.SGD([torch.zeros(1)], lr=1)
    scheduler = schedulers.ReduceLROnPlateau(opt, factor=0.5, patience=2, cooldown=3, min_lr=0.1)
    theirs = []
    for t in range(TOTAL):
        scheduler.step(max(1 / (1 + t), 0.2))
        theirs.append(opt.param_groups[0]["lr"])
    return verdict("schedule plateau", np.abs(ours - np.array(theirs)).max(), 1e-12) and theirs[-1] == 0.1


def main():
    with tempfile.TemporaryDirectory() as folder:
        good = [check_optimiser(folder, text) for text in OPTIMISERS]
        good += [check_network(folder, text, *how) for text in NETWORKS for how in DTYPES]
        good += [check_loss(folder, text) for text in LABELLED + PAIRS]
    good += [check_schedule(*case) for case in SCHEDULES] + [check_plateau()]
    print("%d of %d agree" % (sum(good), len(good)))
    sys.exit(0 if all(good) else 1)


main()
