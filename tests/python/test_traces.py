"""What a network was traced to goes with the model as it is, and steps draw other random numbers."""
import copy
import gc
import time

import pytest
import torch
from package import altprop
from test_from_torch import cross_entropy, gradients, made, of_autograd
from torch import nn

LOSS = nn.CrossEntropyLoss()


def small(*extra):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), *extra, nn.Linear(8, 3)).double()
    return model, torch.randn(6, 4).double(), torch.arange(6) % 3


def taken(rule, net, x, y, **how):
    net.model.zero_grad(set_to_none=True)
    altprop.backward(rule, net, x, y, LOSS, **how)
    found = {name: p.grad.clone() if p.grad is not None else None for name, p in net.model.named_parameters()}
    net.model.zero_grad(set_to_none=True)
    return found


def expect_autograd(net, x, y):
    found = taken(altprop.Rule("backprop"), net, x, y)
    LOSS(net.model(x), y).backward()
    for name, p in net.model.named_parameters():
        if p.grad is None:
            assert found[name] is None, name
        else:
            assert torch.allclose(found[name], p.grad, rtol=1e-11, atol=1e-13), name
    net.model.zero_grad(set_to_none=True)


@pytest.mark.parametrize("rule", [altprop.Rule("backprop"), altprop.Rule("evolution-strategies")])
def test_every_step_draws_anew_unless_it_is_given_a_number(rule):
    model, x, y = small(nn.Dropout(0.5))
    net = altprop.from_torch(model, x)
    first, second = taken(rule, net, x, y), taken(rule, net, x, y)
    assert not torch.equal(first["0.weight"], second["0.weight"])
    third, again = taken(rule, net, x, y, step=3), taken(rule, net, x, y, step=3)
    assert all(torch.equal(third[name], again[name]) for name in third)
    altprop.check(net, "backprop", x, y, LOSS)
    fresh = altprop.from_torch(model, x)
    for net_of in (net, fresh):  # neither numbers of the caller's nor looking counts as a step
        while net_of.step < 2:
            taken(rule, net_of, x, y)
    assert all(torch.equal(a, b) for a, b in zip(taken(rule, net, x, y).values(), taken(rule, fresh, x, y).values()))


def test_parameters_that_are_frozen_and_freed_behind_the_trace():
    model, x, y = small()
    model[0].requires_grad_(False)
    net = altprop.from_torch(model, x)
    expect_autograd(net, x, y)
    model[0].requires_grad_(True)
    expect_autograd(net, x, y)
    model[2].bias.requires_grad_(False)
    expect_autograd(net, x, y)


def test_a_head_and_an_activation_that_were_replaced():
    model, x, y = small()
    net = altprop.from_torch(model, x)
    expect_autograd(net, x, y)
    old = model[2]
    model[2] = nn.Linear(8, 5).double()
    expect_autograd(net, x, y)
    assert old.weight.grad is None
    model[1] = nn.Tanh()
    expect_autograd(net, x, y)
    model[0].weight = nn.Parameter(torch.randn(8, 4).double())
    expect_autograd(net, x, y)


def test_a_norm_alone_in_evaluation_mode():
    model, x, y = small(nn.BatchNorm1d(8))
    net = altprop.from_torch(model, x)

    def both():
        other = copy.deepcopy(model)
        _, right = of_autograd(other, x, y, cross_entropy)
        model.zero_grad(set_to_none=True)
        altprop.backward(altprop.Rule("backprop"), net, x, y, cross_entropy)
        for name, g in gradients(model).items():
            assert torch.allclose(g, right[name], rtol=1e-10, atol=1e-13), name
        for (name, a), b in zip(model.named_buffers(), other.buffers()):
            assert torch.allclose(a.double(), b.double(), rtol=1e-12), name
        return model[2].running_mean.clone()

    first = both()
    model[2].eval()
    assert torch.equal(both(), first), "statistics stay where the norm is frozen"
    model.eval()
    assert torch.equal(both(), first)
    model.train()
    assert not torch.equal(both(), first), "it was frozen when it was traced, and is not now"


def test_buffers_that_a_move_to_another_type_has_replaced():
    model, x, y = small(nn.BatchNorm1d(8))
    net = altprop.from_torch(model, x)
    taken(altprop.Rule("backprop"), net, x, y)
    before = model[2].running_mean.clone()
    model[2].running_mean = before.clone()
    taken(altprop.Rule("backprop"), net, x, y)
    assert not torch.equal(model[2].running_mean, before), "the buffer that the module has now moves"


def test_traces_to_and_fro_are_made_once_and_draw_the_same_feedback():
    model, x, y = small()
    net, rule = altprop.from_torch(model, x), altprop.Rule("feedback-alignment")
    first, lowered = taken(rule, net, x, y), net.lowered()
    model.eval()
    assert net.lowered() is not lowered
    second = taken(rule, net, x, y)
    model.train()
    assert net.lowered() is lowered
    del lowered
    assert all(torch.equal(first[name], second[name]) for name in first)
    for _ in range(10):  # heads that are gone are not kept
        model[2] = nn.Linear(8, 3).double()
        taken(rule, net, x, y)
    gc.collect()
    assert len(net._traces) <= 8 and len(rule._bound) <= 8


@pytest.mark.parametrize("name", ["conv", "attention"])
def test_to_look_whether_a_model_has_changed_takes_microseconds(name):
    model, x = made(name)
    net = altprop.from_torch(model, x)
    best = min(timed(net.lowered, time.perf_counter) for _ in range(50))
    assert best < 1e-5 * (len(list(model.parameters())) + len(list(model.modules())))


def timed(function, clock):
    begin = clock()
    function()
    return clock() - begin
