"""Networks traced from PyTorch models: what autograd makes of the model is what backprop makes of the network, and nothing
of the model is touched."""
import copy

import pytest
import torch
from functions import Straight
from package import altprop
from torch import nn

torch.set_num_threads(1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 6, 8))
        self.norm, self.attention, self.out = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        h = self.norm(x)
        return self.out((x + self.attention(h, h, h, need_weights=False)[0])[:, 0])


class Windows(nn.Module):
    """Parts of an image as rows of their own, as in a Swin transformer."""

    def __init__(self):
        super().__init__()
        self.inside, self.out = nn.Linear(4, 4), nn.Linear(16, 3)

    def forward(self, x):  # [B, 4, 4]
        b = x.shape[0]
        rows = x.reshape(b, 2, 2, 2, 2).permute(0, 1, 3, 2, 4).reshape(b * 4, 4)
        return self.out(torch.tanh(self.inside(rows)).reshape(b, 16))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.mix = nn.Embedding(11, 6), nn.Linear(6, 6)

    def forward(self, tokens):
        return nn.functional.linear(torch.tanh(self.mix(self.table(tokens))), self.table.weight)


class Standardised(nn.Module):
    """Weights that are made of parameters in every pass."""

    def __init__(self):
        super().__init__()
        self.weight, self.out = nn.Parameter(torch.randn(5, 4)), nn.Linear(5, 3)

    def forward(self, x):
        w = self.weight
        return self.out(torch.relu(nn.functional.linear(x, (w - w.mean(1, keepdim=True)) / w.std(1, keepdim=True))))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, (1, 3), padding=(0, 1)), nn.Linear(8, 3)

    def forward(self, x):
        y = torch.cat([nn.functional.silu(self.a(x)), self.b(x) * torch.sigmoid(self.a(x))], 1)
        first, second = y.chunk(2, 1)
        return self.out(torch.cat([first.mean((2, 3)), second.amax((2, 3))], 1))


CONV = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3, bias=False),
                     nn.GroupNorm(2, 4), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.0), nn.Linear(4, 3))
MODELS = {
    "mlp": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)), (3, 4)),
    "conv": (lambda: copy.deepcopy(CONV), (3, 8, 8)),
    "attention": (Attention, (5, 8)),
    "windows": (Windows, (4, 4)),
    "standardised": (Standardised, (4,)),
    "branches": (Branches, (2, 5, 5)),
    "tied": (Tied, None),
}


def made(name, samples=4):
    torch.manual_seed(1)
    make, shape = MODELS[name]
    model = make().double()
    x = torch.randint(0, 11, (samples, 7)) if shape is None else torch.randn(samples, *shape, dtype=torch.float64)
    return model, x


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def of_autograd(model, x, y, loss):
    model.zero_grad()
    value = loss(model(x), y)
    value.backward()
    found = gradients(model)
    model.zero_grad(set_to_none=True)
    return value.item(), found


def cross_entropy(output, target):
    return nn.functional.cross_entropy(output.flatten(0, -2), target.flatten()) if output.dim() > 2 else nn.functional.cross_entropy(
        output, target)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_backprop_is_autograd(name, training):
    model, x = made(name)
    model.train(training)
    y = x if name == "tied" else torch.randint(0, 3, (x.shape[0],))
    net = altprop.from_torch(model, x[:1])
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    value, right = of_autograd(model, x, y, cross_entropy)
    moved = {key: value.clone() for key, value in model.named_buffers()}
    for key, before in buffers.items():
        dict(model.named_buffers())[key].copy_(before)
    for batch in (x, x):  # the second adds to what is there
        found = altprop.backward(altprop.Rule("backprop"), net, batch, y, cross_entropy)
        assert found.item() == pytest.approx(value, rel=1e-12)
        if batch is x and training:  # running statistics move as in the model's own pass
            for key, after in moved.items():
                assert torch.allclose(dict(model.named_buffers())[key].double(), after.double(), rtol=1e-12), key
            moved = {}
    largest = max(g.norm().item() for g in right.values())
    for key, g in gradients(model).items():
        assert (g - 2 * right[key]).abs().max().item() <= 1e-12 * largest, key


def test_a_batch_of_another_size_is_right():
    model, x = made("attention", samples=9)
    net = altprop.from_torch(model, x[:1])
    y = torch.randint(0, 3, (9,))
    _, right = of_autograd(model, x, y, cross_entropy)
    altprop.backward(altprop.Rule("backprop"), net, x, y, cross_entropy)
    for key, g in gradients(model).items():
        assert torch.allclose(g, right[key], rtol=1e-10, atol=1e-12), key


def test_the_model_stays_what_it_is():
    model, x = made("conv")
    before = copy.deepcopy(model.state_dict())
    flags = [module.training for module in model.modules()]
    random = torch.get_rng_state()
    model[1].eval()  # a frozen norm
    flags[2] = False
    net = altprop.from_torch(model, x)
    altprop.check(net, "feedback-alignment", x, torch.randint(0, 3, (4,), generator=torch.Generator().manual_seed(1)), cross_entropy)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_tied_weights_are_one_parameter_and_frozen_ones_stay():
    model, x = made("tied")
    model.mix.weight.requires_grad_(False)
    net = altprop.from_torch(model, x)
    altprop.backward(altprop.Rule("backprop"), net, x, x, cross_entropy)
    assert model.mix.weight.grad is None and model.table.weight.grad is not None
    _, right = of_autograd_learnt(model, x)
    altprop.backward(altprop.Rule("backprop"), net, x, x, cross_entropy)
    assert torch.allclose(model.table.weight.grad, right, rtol=1e-10)


def of_autograd_learnt(model, x):
    model.zero_grad(set_to_none=True)
    cross_entropy(model(x), x).backward()
    found = model.table.weight.grad.clone()
    model.zero_grad(set_to_none=True)
    return None, found


def test_the_users_own_loop_learns_by_feedback_alignment():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    x = torch.randn(256, 8)
    y = (x @ torch.randn(8, 3)).argmax(1)
    net, rule = altprop.from_torch(model, x[:2]), altprop.Rule("feedback-alignment")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for step in range(60):
        optimizer.zero_grad()
        losses.append(altprop.backward(rule, net, x, y, nn.CrossEntropyLoss(), step=step).item())
        optimizer.step()
    assert losses[-1] < 0.3 * losses[0]
    angles = {row["name"]: row["angle_degrees"] for row in altprop.check(net, rule, x, y, nn.CrossEntropyLoss())}
    assert angles["4.weight"] < 1e-3 and 5 < angles["0.weight"] < 85


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(label_smoothing=0.1), nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, 3]).double()),
                                  nn.CrossEntropyLoss(ignore_index=1), nn.CrossEntropyLoss(reduction="sum"), nn.MultiMarginLoss()])
def test_any_loss_of_torch(loss):
    model, x = made("mlp")
    y = torch.tensor([0, 1, 2, 0])
    net = altprop.from_torch(model, x)
    _, right = of_autograd(model, x, y, loss)
    altprop.backward(altprop.Rule("backprop"), net, x, y, loss)
    for key, g in gradients(model).items():
        assert torch.allclose(g, right[key], rtol=1e-12, atol=1e-15), key


class StraightThrough(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.b(Straight.apply(self.a(x)))


class Two(nn.Module):
    def forward(self, x):
        return x, x


def refusal_of(model, x, **how):
    with pytest.raises(altprop.UsageError) as found:
        altprop.from_torch(model, x, **how)
    assert len(str(found.value)) < 700
    return str(found.value)


def test_what_cannot_be_right_is_refused_in_a_sentence():
    x = torch.randn(2, 4)
    assert "torch.autograd.Function" in refusal_of(StraightThrough(), x)
    assert "several outputs" in refusal_of(Two(), x)
    assert "torch.nn.Module" in refusal_of(lambda x: x, x)
    assert "batch" in refusal_of(nn.Linear(4, 3), 3)
    hooked = nn.Linear(4, 3)
    hooked.register_full_backward_hook(lambda *_: None)
    assert "hooks" in refusal_of(hooked, x)


def test_rules_that_would_be_others_are_refused():
    model, x = made("mlp")
    net, y = altprop.from_torch(model, x), torch.tensor([0, 1, 2, 0])
    for name in ("kolen-pollack", "weight-mirror", "product-feedback-alignment"):
        with pytest.raises(altprop.Refusal, match="weights of its own|further passes"):
            altprop.backward(altprop.Rule(name), net, x, y, cross_entropy)
    with pytest.raises(altprop.UsageError, match="did you mean"):
        altprop.Rule("feedback-alignmnt")
    with torch.inference_mode(), pytest.raises(altprop.UsageError, match="inference"):
        altprop.backward(altprop.Rule("backprop"), net, x, y, cross_entropy)
    with torch.autocast("cpu"), pytest.raises(altprop.UsageError, match="autocast"):
        altprop.backward(altprop.Rule("backprop"), net, x, y, cross_entropy)
    with pytest.raises(altprop.UsageError, match="one number"):
        altprop.backward(altprop.Rule("backprop"), net, x, y, nn.CrossEntropyLoss(reduction="none"))


def test_weights_in_boxes_are_not_taken_for_exact_by_feedback_rules():
    model, x = made("windows")
    net, y = altprop.from_torch(model, x), torch.tensor([0, 1, 2, 0])
    deep = nn.Sequential(nn.Linear(4, 4), Windows()).double()
    x = torch.randn(4, 4, 4, dtype=torch.float64)
    net = altprop.from_torch(deep, x)
    with pytest.raises(altprop.Refusal):
        altprop.backward(altprop.Rule("feedback-alignment"), net, x, y, cross_entropy)


def test_rules_that_ask_the_loss_are_given_it():
    model, x = made("mlp")
    net, y = altprop.from_torch(model, x), torch.tensor([0, 1, 2, 0])
    altprop.backward(altprop.Rule("predictive-coding", mode="strict", steps=40, eta=0.1), net, x, y, cross_entropy)
    rows = altprop.check(net, altprop.Rule("predictive-coding", mode="fixed", steps=40, eta=1), x, y, cross_entropy)
    assert all(row["angle_degrees"] < 1e-3 and row["magnitude_ratio"] == pytest.approx(1, rel=1e-6) for row in rows)
