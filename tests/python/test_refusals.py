"""What cannot be right is refused in one sentence that says where, why and what to do instead."""
from pathlib import Path

import pytest
import torch
from functions import Straight
from package import altprop
from test_from_torch import cross_entropy, made
from torch import nn

torch.set_num_threads(1)
HERE = Path(__file__).name


def refused(model, x, **how):
    with pytest.raises(altprop.Refusal) as found:
        altprop.from_torch(model, x, **how)
    problem = found.value
    assert str(problem) == f"{problem.where}: {problem.why}; {problem.instead}"
    assert "\n" not in str(problem) and len(str(problem)) < 800
    return problem


class Inside(nn.Module):
    """A model around a part that does something odd."""

    def __init__(self, part):
        super().__init__()
        self.first, self.part, self.last = nn.Linear(4, 4), part, nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.part(self.first(x)))


class StraightThrough(nn.Module):
    def __init__(self, in_training_alone=False):
        super().__init__()
        self.in_training_alone = in_training_alone

    def forward(self, x):
        return x.tanh() if self.in_training_alone and not self.training else Straight.apply(x)


class Counts(nn.Module):
    count = 0

    def forward(self, x):
        Counts.count += 1
        return x * Counts.count


class OfAllSamples(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class SumOfSamples(nn.Module):
    def forward(self, x):
        return x.sum(0, keepdim=True)


@pytest.mark.parametrize("training", [False, True])
def test_a_function_of_ones_own_is_named_with_its_module(training):
    problem = refused(Inside(StraightThrough()).train(training), torch.randn(2, 4))
    assert problem.where == "module 'part'" and "'Straight'" in problem.why and "torch.autograd.Function" in problem.why
    model = Inside(nn.Sequential(nn.Identity(), StraightThrough(in_training_alone=True)))
    if training:
        problem = refused(model.train(), torch.randn(1, 4))
        assert problem.where == "module 'part.1'" and "in training mode" in problem.why
    else:
        altprop.from_torch(model.eval(), torch.randn(2, 4))


def test_the_first_module_that_differs_is_named():
    problem = refused(Inside(nn.Sequential(nn.ReLU(), Counts())).eval(), torch.randn(2, 4))
    assert "module 'part.1'" in problem.where and "another output" in problem.why


def test_places_have_the_models_own_source_line():
    problem = refused(nn.Sequential(nn.Linear(4, 4), SumOfSamples()), torch.randn(4, 4), verify=False)
    assert problem.where.startswith(f"module '1', {HERE}:"), problem.where
    line = Path(__file__).read_text().splitlines()[int(problem.where.split(":")[1]) - 1]
    assert "x.sum(0, keepdim=True)" in line and "are no samples" in problem.why


def test_a_box_that_hides_weights_is_named_after_its_module():
    class Attentive(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.out = nn.Linear(8, 8), nn.Linear(8, 3)
            self.mixes = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            h = self.first(x)
            return self.out(self.mixes(h, h, h, need_weights=False)[0].mean(1))

    x = torch.randn(2, 5, 8)
    net = altprop.from_torch(Attentive(), x)
    with pytest.raises(altprop.Refusal) as found:
        altprop.backward(altprop.Rule("feedback-alignment"), net, x, torch.tensor([0, 1]), cross_entropy)
    assert "mixes" in found.value.where and found.value.why and found.value.instead


def test_samples_that_are_not_in_the_first_dimension():
    x = torch.randn(5, 3, 4)

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = nn.LSTM(4, 6)

        def forward(self, x):
            return self.cells(x)[0]

    class Attentive(nn.Module):
        def __init__(self):
            super().__init__()
            self.mixes = nn.MultiheadAttention(4, 2)

        def forward(self, x):
            return self.mixes(x, x, x, need_weights=False)[0]

    for model in (Recurrent(), Attentive(), nn.Sequential(nn.Linear(4, 3), OfAllSamples())):
        assert refused(model, x if not isinstance(model, nn.Sequential) else torch.randn(3, 4)).instead
    assert "depends on the others" in refused(nn.Sequential(nn.Linear(4, 3), OfAllSamples()), torch.randn(1, 4)).why


def test_batches_of_another_shape_are_refused():
    model, x = made("conv")
    net, y = altprop.from_torch(model, x), torch.tensor([0, 1, 2, 0])
    with pytest.raises(altprop.UsageError, match="12"):
        altprop.backward(altprop.Rule("backprop"), net, torch.randn(4, 3, 12, 12).double(), y, cross_entropy)
    model, tokens = made("tied")
    net = altprop.from_torch(model, tokens)
    with pytest.raises(altprop.UsageError, match="9"):
        others = torch.zeros(4, 9, dtype=torch.long)
        altprop.backward(altprop.Rule("backprop"), net, others, others, cross_entropy)


def test_a_model_of_one_number_of_samples_is_refused():
    class Four(nn.Module):
        def forward(self, x):
            return x.reshape(4, -1) * torch.ones(4, 1)

    assert "cannot be exported" in refused(nn.Sequential(nn.Linear(4, 3), Four()), torch.randn(4, 4)).why


def test_hooks_that_nobody_would_call():
    x, y = torch.randn(2, 4), torch.tensor([0, 1])
    model = nn.Linear(4, 3)
    handle = model.weight.register_hook(lambda g: g * 0)
    assert refused(model, x).where == "parameter 'weight'"
    handle.remove()
    net = altprop.from_torch(model, x)
    before, stepped = model.bias.detach().clone(), []

    def step(parameter):
        stepped.append(parameter)
        with torch.no_grad():
            parameter.add_(1)

    handle = model.bias.register_post_accumulate_grad_hook(step)
    assert refused(model, x).where == "parameter 'bias'"
    altprop.check(net, "backprop", x, y)
    assert not stepped and torch.equal(model.bias, before), "looking steps no weights"
    with pytest.raises(altprop.Refusal, match="'bias'.*hooks"):
        altprop.backward(altprop.Rule("backprop"), net, x, y, cross_entropy)
    cross_entropy(altprop.Learner(net, altprop.Rule("backprop"))(x), y).backward()
    assert len(stepped) == 1, "a Learner's gradients go through autograd"
    handle.remove()


def test_modes_of_torch_that_change_the_numbers():
    model, x = made("mlp")
    y, net = torch.tensor([0, 1, 2, 0]), altprop.from_torch(model, x)
    learner = altprop.Learner(net, altprop.Rule("backprop"))
    with torch.autocast("cpu"):
        with pytest.raises(altprop.UsageError, match="from_torch: under autocast"):
            altprop.from_torch(model, x)
        with pytest.raises(altprop.UsageError, match="Learner: under autocast"):
            learner(x)
        with pytest.raises(altprop.UsageError, match="check: under autocast"):
            altprop.check(net, "backprop", x, y)
    with torch.inference_mode():
        with pytest.raises(altprop.UsageError, match="from_torch: inference mode"):
            altprop.from_torch(model, x)
        assert torch.equal(learner(x), model(x)), "to predict takes no gradients"


def test_derivatives_of_gradients_are_refused():
    model, x = made("mlp")
    learner = altprop.Learner(altprop.from_torch(model, x), altprop.Rule("feedback-alignment"))
    loss = cross_entropy(learner(x), torch.tensor([0, 1, 2, 0]))
    with pytest.raises(altprop.Refusal, match="create_graph"):
        torch.autograd.grad(loss, list(model.parameters()), create_graph=True)


def test_losses_that_are_scaled():
    """GradScaler is right around rules whose gradients are in proportion to the loss; others want to hear of none."""
    model, x = made("mlp")
    y, net = torch.tensor([0, 1, 2, 0]), altprop.from_torch(model, x)

    def gradients(rule, factor, **how):
        model.zero_grad(set_to_none=True)
        (factor * cross_entropy(altprop.Learner(net, rule, **how)(x), y)).backward()
        return [p.grad / factor for p in model.parameters()]

    rule = altprop.Rule("feedback-alignment")
    assert all(torch.allclose(a, b, rtol=1e-12) for a, b in zip(gradients(rule, 1), gradients(rule, 65536.0)))
    clipped = altprop.Rule("feedback-alignment", grad_clip=0.01)
    with pytest.raises(altprop.Refusal, match="GradScaler"):
        gradients(clipped, 1)
    once, scaled = gradients(clipped, 1, unscaled=True), gradients(clipped, 65536.0, unscaled=True)
    assert not torch.allclose(once[0], scaled[0], rtol=0.1), "and rightly so"


def test_check_in_training_mode_draws_what_the_rule_draws():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)).double()
    x = torch.randn(8, 4).double()
    net = altprop.from_torch(model, x)
    for y in (torch.arange(8) % 3, torch.randn(8, 3).double()):
        rows = altprop.check(net, "backprop", x, y)
        assert len(rows) == 4 and all(row["angle_degrees"] < 1e-5 for row in rows)
        assert all(row["magnitude_ratio"] == pytest.approx(1) for row in rows)
    rows = altprop.check(net, "feedback-alignment", x, torch.arange(8) % 3)
    assert {row["name"]: row["angle_degrees"] for row in rows}["3.weight"] < 1e-5 < 5 < rows[0]["angle_degrees"]


def test_backward_takes_networks_alone():
    model, x = made("mlp")
    with pytest.raises(altprop.Refusal) as found:
        altprop.backward(altprop.Rule("backprop"), model, x, torch.tensor([0, 1, 2, 0]), cross_entropy)
    assert "altprop.from_torch" in found.value.instead and "Learner" in found.value.instead
    assert "Sequential" in found.value.why
