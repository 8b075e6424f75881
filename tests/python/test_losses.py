"""Losses of PyTorch's for rules that ask them at outputs of their own."""
import gc
import warnings
import weakref

import pytest
import torch
from package import altprop
from test_from_torch import gradients, made
from torch import nn

WEIGHTS = torch.tensor([1.0, 2, 3]).double()
COUPLED = [nn.CrossEntropyLoss(weight=WEIGHTS), nn.CrossEntropyLoss(reduction="sum"),
           nn.CrossEntropyLoss(ignore_index=1)]
Y = torch.tensor([0, 1, 2, 0])


def fixed():
    """Strict predictive coding that has settled at small errors gives gradients next to backprop's."""
    return altprop.Rule("predictive-coding", mode="strict", steps=150, eta=0.1, beta=1e-4)


def slope(rule, net, x, y, loss):
    net.model.zero_grad(set_to_none=True)
    value = altprop.backward(rule, net, x, y, loss, step=0)
    return value, gradients(net.model)


@pytest.mark.parametrize("loss, y", [
    (nn.HuberLoss(delta=0.5), None), (nn.SmoothL1Loss(), None), (nn.CrossEntropyLoss(label_smoothing=0.1), Y),
    (nn.MultiMarginLoss(), Y), *((one, Y) for one in COUPLED)])
def test_a_loss_that_a_rule_asks_is_the_loss(loss, y):
    """Nudged little, strict predictive coding's gradient is backprop's, if what the loss says is its own gradient."""
    model, x = made("mlp")
    y = torch.randn(4, 3).double() if y is None else y
    net = altprop.from_torch(model, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, found = slope(fixed(), net, x, y, loss)
    _, right = slope(altprop.Rule("backprop"), net, x, y, loss)
    for name, g in right.items():
        assert torch.allclose(found[name], g, rtol=5e-3, atol=5e-3 * g.abs().max().item()), name


def test_rows_are_not_divided_among_threads_where_samples_are_coupled():
    """64 samples on two threads: the gradient is that of one thread."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, y = torch.randn(64, 4).double(), torch.arange(64) % 3
    y[:32] = 0  # so that parts of the batch weigh otherwise than the whole
    net = altprop.from_torch(model, x[:2])
    rule = altprop.Rule("predictive-coding", mode="strict", steps=10, eta=0.1)
    loss, found = nn.CrossEntropyLoss(weight=WEIGHTS), {}
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _, found[threads] = slope(rule, net, x, y, loss)
    finally:
        torch.set_num_threads(1)
    for name, g in found[1].items():
        assert torch.allclose(found[2][name], g, rtol=1e-12, atol=1e-15), name


def test_coupled_samples_are_said_once():
    model, x = made("mlp")
    net, rule = altprop.from_torch(model, x), altprop.Rule("predictive-coding", mode="strict", steps=3)
    with pytest.warns(UserWarning, match="not the mean of those of the samples"):
        slope(rule, net, x, Y, COUPLED[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slope(rule, net, x, Y, COUPLED[1])
        slope(altprop.Rule("predictive-coding", mode="strict", steps=3), net, x, Y, nn.CrossEntropyLoss())


def test_a_loop_that_makes_its_loss_anew_binds_the_rule_once():
    model, x = made("mlp")
    net, rule = altprop.from_torch(model, x), altprop.Rule("predictive-coding", mode="strict", steps=2)
    bound, losses = None, []
    for _ in range(50):
        loss = nn.CrossEntropyLoss()
        losses.append(weakref.ref(loss))
        altprop.backward(rule, net, x, Y, loss)
        bound = bound or rule.bound(net.lowered())
        assert rule.bound(net.lowered()) is bound
    del loss
    gc.collect()
    assert sum(one() is not None for one in losses) <= 1, "of all losses the last one may be kept"


def test_a_loss_that_has_no_batched_form_is_asked_sample_by_sample():
    def loss(output, target):
        assert not output.isnan().any().item()  # what a batched form cannot answer
        return nn.functional.cross_entropy(output, target)

    model, x = made("mlp")
    net, rule = altprop.from_torch(model, x), altprop.Rule("predictive-coding", mode="strict", steps=5, eta=0.1)
    _, found = slope(rule, net, x, Y, loss)
    _, right = slope(rule, net, x, Y, nn.CrossEntropyLoss())
    assert all(torch.equal(found[name], right[name]) for name in right)
