"""Parameters of transformers outside of linear layers: class tokens, positions, scales of layers, norms by the root mean
square, matrices laid out the other way round. None is hidden in a box, so that every rule sees it."""
import pytest
import torch
from package import altprop
from torch import nn

torch.set_num_threads(1)


class Token(nn.Module):
    """A class token, positions, and the scale of a layer, as vision transformers have them."""

    def __init__(self):
        super().__init__()
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 6, 8))
        self.scale, self.inside, self.out = nn.Parameter(torch.rand(8)), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.out((x + self.scale * torch.tanh(self.inside(x)))[:, 0])


class Columns(nn.Module):
    """Matrices [inputs, outputs], all steps of all samples as rows, as GPT-2 of `transformers` has them."""

    def __init__(self, bias=True):
        super().__init__()
        self.table = nn.Embedding(11, 8, padding_idx=0)
        self.up, self.down = nn.Parameter(torch.randn(8, 12) / 3), nn.Parameter(torch.randn(12, 8) / 3)
        self.bias, self.out = nn.Parameter(torch.randn(12)) if bias else None, nn.Linear(8, 5)

    def product(self, x, weight, bias):
        rows = x.view(-1, x.shape[-1])
        rows = rows @ weight if bias is None else torch.addmm(bias, rows, weight)
        return rows.view(x.shape[:-1] + (weight.shape[1],))

    def forward(self, tokens):
        x = self.table(tokens)
        x = x + self.product(torch.relu(self.product(x, self.up, self.bias)), self.down, None)
        return self.out(x).mean(1)


class RootMeanSquare(nn.Module):
    """The norm as Llama writes it, and that of PyTorch."""

    def __init__(self):
        super().__init__()
        self.weight, self.norm = nn.Parameter(torch.rand(8) + 0.5), nn.RMSNorm(8)
        self.inside, self.out = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        h = self.inside(self.norm(x))
        return self.out(self.weight * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6))).mean(1)


class Excitation(nn.Module):
    """A factor for each channel that the sample makes itself, as squeeze-and-excitation networks have it."""

    def __init__(self):
        super().__init__()
        self.conv, self.down, self.up, self.out = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1), nn.Linear(4, 3)

    def forward(self, x):
        h = self.conv(x)
        factor = torch.sigmoid(self.up(torch.relu(self.down(h.mean((2, 3), keepdim=True)))))
        return self.out((h * factor).mean((2, 3)))


def tokens():
    return torch.randint(0, 11, (5, 7), generator=torch.Generator().manual_seed(3))


def reals(*shape):
    return lambda: torch.randn(5, *shape, generator=torch.Generator().manual_seed(3)).double()


MODELS = {
    "class token": (Token, reals(5, 8)), "columns": (Columns, tokens), "columns without bias": (lambda: Columns(False), tokens),
    "root mean square": (RootMeanSquare, reals(4, 8)), "excitation": (Excitation, reals(2, 6, 6)),
}


@pytest.fixture(params=MODELS)
def traced(request):
    torch.manual_seed(1)
    make, example = MODELS[request.param]
    model, x = make().double(), example()
    return model, x, altprop.from_torch(model, x)


def test_no_parameter_is_hidden(traced):
    assert "0 parameters inside of boxes" in repr(traced[2])


def gradients_of(model, run):
    model.zero_grad()
    run()
    return {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


def test_backprop_is_autograd(traced):
    model, x, net = traced
    y = torch.arange(5) % 3
    loss = nn.CrossEntropyLoss()
    exact = gradients_of(model, lambda: loss(model(x), y).backward())
    found = gradients_of(model, lambda: altprop.backward(altprop.Rule("backprop"), net, x, y, loss=loss))
    scale = max(g.norm() for g in exact.values())
    for name, gradient in exact.items():
        assert (found[name] - gradient).norm() <= 1e-12 * scale, name


@pytest.mark.parametrize("rule", ["feedback-alignment", "uniform-sign", "direct-feedback-alignment"])
def test_rules_meet_all_parameters(traced, rule):
    model, x, net = traced
    y = torch.arange(5) % 3
    loss = nn.CrossEntropyLoss()
    exact = gradients_of(model, lambda: loss(model(x), y).backward())
    found = gradients_of(model, lambda: altprop.backward(altprop.Rule(rule), net, x, y, loss=loss))
    assert torch.allclose(found["out.weight"], exact["out.weight"], rtol=1e-9)
    changed = [name for name in exact if not torch.allclose(found[name], exact[name], rtol=1e-6)]
    assert changed and not any(name.startswith("out.") for name in changed)
    assert all(torch.isfinite(gradient).all() for gradient in found.values())


def test_the_padding_learns_nothing():
    model, x = Columns().double(), tokens()
    x[:, 0] = 0
    net = altprop.from_torch(model, x)
    altprop.backward(altprop.Rule("backprop"), net, x, torch.arange(5) % 3, loss=nn.CrossEntropyLoss())
    assert model.table.weight.grad[0].eq(0).all() and model.table.weight.grad[1:].ne(0).any()


def test_a_step_is_seen_by_the_network():
    """A transposed matrix and a made value follow the model's own."""
    torch.manual_seed(1)
    model, x = Columns().double(), tokens()
    net = altprop.from_torch(model, x)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
    y, loss = torch.arange(5) % 3, nn.CrossEntropyLoss()
    exact = gradients_of(model, lambda: loss(model(x), y).backward())
    found = gradients_of(model, lambda: altprop.backward(altprop.Rule("backprop"), net, x, y, loss=loss))
    for name in exact:
        assert torch.allclose(found[name], exact[name], rtol=1e-12, atol=1e-15), name
