"""Rules with weights and states of their own beside an optimizer of PyTorch's: they learn what the program's learn."""
import collections
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from package import altprop
from torch import nn
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(Path(__file__).parents[1] / "program"))
from program import altprop as program  # noqa: E402
from program import checkpoint  # noqa: E402

SAMPLES, BATCH = 80, 8
OPTIMIZERS = {
    "momentum": (lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
                 ["--lr", 0.05, "--weight-decay", 0.01]),
    "nesterov": (lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.5, nesterov=True), ["--lr", 0.02, "--momentum", 0.5]),
    "adamw": (lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1), ["--lr", 0.01, "--weight-decay", 0.1]),
}


def made():
    torch.manual_seed(3)
    model = nn.Sequential(collections.OrderedDict(fc1=nn.Linear(6, 9), act1=nn.ReLU(), fc2=nn.Linear(9, 7),
                                                  act2=nn.ReLU(), fc3=nn.Linear(7, 3))).double()
    x = torch.randn(SAMPLES, 6).double()  # numbers that float32 holds
    return model, x, (x @ torch.randn(6, 3).double()).argmax(1)


def batches(x, y, times=1):
    for _ in range(times):
        yield from zip(x.split(BATCH), y.split(BATCH))


def of_program(folder, rule, optimizer):
    """Weights after two epochs of ten steps of the program, from the same weights on the same batches."""
    from safetensors.torch import save_file
    model, x, y = made()
    np.save(folder / "x.npy", x.float().numpy())
    np.save(folder / "y.npy", y.numpy())
    save_file(model.state_dict(), folder / "begin.safetensors")
    program("train", "--data", "npy", *(f"--data.npy.train-{part}={folder}/{part}.npy" for part in "xy"),
            "--data.normalise", "none", "--shuffle", "false", "--dtype", "float64", "--net", "mlp:6-9-7-3:relu",
            "--rule", rule, "--batch", BATCH, "--epochs", 2, "--optimizer", optimizer, *OPTIMIZERS[optimizer][1],
            "--threads", 1, "--probe-every", 0, "--init-from", folder / "begin.safetensors",
            "--out", folder / "run", "--quiet")
    kept = checkpoint(folder / "run" / "checkpoint.safetensors")
    return {key.removeprefix("net."): value for key, value in kept.items() if key.startswith("net.")}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name, options", [
    ("kolen-pollack", {}), ("kolen-pollack", {"form": "implicit"}), ("product-feedback-alignment", {"expand": 2}),
    ("product-feedback-alignment", {"form": "product", "expand": 2}),
    ("product-feedback-alignment", {"form": "activity"}),
    ("product-feedback-alignment", {"r_update": "from-w"}), ("weight-mirror", {}), ("weight-mirror", {"warmup": 0}),
    ("feedback-alignment", {"weight_norm": True})])
def test_twenty_steps_are_the_programs(tmp_path, name, options, optimizer):
    rule = altprop.Rule(name, **options)
    text = name + (f"[{','.join(f'{key}={value}' for key, value in rule.options.items())}]" if options else "")
    model, x, y = made()
    made_by = OPTIMIZERS[optimizer][0](model.parameters())
    rule.attach(made_by, epoch_steps=SAMPLES // BATCH)
    net = altprop.from_torch(model, x[:2])
    if name == "weight-mirror" and options.get("warmup") != 0:
        for batch, _ in batches(x, y):
            rule.run_pass("mirror", net, batch)
    for batch, target in batches(x, y, 2):
        made_by.zero_grad()
        altprop.backward(rule, net, batch, target, nn.CrossEntropyLoss())
        made_by.step()
    right = of_program(tmp_path, text, optimizer)
    assert len(right) == 6
    for key, value in model.state_dict().items():
        assert (value - right[key]).abs().max().item() <= 1e-10, key


def test_feedback_comes_nearer_by_the_law():
    model, x, y = made()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.05)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 15, 0.5)  # made before what the rule owns is there
    rule = altprop.Rule("kolen-pollack", align_decay=0, min_decay=0).attach(optimizer)
    net = altprop.from_torch(model, x[:2])
    first = None
    for batch, target in batches(x, y, 4):
        optimizer.zero_grad()
        altprop.backward(rule, net, batch, target, nn.CrossEntropyLoss())
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)  # of the model's own: partners take the clipped gradient
        optimizer.step()
        scheduler.step()
        rows = rule.alignment(net)
        first = first or rows
        assert [row["name"] for row in rows] == ["fc2", "fc3"]
        for row in rows:
            assert row["measured_factor"] == pytest.approx(row["predicted_factor"], rel=1e-9)
    assert all(row["distance"] < 0.7 * begin["distance"] for row, begin in zip(rows, first))


def test_what_it_has_learnt_goes_on_where_the_model_is_traced_again():
    """A frozen layer in between costs no feedback."""
    model, x, y = made()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.05)
    rule = altprop.Rule("kolen-pollack", align_decay=0, min_decay=0).attach(optimizer)
    net = altprop.from_torch(model, x[:2])

    def step():
        optimizer.zero_grad()
        altprop.backward(rule, net, x, y, nn.CrossEntropyLoss())
        optimizer.step()
        return rule.alignment(net)

    for _ in range(5):
        before = step()
    model.fc1.weight.requires_grad_(False)
    after = step()
    model.fc1.weight.requires_grad_(True)
    for row, was, now in zip(before, after, step()):
        assert row["distance"] > was["distance"] > now["distance"] > 0.98 * row["distance"]
        assert now["measured_factor"] == pytest.approx(now["predicted_factor"], rel=1e-9)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 8


def test_rules_that_are_not_attached_say_so():
    model, x, y = made()
    net = altprop.from_torch(model, x[:2])
    for name, options in (("kolen-pollack", {}), ("kolen-pollack", {"form": "implicit"}),
                          ("product-feedback-alignment", {}), ("product-feedback-alignment", {"form": "implicit"}),
                          ("product-feedback-alignment", {"r_update": "from-w"}),
                          ("weight-mirror", {}), ("weight-mirror", {"warmup": 0}),
                          ("feedback-alignment", {"weight_norm": True}),
                          ("activation-relaxation", {"feedback": "learned"})):
        rule = altprop.Rule(name, **options)
        with pytest.raises(altprop.Refusal, match="would be another rule") as found:
            altprop.backward(rule, net, x, y, nn.CrossEntropyLoss())
        assert "rule.attach(optimizer)" in found.value.instead and name in found.value.where
        assert len(altprop.check(net, rule, x, y)) == 6, "to look at a rule takes no optimizer"
    with pytest.raises(altprop.Refusal, match="by itself"):
        altprop.backward(altprop.Rule("predictive-coding", mode="ipc"), net, x, y, nn.CrossEntropyLoss())


def test_what_an_optimizer_cannot_follow_is_refused():
    model, x, y = made()
    net, loss = altprop.from_torch(model, x[:2]), nn.CrossEntropyLoss()
    optimizer = torch.optim.RMSprop(model.parameters())
    with pytest.raises(altprop.Refusal, match="torch.optim.RMSprop"):
        altprop.backward(altprop.Rule("kolen-pollack", form="implicit").attach(optimizer), net, x, y, loss)
    rule = altprop.Rule("kolen-pollack").attach(torch.optim.SGD(model.fc1.parameters(), lr=0.1))
    with pytest.raises(altprop.Refusal, match="does not step"):
        altprop.backward(rule, net, x, y, loss)
    with pytest.raises(altprop.Refusal, match="attached already"):
        rule.attach(optimizer)
    mirror = altprop.Rule("weight-mirror").attach(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(altprop.Refusal, match="run_pass"):
        altprop.backward(mirror, net, x, y, loss)
    with pytest.raises(altprop.UsageError, match="no pass 'dream'"):
        mirror.run_pass("dream", net, x)
    mirror.run_pass("mirror", net, x)
    altprop.backward(mirror, net, x, y, loss)
    with pytest.raises(altprop.Refusal, match="closure"):
        mirror._attached.optimizer.step(lambda: 0.0)
    with pytest.warns(UserWarning, match="epoch_steps=len"):
        rule = altprop.Rule("kolen-pollack").attach(torch.optim.SGD(model.parameters(), lr=0.1))
        altprop.backward(rule, net, x, y, loss)


def test_a_rule_that_asks_the_loss_steps_backward_weights_by_their_own_gradients():
    """Equilibrium propagation with separate backward weights: they have no partners."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, y = torch.randn(16, 6).double(), torch.randint(0, 3, (16,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    net = altprop.from_torch(model, x)
    rule = altprop.Rule("equilibrium-propagation", weights="separate", free_steps=30, nudged_steps=10).attach(optimizer)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        losses.append(altprop.backward(rule, net, x, y, nn.CrossEntropyLoss()).item())
        own = rule._attached.active.own
        assert own and all(one.partner is None and one.parameter.grad.abs().max() > 0 for one in own)
        before = own[0].parameter.detach().clone()
        optimizer.step()
        assert not torch.equal(before, own[0].parameter)
    assert losses[-1] < losses[0]


def rank(number, address, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{address}", rank=number, world_size=2)
    model, x, y = made()
    rule = altprop.Rule("kolen-pollack", seed=5)
    wrapped = DistributedDataParallel(altprop.Learner(altprop.from_torch(model, x[:2]), rule))
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1, momentum=0.9)
    rule.attach(optimizer, epoch_steps=3)
    mine = slice(number, None, 2)
    for _ in range(6):
        optimizer.zero_grad()
        nn.functional.cross_entropy(wrapped(x[mine]), y[mine]).backward()
        nn.utils.clip_grad_norm_(wrapped.parameters(), 0.2)
        optimizer.step()
    own = {one.name: one.parameter.detach() for one in rule._attached.active.own}
    torch.save({**model.state_dict(), **own}, f"{folder}/{number}")
    dist.destroy_process_group()


def test_two_ranks_learn_what_one_process_learns(tmp_path):
    mp.spawn(rank, args=(str(tmp_path / "address"), str(tmp_path)), nprocs=2)
    model, x, y = made()
    rule = altprop.Rule("kolen-pollack", seed=5)
    learner = altprop.Learner(altprop.from_torch(model, x[:2]), rule)
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1, momentum=0.9)
    rule.attach(optimizer, epoch_steps=3)
    for _ in range(6):
        optimizer.zero_grad()
        nn.functional.cross_entropy(learner(x), y).backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 0.2)
        optimizer.step()
    own = {one.name: one.parameter.detach() for one in rule._attached.active.own}
    assert set(own) == {"fc2.weight.feedback", "fc3.weight.feedback"}
    for number in range(2):
        found = torch.load(tmp_path / str(number))
        for key, value in {**model.state_dict(), **own}.items():
            assert torch.allclose(found[key], value, rtol=1e-11, atol=1e-13), key
