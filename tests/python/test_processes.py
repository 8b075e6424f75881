"""One network, several threads and processes."""
import os
import threading

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from package import altprop
from test_from_torch import cross_entropy, gradients, made
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def test_two_threads_with_two_rules_make_what_one_makes():
    """Boxes, running statistics and .grad are the network's; threads take turns at it."""
    model, x = made("conv", samples=6)
    model[0] = nn.Sequential(model[0], nn.Hardtanh(-2, 2))  # no operation of the library: a box
    y, names = torch.arange(6) % 3, ("backprop", "feedback-alignment")
    net = altprop.from_torch(model, x[:2])
    rules = [altprop.Rule(name) for name in names]
    for rule in rules:
        altprop.backward(rule, net, x, y, cross_entropy)  # bound in one thread
    model.zero_grad(set_to_none=True)
    begin = {name: b.clone() for name, b in model.named_buffers()}

    def outcome(run):
        model.zero_grad(set_to_none=True)
        for name, b in model.named_buffers():
            b.copy_(begin[name])
        run()
        return {**gradients(model), **{name: b.clone() for name, b in model.named_buffers()}}

    def once(rule, gate=None):
        if gate:
            gate.wait()
        altprop.backward(rule, net, x, y, cross_entropy)

    def together():
        gate = threading.Barrier(2)
        threads = [threading.Thread(target=once, args=(rule, gate)) for rule in rules]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

    right = outcome(lambda: [once(rule) for rule in rules])
    for _ in range(20):
        for name, value in outcome(together).items():  # in either order, so up to rounding
            assert torch.allclose(value.double(), right[name].double(), rtol=1e-9, atol=1e-12), name


def test_a_network_does_not_go_through_a_fork():
    model, x = made("mlp")
    y, net, old = torch.tensor([0, 1, 2, 0]), altprop.from_torch(model, x), altprop.Rule("backprop")
    altprop.backward(old, net, x, y, cross_entropy)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        for rule in (old, altprop.Rule("feedback-alignment")):
            try:
                altprop.backward(rule, net, x, y, cross_entropy)
                said.append("it went through")
            except altprop.UsageError as problem:
                said.append(str(problem))
        os.write(writing, "\n".join(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read().splitlines()
    assert os.waitpid(child, 0)[1] == 0
    assert len(said) == 2 and all("belongs to the process that traced it" in line for line in said), said


def test_workers_of_a_loader_need_no_network():
    model, x = made("mlp", samples=8)
    net, rule, seen = altprop.from_torch(model, x[:2]), altprop.Rule("feedback-alignment"), 0
    for batch, target in DataLoader(TensorDataset(x, torch.arange(8) % 3), batch_size=4, num_workers=2):
        altprop.backward(rule, net, batch, target, cross_entropy)
        seen += len(target)
    assert seen == 8 and all(p.grad is not None for p in model.parameters())


def rank(number, address):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{address}", rank=number, world_size=2)
    model, x = made("mlp")
    y, net, rule = torch.tensor([0, 1, 2, 0]), altprop.from_torch(model, x), altprop.Rule("backprop")
    wrapped = nn.parallel.DistributedDataParallel(model)
    for what in (net, wrapped):
        with pytest.raises(altprop.Refusal, match="DistributedDataParallel"):
            altprop.backward(rule, what, x, y, cross_entropy)
        assert model[1].weight.grad is None
    altprop.backward(rule, net, x, y, cross_entropy, local=True)
    assert model[1].weight.grad is not None
    dist.destroy_process_group()


def test_backward_among_several_processes_is_refused(tmp_path):
    mp.spawn(rank, args=(str(tmp_path / "address"),), nprocs=2)
