"""The work of `altprop bench` in eager PyTorch, as a user would write it with torch.nn and torch.optim.

`altprop bench` starts this script and takes turns with it, so that both see the same machine. One request per line on
stdin, one answer per line on stdout:

    WORK RULE OPTIMIZER BATCH SECONDS [compile]   ->   seconds of a training step, or "none"
    WORK RULE OPTIMIZER BATCH memory              ->   most bytes alive in a step, or "none"

A step is zero_grad, forward pass, loss, backward pass, optimizer step, and the running loss and accuracy. The
threads are the first argument, the clock ("wall" or "processor") is the second. The time is the one that a tenth of the
steps undercut or reach. Convolutional networks take the memory layout that is faster here, tried out beforehand. Bytes
are those of the tensors that model, optimizer and step own, without the data.
"""
import os
import sys
import time

os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # of the profiler that reads memory: no log lines among the progress

import torch
import torch.nn.functional as F
from torch import nn

if "event_net" not in globals():  # else the other parts have been put in front of this
    from eager_ode import ImageField, OdeBlock, OdeToOde, SmallField
    from eager_spikes import event_net, intensities, spike_cross_entropy, window_net


# Rules whose feedback tensor M takes the weight's place in the backward pass.
def fixed(weight):
    m = torch.randn_like(weight) / weight[0].numel() ** 0.5
    return lambda: m


def uniform_sign(weight):
    scale = 1 / weight[0].numel() ** 0.5
    return lambda: torch.sign(weight) * scale


def fixed_random_sign(weight):
    m = (torch.randn_like(weight) / weight[0].numel() ** 0.5).abs()
    return lambda: torch.sign(weight) * m


def batchwise_random_sign(weight):
    scale = 1 / weight[0].numel() ** 0.5
    return lambda: torch.sign(weight) * (torch.randn_like(weight) * scale).abs()


FEEDBACK = {
    "feedback-alignment": fixed,
    "uniform-sign": uniform_sign,
    "fixed-random-sign": fixed_random_sign,
    "batchwise-random-sign": batchwise_random_sign,
}


class LinearFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, m):
        ctx.save_for_backward(x, m)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, cot):
        x, m = ctx.saved_tensors
        needed = ctx.needs_input_grad
        return cot @ m if needed[0] else None, cot.t() @ x, cot.sum(0) if needed[2] else None, None


class ConvFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, m, stride, padding):
        ctx.save_for_backward(x, m)
        ctx.settings = stride, padding, bias
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx, cot):
        x, m = ctx.saved_tensors
        stride, padding, bias = ctx.settings
        sizes = None if bias is None else [m.shape[0]]
        mask = [ctx.needs_input_grad[0], True, bias is not None]
        grads = torch.ops.aten.convolution_backward(
            cot, x, m, sizes, stride, padding, [1, 1], False, [0, 0], 1, mask)
        return *grads, None, None, None


class FeedbackLinear(nn.Linear):
    def forward(self, x):
        with torch.no_grad():
            m = self.m()
        return LinearFunction.apply(x, self.weight, self.bias, m)


class FeedbackConv(nn.Conv2d):
    def forward(self, x):
        with torch.no_grad():
            m = self.m()
        return ConvFunction.apply(x, self.weight, self.bias, m, self.stride, self.padding)


def substitute_feedback(model, make):
    for layer in model.modules():
        if type(layer) in (nn.Linear, nn.Conv2d):
            layer.__class__ = FeedbackLinear if type(layer) is nn.Linear else FeedbackConv
            layer.m = make(layer.weight)


class Block(nn.Module):
    """Two 3x3 convolutions; where the shape changes, shortcut A of He et al. 2015."""

    def __init__(self, before, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.stride, self.extra = stride, out - before

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            half = self.extra // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.extra - half))
        return F.relu(y + x)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def mlp():
    return nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 10))


def mlp_box():
    return nn.Sequential(nn.Linear(784, 500, bias=False), nn.Hardtanh(0, 1), nn.Linear(500, 10, bias=False))


def lenet_cifar():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3), nn.ReLU(), Mean(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 10))


def resnet_20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for out in (16, 32, 64):
        for i in range(3):
            layers.append(Block(before, out, 2 if i == 0 and out > 16 else 1))
            before = out
    return nn.Sequential(*layers, Mean(), nn.Linear(64, 10))


class Characters(nn.Module):
    """One-hot tokens through an LSTM, and its output at every step."""

    def __init__(self, vocabulary, hidden):
        super().__init__()
        self.vocabulary = vocabulary
        self.lstm = nn.LSTM(vocabulary, hidden, batch_first=True)
        self.out = nn.Linear(hidden, vocabulary)

    def forward(self, x):
        return self.out(self.lstm(F.one_hot(x, self.vocabulary).float())[0])


def ode_to_ode():
    return nn.Sequential(nn.Linear(784, 64), OdeToOde(64, 25), nn.Linear(64, 10))


def ode():
    return nn.Sequential(OdeBlock(SmallField(), 25), nn.Linear(16, 10))


def ode_image():
    def norm():
        return nn.GroupNorm(32, 64), nn.ReLU()
    return nn.Sequential(nn.Conv2d(1, 64, 3), *norm(), nn.Conv2d(64, 64, 4, 2, 1), *norm(),
                         nn.Conv2d(64, 64, 4, 2, 1), OdeBlock(ImageField(64), 2), *norm(), Mean(), nn.Linear(64, 10))


def lstm():
    return Characters(VOCABULARY, 128)


def relu_net():
    return nn.Sequential(nn.Linear(784, 800), nn.ReLU(), nn.Linear(800, 800), nn.ReLU(), nn.Linear(800, 10))


VOCABULARY = 65
WORKS = {"mlp": (mlp, (784,)), "lenet-cifar": (lenet_cifar, (3, 32, 32)), "resnet-20": (resnet_20, (3, 32, 32)),
         "mlp-box": (mlp_box, (784,)), "lstm": (lstm, (50,)), "ode-to-ode": (ode_to_ode, (784,)),
         "ode": (ode, (16,)), "ode-image": (ode_image, (1, 28, 28)), "spikes-event": (event_net, (784,)),
         "spikes-window": (window_net, (784,)), "spikes-relu": (relu_net, (784,))}
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-4),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e-4, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-4),
}


def squared_error(out, y):
    return 0.5 * (out - F.one_hot(y, out.shape[1])).square().sum(1).mean()


def every_step(out, y):
    return F.cross_entropy(out.flatten(0, 1), y.flatten())


ODE_GRADIENTS = {f"backprop[ode.gradient={name}]": name for name in ("naive", "one-checkpoint", "aca", "adjoint")}
LOSSES = {"mlp-box": squared_error, "lstm": every_step, "spikes-event": spike_cross_entropy}


def random_batch(work, batch, shape):
    if work == "lstm":
        return tuple(torch.randint(0, VOCABULARY, (batch, *shape)) for _ in range(2))
    if work.startswith("spikes"):
        return intensities(batch, *shape), torch.randint(0, 10, (batch,))
    return torch.randn(batch, *shape), torch.randint(0, 10, (batch,))


class Training:
    def __init__(self, work, rule, optimizer, batch, compiled):
        make, shape = WORKS[work]
        self.model = make()
        self.loss_of = LOSSES.get(work, F.cross_entropy)
        if rule in ODE_GRADIENTS:
            for layer in self.model.modules():
                if isinstance(layer, OdeBlock):
                    layer.gradient = ODE_GRADIENTS[rule]
        elif rule != "backprop":
            substitute_feedback(self.model, FEEDBACK[rule])
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.batches = [random_batch(work, batch, shape) for _ in range(4)]
        self.loss, self.right, self.steps = 0.0, torch.zeros((), dtype=torch.int64), 0
        if any(isinstance(layer, nn.Conv2d) for layer in self.model.modules()):
            self.take_faster_layout()
        if compiled:
            self.model.compile()
        for _ in range(3):
            self.step()

    def arrange(self, layout):
        self.model.to(memory_format=layout)
        self.batches = [(x.contiguous(memory_format=layout), y) for x, y in self.batches]

    def take_faster_layout(self):
        """Channels innermost or outermost, as is faster: which one that is depends on the machine."""
        best = {}
        for turn in range(8):  # in turns, so that other load meets both; the first of each is for warming up
            layout = (torch.channels_last, torch.contiguous_format)[turn % 2]
            self.arrange(layout)
            begin = time.process_time()
            self.step()
            if turn > 1:
                best[layout] = min(best.get(layout, float("inf")), time.process_time() - begin)
        self.arrange(min(best, key=best.get))

    def step(self):
        x, y = self.batches[self.steps % len(self.batches)]
        self.optimizer.zero_grad()
        out = self.model(x)
        loss = self.loss_of(out, y)
        loss.backward()
        self.optimizer.step()
        self.loss += loss.item() * len(x)
        self.right += (out.detach().argmax(-1) == y).sum()
        self.steps += 1

    def seconds(self, budget, clock):
        times = []
        end = clock() + budget
        while not times or clock() < end:
            begin = clock()
            self.step()
            times.append(clock() - begin)
        return sorted(times)[(len(times) - 1) // 10]

    def peak_bytes(self):
        """What is alive between steps, and the highest that the allocator's log of one step rises above it."""
        self.optimizer.zero_grad()  # the log does not show what is freed of earlier steps
        state = (t for values in self.optimizer.state.values() for t in values.values() if torch.is_tensor(t))
        alive = sum(t.nbytes for t in (*self.model.parameters(), *self.model.buffers(), *state))
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            self.step()
        events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
        peak = alive
        for event in sorted(events, key=lambda e: e.start_ns()):
            alive += event.nbytes()
            peak = max(peak, alive)
        return peak


def main():
    torch.manual_seed(1)
    if len(sys.argv) > 1:
        torch.set_num_threads(int(sys.argv[1]))
    clock = time.process_time if sys.argv[2:] == ["processor"] else time.perf_counter
    known = {}
    print("ready", flush=True)
    for line in sys.stdin:
        work, rule, optimizer, batch, wanted, *flags = line.split()
        rules = ("backprop", *(ODE_GRADIENTS if work in ("ode", "ode-image") else FEEDBACK))
        if work not in WORKS or optimizer not in OPTIMIZERS or rule not in rules:
            print("none", flush=True)
            continue
        key = work, rule, optimizer, int(batch), "compile" in flags
        if key not in known:
            known[key] = Training(*key)
        training = known[key]
        print(training.peak_bytes() if wanted == "memory" else training.seconds(float(wanted), clock), flush=True)


if __name__ == "__main__":
    main()
