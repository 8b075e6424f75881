"""Rules, and gradients by them."""
import warnings
import weakref

import torch

from . import _core
from ._core import UsageError
from .attached import Attached
from .errors import refusal
from .losses import LossNow
from .network import Network


def written(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


class Bound:
    """A rule on one trace of a network."""

    def __init__(self, rule, lowered, input_credit, optimizer):
        self.name = rule.name
        self.loss = LossNow() if rule.needs_loss else None
        self.core_loss = _core.Loss(self.loss.value, self.loss.gradient) if self.loss else None
        self.core = _core.BoundRule(lowered.core, rule.name, rule.options, self.core_loss, rule.seed, input_credit,
                                    optimizer)
        self.passes = [one for one in self.core.passes(0, 1) if one != "train"]  # that come before training
        self.own = []
        self.in_proportion = None  # not asked yet
        self._warned = False

    def begin_loss(self, function, output, target, gradient):
        self.loss.begin(function, output, target, gradient)
        self.core_loss.couples_samples = self.loss.coupled
        if self.loss.coupled and not self._warned:
            self._warned = True
            warnings.warn(f"rule '{self.name}': this loss is not the mean of those of the samples (a sum, class weights, "
                          "targets that are left out); it is asked as that of whole batches, which are not divided among "
                          "threads", stacklevel=3)

    def targets(self):
        """Where gradients of what the rule owns go, of those that have no partner to take theirs from."""
        if all(own.partner is not None for own in self.own):
            return [], []
        into, keep = [None] * len(self.core.owned()), [False] * len(self.core.owned())
        for own in self.own:
            if own.partner is None:
                parameter = own.parameter
                keep[own.number] = parameter.grad is not None
                into[own.number] = parameter.grad if keep[own.number] else torch.empty_like(parameter.detach())
        return into, keep

    def hand_over(self, into):
        for own in self.own:
            if own.partner is None:
                own.parameter.grad = into[own.number]


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
        self._bound = weakref.WeakKeyDictionary()  # trace -> {input_credit: Bound}
        self._looking = weakref.WeakKeyDictionary()
        self._attached = None
        self._passes = set()

    def __repr__(self):
        inside = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"altprop.Rule({self.name!r}{', ' + inside if inside else ''})"

    def attach(self, optimizer, epoch_steps=None):
        """Lets an optimizer step what the rule owns beside the model's weights, and the rule follow its steps.

        Before the first batch; for rules with weights or states of their own (Kolen-Pollack, weight mirror, product
        feedback alignment). The optimizer holds the model's parameters; what the rule owns joins its partners' groups.

        @param epoch_steps  steps of an epoch, for rules whose weight decay goes by epochs; else it stays the optimizer's
        @returns the rule
        """
        if self._attached is not None:
            raise refusal(f"rule '{self.name}'", "an optimizer is attached already",
                          "make another altprop.Rule for another optimizer")
        self._attached = Attached(self, optimizer, epoch_steps)
        self._bound.clear()
        return self

    def bound(self, lowered, input_credit=False, looking=False):
        """The rule bound to what a network was traced to: feedback is drawn once for each.

        @param looking  nothing will be updated, so that rules need no optimizer
        """
        apart = looking and self._attached is None
        kept = (self._looking if apart else self._bound).setdefault(lowered, {})
        if input_credit not in kept:
            known = self._attached.known(lowered) if self._attached else None
            found = Bound(self, lowered, input_credit, known)
            if not apart:
                self._expect_followed(found)
            if self._attached:
                found.own = self._attached.adopt(found.core, lowered)
            kept[input_credit] = found
        if self._attached:
            try:
                self._attached.activate(kept[input_credit], lowered)
            except _core.Error as problem:
                raise refusal(f"rule '{self.name}'",
                              f"what it has learnt on another trace of the model does not fit this one ({problem})",
                              "make another altprop.Rule and attach it") from problem
        return kept[input_credit]

    def _expect_followed(self, bound):
        """@raises Refusal if an optimizer's steps are not all that the rule learns by, and nobody sees to the rest"""
        core, passes = bound.core, bound.passes
        if core.steps_itself():
            raise refusal(f"rule '{self.name}'",
                          "with these options it updates weights within a step, by itself, which an optimizer of yours cannot",
                          "use it from the command line, or choose other options")
        if self._attached:
            return
        owned = [one.name for one in core.owned()]
        why = (f"it has weights of its own ('{owned[0]}'), which would not be stepped" if owned
               else f"its epochs have further passes ({', '.join(passes)})" if passes
               else "it goes on where weights have been updated, which it would not be told" if core.follows_updates()
               else None)
        if why:
            raise refusal(f"rule '{self.name}'", why + ", so that it would be another rule",
                          "call rule.attach(optimizer) before the first batch")

    def run_pass(self, name, net, x):
        """A batch of a pass over the data that comes before training: rule.run_pass("mirror", net, x)."""
        if self._attached is None:
            raise refusal(f"rule '{self.name}'", "it follows no optimizer yet", "call rule.attach(optimizer) first")
        expect_network(net, local=True, where="run_pass")
        lowered = net.lowered()
        core = self.bound(lowered).core
        known = sorted({one for epoch in (0, 1) for one in core.passes(epoch, 2)} - {"train"})
        if name not in known:
            raise UsageError(f"rule '{self.name}': it has no pass '{name}' with these options"
                             + (f"; its passes are {', '.join(known)}" if known else ""))
        lowered.refresh()
        core.run_pass(name, x, net.next_step())
        self._passes.add(name)

    def expect_passes(self, bound):
        """@raises Refusal if training begins without what comes before it"""
        for name in bound.passes:
            if name not in self._passes:
                raise refusal(f"rule '{self.name}'",
                              f"its first epoch begins with a pass '{name}' over the data, of which no batch was run",
                              f"call rule.run_pass('{name}', net, x) for each batch x, or set the option that asks for it "
                              "to 0")

    def alignment(self, net):
        """Per weight with feedback: name, distance of the two, and the part of the first distance that is left, as the law
        of the optimizer's steps predicts and as measured (negative: not known)."""
        lowered = net.lowered()
        lowered.refresh()
        keys = ("name", "distance", "predicted_factor", "measured_factor")
        return [dict(zip(keys, row)) for row in self.bound(lowered, looking=True).core.alignment()]


def expect_plain_autograd(where="backward"):
    if torch.is_inference_mode_enabled():
        raise UsageError(f"{where}: inference mode keeps no tensors for gradients; leave torch.inference_mode()")
    for kind in ("cpu", "cuda"):
        if torch.is_autocast_enabled(kind):
            raise UsageError(f"{where}: under autocast the model computes in other numbers than its parameters have, which altprop "
                             "does not follow; leave torch.autocast for this")


def expect_network(net, local, where="backward"):
    """@raises Refusal where gradients of one process are not those of a whole batch, and nobody averages them"""
    if not isinstance(net, Network):
        raise refusal(where, f"it takes a network of altprop.from_torch, and not a {type(net).__name__}",
                      "call altprop.from_torch(model, example), and wrap altprop.Learner in DistributedDataParallel where "
                      "there are several processes")
    if local or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return
    if torch.distributed.get_world_size() > 1:
        raise refusal("backward",
                      f"there are {torch.distributed.get_world_size()} processes, and it averages no gradients between them",
                      "wrap altprop.Learner(net, rule) in DistributedDataParallel, or pass local=True and average .grad "
                      "yourself")


def backward(rule, net, x, y, loss, step=None, local=False):
    """The rule's gradient of loss(model(x), y), added to .grad of the model's parameters as loss.backward() would.

    @param loss   any function of output and target that returns one number
    @param step   number of the training step, by which rules draw what they draw; None: the network counts
    @param local  among several processes: gradients of this one alone are wanted
    @returns the loss, detached
    """
    expect_plain_autograd()
    expect_network(net, local)
    with net.one_at_a_time:
        return gradients_into(rule, net, x, y, loss, net.next_step() if step is None else step)


def gradients_into(rule, net, x, y, loss, step, learning=True):
    """The same where nothing is to be checked. @param learning the gradients are going to update weights"""
    lowered = net.lowered()
    found = rule.bound(lowered, looking=not learning)
    if learning:
        rule.expect_passes(found)
        lowered.expect_no_hooks()
    values = lowered.refresh()
    made = found.core.forward(x, step, learning)
    at = made.output.detach().requires_grad_()
    with torch.enable_grad():
        value = loss(at, y)
    if value.dim() != 0:
        raise UsageError(f"backward: the loss is one number, but this one has shape {tuple(value.shape)}; let it take the "
                         "mean over samples")
    gradient = torch.autograd.grad(value, at)[0]
    into, keep = lowered.targets(values)
    own_into, own_keep = found.targets()
    if rule.needs_loss:
        found.begin_loss(loss, at, y, gradient)
        found.core.credit_of_loss(made, y, into + own_into, keep + own_keep)
    else:
        found.core.credit(made, gradient, into + own_into, keep + own_keep)
    lowered.hand_over(values, into)
    found.hand_over(own_into)
    return value.detach()
