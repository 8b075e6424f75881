"""A rule as a module of PyTorch, so that autograd, DDP, Lightning and what else goes around a module work around it."""
import torch

from ._core import UsageError
from .errors import refusal
from .rule import expect_plain_autograd
from .verify import kept


def credited(bound, made, cotangent, values):
    """(gradients of the core's parameters, None for those that do not learn; that of the input)"""
    into = [torch.empty_like(tensor, requires_grad=False) if tensor.requires_grad else None for tensor in values]
    return into, bound.core.credit(made, cotangent, into, [False] * len(into))


class _ByRule(torch.autograd.Function):
    """Forward pass and credit of a rule; parameters are inputs, so that their gradients go the usual way."""

    @staticmethod
    def forward(ctx, learner, x, *parameters):
        lowered = learner.net.lowered()
        ctx.learner, ctx.lowered = learner, lowered
        ctx.bound = learner.bound(lowered, x, ctx.needs_input_grad[1])
        ctx.values = lowered.refresh()
        ctx.made = ctx.bound.core.forward(x, learner.step, True)
        learner.step += 1
        return ctx.made.output

    @staticmethod
    def backward(ctx, cotangent):
        if torch.is_grad_enabled():
            raise refusal("Learner", "backward with create_graph=True asks for derivatives of the gradients, and those of a "
                          "rule have none", "call backward without create_graph")
        into, to_input = credited(ctx.bound, ctx.made, cotangent, ctx.values)
        gradients = ctx.lowered.by_parameter(ctx.values, into)
        return (None, to_input, *[gradients.get(id(p)) for p in ctx.learner.parameters_of_model()])


def in_proportion(bound, lowered, x):
    """Whether a gradient at the output that is k times as large makes gradients that are k times as large."""
    def gradients(factor):
        values = lowered.refresh()
        made = bound.core.forward(x, 0, False)
        seen = torch.randn(made.output.shape, generator=torch.Generator().manual_seed(1), dtype=made.output.dtype)
        into, _ = credited(bound, made, seen.to(made.output.device) * factor, values)
        return [g for g in into if g is not None]

    with kept(lowered.model), torch.no_grad():
        ones, many = gradients(1), gradients(1024)
    largest = max([g.abs().max().item() for g in ones if g.numel()] or [0.0])
    return all(g.numel() == 0 or (k / 1024 - g).abs().max().item() <= 1e-3 * largest for g, k in zip(ones, many))


class Learner(torch.nn.Module):
    """The model, whose gradients are a rule's: learner(x) is model(x), and loss.backward() leaves the rule's gradients.

        learner = altprop.Learner(net, altprop.Rule("feedback-alignment"))
        loss_function(learner(x), y).backward()

    For rules that take a gradient at the output; those that ask the loss itself want altprop.backward. What a rule owns
    is none of its parameters: rule.attach(optimizer) steps it with the finished gradients of its partners, averaged and
    clipped as they are.

    @param unscaled  for rules whose gradients are not in proportion to the loss: no GradScaler multiplies it
    """

    def __init__(self, net, rule, unscaled=False):
        super().__init__()
        if rule.needs_loss:
            raise refusal(f"rule '{rule.name}'", "it asks the loss at outputs of its own, which autograd does not hand on",
                          "use altprop.backward(rule, net, x, y, loss)")
        self.model = net.model
        self.net, self.rule, self.step, self.unscaled = net, rule, 0, unscaled

    def parameters_of_model(self):
        return [p for p in self.model.parameters() if p.requires_grad]

    def bound(self, lowered, x, input_credit):
        found = self.rule.bound(lowered, input_credit=input_credit)
        self.rule.expect_passes(found)
        if not self.unscaled and found.in_proportion is None:
            found.in_proportion = in_proportion(found, lowered, x)
        if not self.unscaled and not found.in_proportion:
            raise refusal(f"rule '{self.rule.name}'", "its gradients are not in proportion to the loss, so that a GradScaler "
                          "would change what it learns, and a Learner does not see whether there is one",
                          "pass Learner(net, rule, unscaled=True) where there is none")
        return found

    def forward(self, x):
        if not isinstance(x, torch.Tensor):
            raise UsageError(f"Learner: it takes one batch, a tensor, but was given a {type(x).__name__}")
        if not torch.is_grad_enabled():
            return self.model(x)
        expect_plain_autograd("Learner")
        return _ByRule.apply(self, x, *self.parameters_of_model())
