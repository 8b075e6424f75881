"""How far a rule's gradients are from autograd's."""
import contextlib
import math

import torch

from ._core import Refusal
from .network import kept_modes
from .rule import Rule, backward


@contextlib.contextmanager
def kept(model):
    """The model's gradients, buffers and modes and the random state, put back at the end."""
    gradients = [(p, p.grad) for p in model.parameters()]
    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    for p, _ in gradients:
        p.grad = None
    try:
        with kept_modes(model), torch.random.fork_rng(devices=[]):
            yield
    finally:
        for p, grad in gradients:
            p.grad = grad
        with torch.no_grad():
            for b, value in buffers:
                b.copy_(value)


def gradients(model):
    return {name: p.grad.detach().clone() if p.grad is not None else torch.zeros_like(p)
            for name, p in model.named_parameters() if p.requires_grad}


def autograd_gradients(model, x, y, loss):
    model.zero_grad(set_to_none=True)
    with torch.enable_grad():
        value = loss(model(x), y)
        value.backward()
    found = gradients(model)
    model.zero_grad(set_to_none=True)
    return found


def check(net, rule, x, y, loss):
    """Rows {name, cosine, angle_degrees, magnitude_ratio} of the rule's gradient beside autograd's, of every parameter.

    Gradients, running statistics and the random state of the model stay as they were.
    """
    if isinstance(rule, str):
        rule = Rule(rule)
    with kept(net.model):
        exact = autograd_gradients(net.model, x, y, loss)
        backward(rule, net, x, y, loss)
        found = gradients(net.model)
        net.model.zero_grad(set_to_none=True)
    rows = []
    for name, right in exact.items():
        a, b = found[name].double().flatten(), right.double().flatten()
        norms = a.norm().item(), b.norm().item()
        cosine = (a @ b).item() / (norms[0] * norms[1]) if min(norms) > 0 else math.nan
        cosine = max(-1.0, min(1.0, cosine)) if not math.isnan(cosine) else cosine
        rows.append({"name": name, "cosine": cosine, "angle_degrees": math.degrees(math.acos(cosine)) if cosine == cosine else cosine,
                     "magnitude_ratio": norms[0] / norms[1] if norms[1] > 0 else math.nan})
    return rows


def verify_against_autograd(net, example):
    """@raises Refusal if output or gradients of backprop through the traced network are not autograd's."""
    model = net.model
    types = {p.dtype for p in model.parameters() if p.is_floating_point()}
    tolerance = 1e-9 if types == {torch.float64} else 1e-3
    with kept(model):
        model.eval()
        with torch.no_grad():
            right = model(example)
        if not isinstance(right, torch.Tensor):
            raise Refusal(f"the model's output is a {type(right).__name__}; wrap it in a module that returns one tensor")
        weight = torch.randn(right.shape, dtype=right.dtype, generator=torch.Generator().manual_seed(1))

        def loss(output, _):
            return (output * weight).sum() / weight.numel()

        exact = autograd_gradients(model, example, None, loss)
        bound = Rule("backprop").bound(net.lowered(False))
        net.lowered(False).refresh()
        found = bound.forward(example, 0, False).output
        if found.shape != right.shape or not torch.allclose(found, right, rtol=tolerance, atol=tolerance * scale_of(right)):
            raise Refusal("the traced network gives another output than the model on the example: the model may depend on more than "
                          "its input (time, random numbers in evaluation, values of tensors that steer it)")
        backward(Rule("backprop"), net, example, None, loss)
        traced = gradients(model)
        largest = max([g.abs().max().item() for g in exact.values() if g.numel()] or [0.0])
        for name, right in exact.items():
            if right.numel() and (traced[name] - right).abs().max().item() > tolerance * max(largest, 1e-30):
                raise Refusal(f"parameter '{name}': backprop through the traced network gives another gradient than autograd on the "
                              "example; a torch.autograd.Function of one's own is traced as its forward pass, and hooks are not "
                              "traced at all")


def scale_of(t):
    return max(1.0, t.abs().max().item()) if t.numel() else 1.0


