"""Networks that are traced from PyTorch models."""
import contextlib

import torch

from . import _core
from ._core import Refusal
from .export import exported
from .lowering import Lowered


@contextlib.contextmanager
def kept_modes(model):
    """Each of the model's modules in the mode it was in, at the end."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, was in before:
            module.training = was


class Network:
    """A PyTorch model as altprop sees it. Parameters and running statistics are the model's own tensors.

    Made by from_torch; the model stays what it is, and its optimizer, its state_dict and its own forward pass go on working.
    """

    def __init__(self, model, example):
        self.model = model
        self._example = example.detach()
        self._lowered = {}

    def lowered(self, training=None):
        """What was traced in a mode, traced now if that was not done yet."""
        training = self.model.training if training is None else training
        if training not in self._lowered:
            with kept_modes(self.model):
                if self.model.training != training:
                    self.model.train(training)
                self._lowered[training] = Lowered(exported(self.model, self._example), self.model)
        return self._lowered[training]

    def describe(self):
        """The operations of the network, a line for each: number, name, kind, inputs and shape of a sample."""
        return self.lowered().core.describe()

    def __repr__(self):
        lowered = self.lowered()
        return (f"altprop.Network({type(self.model).__name__}: {lowered.operations} operations, {lowered.boxes} of them boxes of "
                f"libtorch's operators, {lowered.hidden} parameters inside of boxes)")


def from_torch(model, example, verify=True):
    """The network of a model, for rules to learn on.

    @param model    a torch.nn.Module of one input and one output, whose first dimension are samples
    @param example  a batch that it takes, [B, ...]
    @param verify   compare output and gradients with autograd's on the example, in evaluation mode
    @raises Refusal where the model does something that cannot be right, naming it
    """
    if not isinstance(model, torch.nn.Module):
        raise _core.UsageError(f"from_torch: the model is a torch.nn.Module, but this is a {type(model).__name__}")
    if not isinstance(example, torch.Tensor) or example.dim() < 1 or example.shape[0] < 1:
        raise _core.UsageError("from_torch: the example is a batch that the model takes, a tensor of at least one sample")
    if hasattr(model, "module") and type(model).__name__ in ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel"):
        raise Refusal(f"from_torch: a model inside of {type(model).__name__} does its work in hooks that no trace sees; trace "
                      "model.module, and wrap altprop.Learner instead")
    for name, module in model.named_modules():
        if any(getattr(module, hooks, None) for hooks in ("_backward_hooks", "_backward_pre_hooks")):
            raise Refusal(f"module '{name}': it has backward hooks, which no rule would call; remove them first")
    net = Network(model, example)
    net.lowered()
    if verify:
        from .check import verify_against_autograd
        verify_against_autograd(net, example)
    return net
