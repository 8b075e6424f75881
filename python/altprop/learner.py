"""A rule as a module of PyTorch, so that autograd, DDP, Lightning and what else goes around a module work around it."""
import torch
from torch.autograd.function import once_differentiable

from ._core import Refusal, UsageError
from .rule import expect_plain_autograd


class _ByRule(torch.autograd.Function):
    """Forward pass and credit of a rule; parameters are inputs, so that their gradients go the usual way."""

    @staticmethod
    def forward(ctx, learner, x, *parameters):
        lowered = learner.net.lowered()
        ctx.learner, ctx.lowered = learner, lowered
        ctx.bound = learner.rule.bound(lowered, input_credit=ctx.needs_input_grad[1])
        ctx.values = lowered.refresh()
        ctx.made = ctx.bound.forward(x, learner.step, True)
        learner.step += 1
        return ctx.made.output

    @staticmethod
    @once_differentiable
    def backward(ctx, cotangent):
        into = [torch.empty_like(tensor, requires_grad=False) if tensor.requires_grad else None for tensor in ctx.values]
        to_input = ctx.bound.credit(ctx.made, cotangent, into, [False] * len(into))
        gradients = ctx.lowered.by_parameter(ctx.values, into)
        return (None, to_input, *[gradients.get(id(p)) for p in ctx.learner.parameters_of_model()])


class Learner(torch.nn.Module):
    """The model, whose gradients are a rule's: learner(x) is model(x), and loss.backward() leaves the rule's gradients.

        learner = altprop.Learner(net, altprop.Rule("feedback-alignment"))
        loss_function(learner(x), y).backward()

    For rules that take a gradient at the output; those that ask the loss itself want altprop.backward.
    """

    def __init__(self, net, rule):
        super().__init__()
        if rule.needs_loss:
            raise Refusal(f"rule '{rule.name}': it asks the loss at outputs of its own, which autograd does not hand on; use "
                          "altprop.backward(rule, net, x, y, loss)")
        self.model = net.model
        self.net, self.rule, self.step = net, rule, 0

    def parameters_of_model(self):
        return [p for p in self.model.parameters() if p.requires_grad]

    def forward(self, x):
        expect_plain_autograd()
        if not isinstance(x, torch.Tensor):
            raise UsageError(f"Learner: it takes one batch, a tensor, but was given a {type(x).__name__}")
        if not torch.is_grad_enabled():
            return self.model(x)
        return _ByRule.apply(self, x, *self.parameters_of_model())
