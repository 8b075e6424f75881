"""Networks of continuous time in eager PyTorch: a part of benchmarks/eager.py.

Flows on the orthogonal group as ODEtoODE has them (Choromanski et al. 2020, arXiv 2006.11421), and ODE blocks with the
gradients that the authors of each method schedule.
"""
import os

os.environ.setdefault("KINETO_LOG_LEVEL", "5")

import torch
import torch.nn.functional as F
from torch import nn


class OdeToOde(nn.Module):
    """x' = relu(W x), W' = W [W'QW, N] by Lie-Euler steps; matrix_exp of two copies, because that of one is wrong."""

    def __init__(self, width, steps):
        super().__init__()
        self.q, self.n = (nn.Parameter(torch.randn(width, width) / width**0.5) for _ in range(2))
        self.turn = nn.Parameter(torch.zeros(width, width))
        self.register_buffer("fixed", nn.init.orthogonal_(torch.empty(width, width)))
        self.register_buffer("one", torch.eye(width))
        self.steps = steps

    def forward(self, x):
        h = 1 / self.steps
        q, n = (self.q + self.q.t()) / 2, (self.n + self.n.t()) / 2
        half = (self.turn - self.turn.t()) / 2
        w = self.fixed @ torch.linalg.solve(self.one - half, self.one + half)
        for i in range(self.steps):
            x = x + h * F.relu(x @ w.t())
            if i + 1 < self.steps:
                p = w.t() @ q @ w
                omega = h * (p @ n - n @ p)
                w = w @ torch.matrix_exp(torch.stack((omega, omega)))[0]
        return x


class OdeBlock(nn.Module):
    """Classical Runge-Kutta steps, and their gradients as the authors of each method schedule them: kept whole (naive),
    one step at a time from its begin (aca, arXiv 2006.02493), one stage at a time (symplectic, arXiv 2102.09750), all
    at once behind a second forward pass (one-checkpoint), or integrated backwards (adjoint, arXiv 1806.07366)."""
    A = ((), (0.5,), (0, 0.5), (0, 0, 1))
    B, C = (1 / 6, 1 / 3, 1 / 3, 1 / 6), (0, 0.5, 0.5, 1)

    def __init__(self, f, steps):
        super().__init__()
        self.f, self.steps, self.gradient = f, steps, "symplectic"

    def stage(self, x, k, i, h):
        for a, slope in zip(self.A[i], k):
            if a:
                x = x + a * h * slope
        return x

    def step(self, t, h, x):
        k = []
        for i in range(4):
            k.append(self.f(t + self.C[i] * h, self.stage(x, k, i, h)))
        for b, slope in zip(self.B, k):
            x = x + b * h * slope
        return x

    def forward(self, x):
        if self.gradient == "naive":
            for n in range(self.steps):
                x = self.step(n / self.steps, 1 / self.steps, x)
            return x
        return OdeFunction.apply(x, self, *self.f.parameters())


class OdeFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, block, *parameters):
        ctx.block, ctx.states = block, []
        for n in range(block.steps):
            if n == 0 or block.gradient in ("aca", "symplectic"):
                ctx.states.append(x)
            x = block.step(n / block.steps, 1 / block.steps, x)
        ctx.end = x
        return x

    @staticmethod
    def backward(ctx, cot):
        block, h = ctx.block, 1 / ctx.block.steps
        parameters = tuple(block.f.parameters())
        grads = [torch.zeros_like(p) for p in parameters]

        def pull(out, x, cot):
            of_x, *of_parameters = torch.autograd.grad(out, (x, *parameters), cot)
            for grad, one in zip(grads, of_parameters):
                grad.add_(one)
            return of_x

        if block.gradient == "one-checkpoint":
            with torch.enable_grad():
                x = out = ctx.states[0].detach().requires_grad_()
                for n in range(block.steps):
                    out = block.step(n * h, h, out)
            return pull(out, x, cot), None, *grads
        if block.gradient == "adjoint":
            return OdeFunction.backwards(block, h, ctx.end, cot, parameters, grads), None, *grads
        for n in reversed(range(block.steps)):
            x = ctx.states.pop()
            if block.gradient == "aca":
                with torch.enable_grad():
                    x = x.detach().requires_grad_()
                    out = block.step(n * h, h, x)
                cot = pull(out, x, cot)
            else:
                cot = OdeFunction.stages(block, n * h, h, x, cot, pull)
        return cot, None, *grads

    @staticmethod
    def stages(block, t, h, x, cot, pull):
        k, states, xi = [], [], [None] * 4
        for i in range(4):
            states.append(block.stage(x, k, i, h))
            if i < 3:
                k.append(block.f(t + block.C[i] * h, states[i]))
        del k
        for i in reversed(range(4)):
            kappa = h * block.B[i] * cot
            for j in range(i + 1, 4):
                if block.A[j][i]:
                    kappa = kappa + h * block.A[j][i] * xi[j]
            with torch.enable_grad():
                state = states.pop().detach().requires_grad_()
                out = block.f(t + block.C[i] * h, state)
            xi[i] = pull(out, state, kappa)
        return cot + xi[0] + xi[1] + xi[2] + xi[3]

    @staticmethod
    def backwards(block, h, x, cot, parameters, grads):
        def slopes(t, x, cot):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                out = block.f(t, x)
            return [out.detach(), *torch.autograd.grad(out, (x, *parameters), -cot)]

        for n in reversed(range(block.steps)):
            k = []
            for i in range(4):
                at = [block.stage(s, [one[j] for one in k], i, -h) for j, s in enumerate((x, cot))]
                k.append(slopes((n + 1 - block.C[i]) * h, *at))
            total = [sum(b * one[j] for b, one in zip(block.B, k)) for j in range(len(k[0]))]
            x, cot = x - h * total[0], cot - h * total[1]
            for grad, one in zip(grads, total[2:]):
                grad.sub_(h * one)
        return cot


class SmallField(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(17, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, 16))

    def forward(self, t, x):
        return self.layers(torch.cat((x, x.new_full((len(x), 1), t)), 1))


class ImageField(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(32, channels) for _ in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(channels + 1, channels, 3, padding=1) for _ in range(2))

    def forward(self, t, x):
        for norm, conv in zip(self.norms, self.convs):
            x = F.relu(norm(x))
            x = conv(torch.cat((x, x.new_full((len(x), 1, *x.shape[2:]), t)), 1))
        return self.norms[2](x)
