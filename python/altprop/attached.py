"""An optimizer of PyTorch's beside a rule: what the rule owns steps with the model's weights, and the rule follows each step."""
import warnings

import torch

from .errors import refusal


class Own:
    """A parameter of the rule's own. With a partner it takes the partner's steps, from the partner's finished gradient."""

    def __init__(self, number, owned, partner, parameter):
        self.number, self.name, self.partner, self.parameter = number, owned.name, partner, parameter


def kind_of(optimizer, group):
    """The library's name of an optimizer that takes the same steps, or its own."""
    plain = not group.get("maximize") and not group.get("dampening") and not group.get("amsgrad")
    if type(optimizer) is torch.optim.SGD and plain:
        return "nesterov" if group["nesterov"] else "momentum" if group["momentum"] else "sgd"
    if type(optimizer) in (torch.optim.Adam, torch.optim.AdamW) and plain:
        apart = type(optimizer) is torch.optim.AdamW or group.get("decoupled_weight_decay")
        return "adamw" if apart else "adam"
    return f"torch.optim.{type(optimizer).__name__}"


def settings_of(optimizer, group):
    found = {"kind": kind_of(optimizer, group)}
    for name in ("lr", "momentum", "weight_decay", "eps"):
        if group.get(name) is not None:
            found[name] = float(group[name])
    if "betas" in group:
        found["beta1"], found["beta2"] = map(float, group["betas"])
    return found


class Attached:
    """@param epoch_steps steps of an epoch, for rules whose weight decay goes by epochs; None: that is left to the optimizer"""

    def __init__(self, rule, optimizer, epoch_steps):
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise refusal("attach", f"a {type(optimizer).__name__} is no optimizer of PyTorch's", "give a torch.optim.Optimizer")
        self.name, self.optimizer, self.epoch_steps = rule.name, optimizer, epoch_steps
        self.steps = 0
        self.active = self.lowered = None   # what the next step is of: the bound rule, and the trace that it is bound to
        self.groups = []          # of the optimizer that hold its weights
        self.own = {}             # of all traces, by name
        self.decays = {}          # the optimizer's own, by id of the group
        self._moved = False
        optimizer.register_step_pre_hook(self._before)
        optimizer.register_step_post_hook(self._after)

    def group_of(self, tensor):
        for group in self.optimizer.param_groups:
            if any(one is tensor for one in group["params"]):
                return group
        return None

    def groups_of(self, lowered):
        """Those that hold weights: feedback stands for tensors of two dimensions and more."""
        groups = []
        for source in lowered.sources:
            if isinstance(source, torch.Tensor) and source.requires_grad and source.dim() > 1:
                group = self.group_of(source)
                if group is not None and not any(group is one for one in groups):
                    groups.append(group)
        return groups or self.optimizer.param_groups[:1]

    def settings(self, groups, own_decay=False):
        """Of the groups that hold weights; without a known kind where they differ. @param own_decay and not what the rule made of it"""
        found = [settings_of(self.optimizer, group) for group in groups]
        if own_decay:
            for group, one in zip(groups, found):
                one["weight_decay"] = float(self.decays.get(id(group), group.get("weight_decay", 0)))
        if any(one != found[0] for one in found):
            found[0]["kind"] = f"torch.optim.{type(self.optimizer).__name__} with settings that differ between weights"
        return found[0]

    def known(self, lowered):
        """What a rule is told of the optimizer before it is bound."""
        return self.settings(self.groups_of(lowered), own_decay=True)

    def adopt(self, core, lowered):
        """Gives the optimizer what the rule owns, in its partners' groups. @returns [Own]"""
        found = []
        for number, owned in enumerate(core.owned()):
            partner = lowered.sources[owned.partner] if owned.partner >= 0 else None
            if isinstance(partner, torch.fx.Node):
                raise refusal(f"rule '{self.name}'", f"'{owned.name}' steps with a weight that the model makes of its parameters in "
                              "every pass, and no optimizer steps that", "take the parametrisation off, or use another rule")
            if not owned.learnt or (partner is not None and not partner.requires_grad):
                continue
            if owned.name in self.own:
                if self.own[owned.name].partner is not partner:
                    raise refusal(f"rule '{self.name}'", f"'{owned.name}' has learnt with a weight that was replaced in the model",
                                  "make another altprop.Rule and attach the optimizer of the weights that there are")
                parameter = self.own[owned.name].parameter
            else:
                group = self.group_of(partner) if partner is not None else self.optimizer.param_groups[0]
                if group is None:
                    raise refusal(f"rule '{self.name}'", f"'{owned.name}' steps with a weight that the attached optimizer does not "
                                  "step", "attach the optimizer of the whole model")
                parameter = torch.nn.Parameter(owned.value)  # the values are the rule's
                # Not a group of its own: schedulers that were made before would leave that at its first rate.
                group["params"].append(parameter)
            found.append(Own(number, owned, partner, parameter))
            self.own[owned.name] = found[-1]
        settings = self.known(lowered)
        for group in self.groups_of(lowered):
            self.decays.setdefault(id(group), group.get("weight_decay", 0))
        sentences = core.warnings(settings)
        first, later = core.weight_decay(0), core.weight_decay(1)
        if self.epoch_steps is None and max(first, later) >= 0:
            wanted = " and ".join(f"{decay:g} in {when}" for decay, when in ((first, "the first epoch"), (later, "later ones"))
                                  if decay >= 0)
            sentences.append(f"rule '{self.name}': it wants a weight decay of {wanted}, but the optimizer's is "
                             f"{settings.get('weight_decay', 0):g} and stays; attach(optimizer, epoch_steps=len(loader)) sets it")
        for sentence in sentences:
            warnings.warn(sentence, stacklevel=2)
        return found

    def activate(self, bound, lowered):
        """The next steps are of this one; it goes on from where the last one is."""
        if self.active is not bound:
            if self.active is not None:
                bound.core.take_over(self.active.core)
            self.active, self.lowered, self.groups = bound, lowered, self.groups_of(lowered)

    def _before(self, optimizer, args, kwargs):
        if self.active is None:
            return
        if any(one is not None for one in args[1:]) or kwargs.get("closure") is not None:
            raise refusal(f"rule '{self.name}'", "optimizer.step(closure) makes gradients inside of the step, behind what the rule's own "
                          "weights take theirs from", "call altprop.backward, and then step()")
        core, lowered = self.active.core, self.lowered
        self._moved = any(isinstance(one, torch.Tensor) and one.requires_grad and one.grad is not None for one in lowered.sources)
        for own in self.active.own:
            if own.partner is None:
                continue
            gradient = own.partner.grad
            if gradient is not None:
                carried = core.carried(own.number, gradient.detach())
                # Optimizers that unscale gradients in their step write to them.
                own.parameter.grad = carried.clone() if carried.data_ptr() == gradient.data_ptr() else carried
        if self.epoch_steps is not None:
            wanted = core.weight_decay(self.steps // self.epoch_steps)
            for group in self.groups:
                group["weight_decay"] = wanted if wanted >= 0 else self.decays[id(group)]

    def _after(self, optimizer, args, kwargs):
        if self.active is None or not self._moved:
            return
        for own in self.active.own:
            if own.partner is not None:
                own.parameter.grad = None
        self.steps += 1
        self.active.core.after_update(self.settings(self.groups))
