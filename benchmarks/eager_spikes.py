"""First spike times in eager PyTorch, by sorting, gathering weights and cumulative sums: a part of benchmarks/eager.py.

The layer is that of `relpsp-event` (Zhang et al. 2020, arXiv 2003.11837): units whose potential is a sum of ramps fire when
it first reaches a threshold. Nothing here steps through time either; what an own kernel saves are the tensors of
[samples, outputs, inputs] that the sums are made in.
"""
import os

os.environ.setdefault("KINETO_LOG_LEVEL", "5")

import torch
from torch import nn


class EventLayer(nn.Module):
    """Spike times [B, n] to [B, m], inf: never. Outputs in blocks, as many as keep a block's tensors small."""

    def __init__(self, inputs, outputs, active, block=64):
        super().__init__()
        mean = 1 / (active * inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * 4 * mean + mean)
        self.block = block

    def forward(self, times):
        order = times.argsort(1)
        times = times.gather(1, order)
        silent = times.isinf()
        here = times.masked_fill(silent, 0)
        after = torch.cat([times[:, 1:], torch.full_like(times[:, :1], float("inf"))], 1)
        return torch.cat([self.fire(weight, order, here, after, silent) for weight in self.weight.split(self.block)], 1)

    @staticmethod
    def fire(weight, order, here, after, silent):
        ordered = weight.t()[order].masked_fill(silent.unsqueeze(2), 0)  # [B, n, block]
        slope = ordered.cumsum(1)
        time = (1 + (ordered * here.unsqueeze(2)).cumsum(1)) / torch.where(slope > 0, slope, 1)
        fires = (slope > 0) & (time > here.unsqueeze(2)) & (time <= after.unsqueeze(2)) & ~silent.unsqueeze(2)
        first = fires.to(torch.int8).argmax(1, keepdim=True)
        return torch.where(fires.any(1), time.gather(1, first).squeeze(1), float("inf"))


class WindowLayer(nn.Module):
    """Each layer in a window of length 1, under a falling threshold: two products (Wei et al. 2023, ICCV)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * (2 / inputs) ** 0.5)

    def forward(self, times):
        fired = times.isfinite()
        s = fired.to(times.dtype) @ self.weight.t()
        i = times.masked_fill(~fired, 0) @ self.weight.t()
        rest, slope = 1 - (s - i), 1 + s
        inside = (rest > 0) & (slope > 0) & (rest <= slope)
        time = torch.where(inside, rest / torch.where(inside, slope, 1), float("inf"))
        return torch.where(rest <= 0, 0.0, time)


class Membrane(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / inputs ** 0.5)

    def forward(self, times):
        return (2 - times).masked_fill(times.isinf(), 0) @ self.weight.t()


class Latency(nn.Module):
    def forward(self, x):
        return (1 - x).masked_fill(x == 0, float("inf"))


def spike_cross_entropy(times, targets):
    return nn.functional.cross_entropy(-10 * times.masked_fill(times.isinf(), 5), targets)


def event_net():
    return nn.Sequential(Latency(), EventLayer(784, 800, 0.125), EventLayer(800, 10, 0.5))


def window_net():
    return nn.Sequential(Latency(), WindowLayer(784, 800), WindowLayer(800, 800), Membrane(800, 10))


def intensities(batch, inputs):
    """As dark as the images of MNIST: a fifth of the pixels is not black."""
    x = torch.rand(batch, inputs)
    return torch.where(torch.rand(batch, inputs) < 0.19, x, torch.zeros(()))
