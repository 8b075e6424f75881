"""Networks that are traced from PyTorch models."""
import contextlib
import threading

import torch

from . import _core
from .errors import refusal
from .export import exported
from .lowering import Lowered

KEPT_TRACES = 8  # of a model whose modes and frozen parameters change to and fro


@contextlib.contextmanager
def kept_modes(model):
    """Each of the model's modules in the mode it was in, at the end."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, was in before:
            module.training = was


def seen_by_a_trace(model):
    """What a trace rests on: the modules and their modes, the tensors that they hold, and which of those learn.

    The objects themselves, so that none of them is freed and its id given to another. Asked in every step: it walks
    the modules by their dicts.
    """
    objects, flags, todo = [], [], [model]
    for module in todo:
        objects.append(module)
        flags.append(module.training)
        for parameter in module._parameters.values():
            objects.append(parameter)
            flags.append(parameter is not None and parameter.requires_grad)
        objects.extend(module._buffers.values())
        todo.extend(one for one in module._modules.values() if one is not None)
    return objects, flags


class Network:
    """A PyTorch model as altprop sees it. Parameters and running statistics are the model's own tensors.

    Made by from_torch; the model stays what it is, and its optimizer, its state_dict and its own forward pass go on working.
    """

    def __init__(self, model, example):
        self.model = model
        self.one_at_a_time = threading.RLock()
        self._example = example.detach()
        self._traces = []  # (objects, flags, Lowered), the last used in front
        self._step = 0

    def next_step(self):
        """Number of a training step whose caller counts none."""
        self._step += 1
        return self._step - 1

    @property
    def step(self):
        """The number that the next step will have."""
        return self._step

    def lowered(self):
        """What the model is traced to as it is now: again where modules, parameters, what learns or a mode has changed."""
        objects, flags = seen_by_a_trace(self.model)
        for i, (of, how, lowered) in enumerate(self._traces):
            if how == flags and len(of) == len(objects) and all(map(_same, of, objects)):
                if i:
                    self._traces.insert(0, self._traces.pop(i))
                return lowered
        with kept_modes(self.model):
            lowered = Lowered(exported(self.model, self._example), self.model)
        self._traces = [(objects, flags, lowered), *self._traces[:KEPT_TRACES - 1]]
        return lowered

    def describe(self):
        """The operations of the network, a line for each: number, name, kind, inputs and shape of a sample."""
        return self.lowered().core.describe()

    def __repr__(self):
        lowered = self.lowered()
        return (f"altprop.Network({type(self.model).__name__}: {lowered.operations} operations, {lowered.boxes} of them boxes of "
                f"libtorch's operators, {lowered.hidden} parameters inside of boxes)")


def _same(a, b):
    return a is b


def expect_no_hooks(model):
    """@raises Refusal naming a module or parameter whose hooks no rule would call"""
    for name, module in model.named_modules():
        if any(getattr(module, hooks, None) for hooks in ("_backward_hooks", "_backward_pre_hooks")):
            raise refusal(f"module '{name}'", "it has backward hooks, which no rule would call", "remove them first")
    for name, parameter in model.named_parameters():
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            raise refusal(f"parameter '{name}'", "it has hooks on its gradient, which altprop.backward would not call",
                          "remove them, or register them behind from_torch and train through altprop.Learner")


def from_torch(model, example, verify=True):
    """The network of a model, for rules to learn on.

    @param model    a torch.nn.Module of one input and one output, whose first dimension are samples
    @param example  a batch that it takes, [B, ...]
    @param verify   compare output and gradients with autograd's on the example, in evaluation mode and in its own
    @raises Refusal where the model does something that cannot be right, naming it
    """
    from .rule import expect_plain_autograd
    if not isinstance(model, torch.nn.Module):
        raise _core.UsageError(f"from_torch: the model is a torch.nn.Module, but this is a {type(model).__name__}")
    if not isinstance(example, torch.Tensor) or example.dim() < 1 or example.shape[0] < 1:
        raise _core.UsageError("from_torch: the example is a batch that the model takes, a tensor of at least one sample")
    if hasattr(model, "module") and type(model).__name__ in ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel"):
        raise refusal("from_torch", f"a model inside of {type(model).__name__} does its work in hooks that no trace sees",
                      "trace model.module, and wrap altprop.Learner instead")
    expect_plain_autograd("from_torch")
    expect_no_hooks(model)
    net = Network(model, example)
    net.lowered()
    if verify:
        from .verify import verify_against_autograd
        verify_against_autograd(net, example)
    return net
