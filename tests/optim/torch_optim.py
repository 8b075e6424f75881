#!/usr/bin/env python3
"""Prints torch_optim.h: where the optimizers of the pinned torch take six numbers in five steps.

    .venv/bin/python tests/optim/torch_optim.py > tests/optim/torch_optim.h

The settings are those of `settings()` in optimizer_values_test.cpp: far from every default, so that two of them that
change places show, and with an eps that is large enough to tell where it is added.
"""
import math

LR, MOMENTUM, DECAY, BETA1, BETA2, EPS, ALPHA = 0.05, 0.8, 0.1, 0.7, 0.95, 0.02, 0.6
STEPS, SIZE = 5, 6
KINDS = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": MOMENTUM}),
    "nesterov": ("SGD", {"momentum": MOMENTUM, "nesterov": True}),
    "adam": ("Adam", {"betas": (BETA1, BETA2), "eps": EPS}),
    "adamw": ("AdamW", {"betas": (BETA1, BETA2), "eps": EPS}),
    "rmsprop": ("RMSprop", {"alpha": ALPHA, "eps": EPS}),
}


def start(k):
    return math.cos(0.9 * k)


def gradient(t, k):
    return math.sin(0.7 * k + 1.3 * t) / (1 + k)


def values(kind, decay):
    """The numbers after each step."""
    import torch

    name, settings = KINDS[kind]
    w = torch.tensor([start(k) for k in range(SIZE)], dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([w], lr=LR, weight_decay=decay, **settings)
    rows = []
    for t in range(STEPS):
        w.grad = torch.tensor([gradient(t, k) for k in range(SIZE)], dtype=torch.float64)
        optimizer.step()
        rows.append(w.detach().tolist())
    return rows


def header():
    lines = ["// What torch.optim makes of six numbers in five steps; written by torch_optim.py.", "// clang-format off",
             "#pragma once", "", "namespace altprop::torch_optim {", "", "struct Case {", "  const char* kind;",
             "  double decay;", f"  double values[{STEPS}][{SIZE}];", "};", "", "inline const Case kCases[] = {"]
    for kind in KINDS:
        for decay in (0, DECAY):
            rows = ["{" + ", ".join(f"{x:.15g}" for x in row) + "}" for row in values(kind, decay)]
            lines.append(f'    {{"{kind}", {decay}, {{' + ",\n      ".join(rows) + "}},")
    return "\n".join([*lines, "};", "", "}  // namespace altprop::torch_optim"]) + "\n"


if __name__ == "__main__":
    print(header(), end="")
