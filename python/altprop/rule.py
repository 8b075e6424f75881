"""Rules, and gradients by them."""
import torch

from . import _core
from ._core import Refusal, UsageError


def rules():
    """What there is: a list of dicts with name, aliases, summary, source and options."""
    return _core.rules()


def written(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


class Rule:
    """A learning rule by name, with options: Rule("product-feedback-alignment", expand=10).

    Options are those of `altprop list rules`, without the rule's prefix if that is unique, '-' written as '_'.
    """

    def __init__(self, name, seed=1, **options):
        self.name = _core.rule_name(name)
        self.seed = seed
        self.options = {_core.rule_option_name(self.name, key.replace("_", "-")): written(value)
                        for key, value in options.items()}
        self.needs_loss = _core.needs_loss(self.name, self.options)
        self._bound = {}

    def __repr__(self):
        inside = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"altprop.Rule({self.name!r}{', ' + inside if inside else ''})"

    def bound(self, lowered, loss=None, input_credit=False):
        """The rule bound to what a network was traced to: feedback is drawn once for each."""
        key = (id(lowered), id(loss) if self.needs_loss else None, input_credit)
        if key not in self._bound:
            found = _core.BoundRule(lowered.core, self.name, self.options, sample_loss(loss)[0] if self.needs_loss else None, self.seed,
                                    input_credit)
            if found.owned:
                raise Refusal(f"rule '{self.name}': it has weights of its own ('{found.owned[0]}'), which an optimizer of yours "
                              "would not step, so that it would be another rule; use it from the command line")
            if found.passes != ["train"]:
                raise Refusal(f"rule '{self.name}': its epochs have further passes ({', '.join(found.passes)}), which a loop of "
                              "yours would leave out; use it from the command line")
            self._bound[key] = (found, lowered, loss)  # both kept, so that their ids stay theirs
        return self._bound[key][0]


def sample_loss(loss):
    """A torch loss as the loss of each sample by itself, for rules that ask it at outputs of their own, and its gradient."""
    def each(output, target):
        return torch.stack([loss(output[i:i + 1], target[i:i + 1]) for i in range(output.shape[0])])

    def gradient(output, target):
        with torch.enable_grad():
            at = output.detach().requires_grad_()
            return torch.autograd.grad(each(at, target).sum(), at)[0]

    return _core.Loss(lambda output, target: each(output, target).detach(), gradient), gradient


def expect_of_samples(rule, loss, output, target, gradient):
    """@raises Refusal if the loss of a batch is not the mean of that of its samples"""
    single = sample_loss(loss)[1](output, target)
    if not torch.allclose(single, gradient * output.shape[0], rtol=1e-3, atol=1e-6):
        raise Refusal(f"rule '{rule.name}': it asks the loss of each sample by itself, at outputs of its own, but this loss is not the "
                      "mean of those of the samples (class weights, a sum, samples that are left out); use a plain mean")


def expect_plain_autograd():
    if torch.is_inference_mode_enabled():
        raise UsageError("backward: inference mode keeps no tensors for gradients; leave torch.inference_mode()")
    for kind in ("cpu", "cuda"):
        if torch.is_autocast_enabled(kind):
            raise UsageError("backward: under autocast the model computes in other numbers than its parameters have, which altprop "
                             "does not follow; leave torch.autocast for this")


def backward(rule, net, x, y, loss, step=0):
    """The rule's gradient of loss(model(x), y), added to .grad of the model's parameters as loss.backward() would.

    @param loss   any function of output and target that returns one number
    @param step   number of the training step, by which rules draw what they draw
    @returns the loss, detached
    """
    expect_plain_autograd()
    lowered = net.lowered()
    found = rule.bound(lowered, loss)
    values = lowered.refresh()
    made = found.forward(x, step, True)
    at = made.output.detach().requires_grad_()
    with torch.enable_grad():
        value = loss(at, y)
    if value.dim() != 0:
        raise UsageError(f"backward: the loss is one number, but this one has shape {tuple(value.shape)}; let it take the "
                         "mean over samples")
    gradient = torch.autograd.grad(value, at)[0]
    if rule.needs_loss:
        expect_of_samples(rule, loss, at, y, gradient)
    into, keep = lowered.targets(values)
    if rule.needs_loss:
        found.credit_of_loss(made, y, into, keep)
    else:
        found.credit(made, gradient, into, keep)
    lowered.hand_over(values, into)
    return value.detach()
