"""A rule as a module: loss.backward() leaves its gradients, alone and on two ranks that average."""
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from package import altprop
from test_from_torch import cross_entropy, gradients, made, of_autograd
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@pytest.mark.parametrize("name", ["mlp", "conv", "standardised", "tied"])
def test_backward_through_a_learner_is_altprops(name):
    model, x = made(name)
    y = x if name == "tied" else torch.randint(0, 3, (x.shape[0],))
    learner = altprop.Learner(altprop.from_torch(model, x), altprop.Rule("backprop"))
    value, right = of_autograd(model, x, y, cross_entropy)
    loss = cross_entropy(learner(x), y)
    assert loss.item() == pytest.approx(value, rel=1e-12)
    loss.backward()
    for key, g in gradients(model).items():
        assert torch.allclose(g, right[key], rtol=1e-10, atol=1e-12), key
    with torch.no_grad():
        model.eval()
        assert torch.equal(learner(x), model(x))


def test_a_learner_is_a_part_of_something_larger():
    """Credit goes on to what stands in front, and two passes may be open at once."""
    model, x = made("mlp")
    front = nn.Linear(4, 4).double()
    learner = altprop.Learner(altprop.from_torch(model, x), altprop.Rule("backprop"))
    y = torch.tensor([0, 1, 2, 0])
    cross_entropy(model(front(x)), y).backward()
    right = front.weight.grad.clone()
    front.zero_grad()
    first, second = learner(front(x)), learner(front(2 * x))
    cross_entropy(first, y).backward()
    assert torch.allclose(front.weight.grad, right, rtol=1e-10)
    cross_entropy(second, y).backward()
    again = cross_entropy(learner(front(x)), y)
    again.backward(retain_graph=True)
    with pytest.raises(altprop.Error, match="taken already"):
        again.backward()


def test_a_learner_learns_by_feedback_alignment_with_its_own_optimizer():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    x = torch.randn(128, 8)
    y = (x @ torch.randn(8, 3)).argmax(1)
    learner = altprop.Learner(altprop.from_torch(model, x[:2]), altprop.Rule("feedback-alignment"))
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        losses.append(nn.functional.cross_entropy(learner(x), y))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


def test_what_goes_through_no_autograd_is_refused():
    model, x = made("mlp")
    net = altprop.from_torch(model, x)
    with pytest.raises(altprop.Refusal, match="altprop.backward"):
        altprop.Learner(net, altprop.Rule("predictive-coding", mode="strict"))
    with pytest.raises(altprop.UsageError, match="one batch"):
        altprop.Learner(net, altprop.Rule("backprop"))([x])


def rank(number, address, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{address}", rank=number, world_size=2)
    model, x = made("mlp", samples=8)
    learner = altprop.Learner(altprop.from_torch(model, x[:2]), altprop.Rule("feedback-alignment", seed=5))
    wrapped = DistributedDataParallel(learner)
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
    y = torch.arange(8) % 3
    mine = slice(4 * number, 4 * number + 4)
    for _ in range(3):
        optimizer.zero_grad()
        cross_entropy(wrapped(x[mine]), y[mine]).backward()
        optimizer.step()
    with pytest.raises(altprop.Refusal, match="Learner"):
        altprop.from_torch(wrapped, x)
    if number == 0:
        torch.save(model.state_dict(), folder)
    dist.destroy_process_group()


def test_two_ranks_learn_what_one_process_learns(tmp_path):
    mp.spawn(rank, args=(str(tmp_path / "address"), str(tmp_path / "weights")), nprocs=2)
    model, x = made("mlp", samples=8)
    learner = altprop.Learner(altprop.from_torch(model, x[:2]), altprop.Rule("feedback-alignment", seed=5))
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        cross_entropy(learner(x), torch.arange(8) % 3).backward()
        optimizer.step()
    for key, value in torch.load(tmp_path / "weights").items():
        assert torch.allclose(value, model.state_dict()[key], rtol=1e-12, atol=1e-14), key
