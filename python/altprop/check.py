"""How far a rule's gradients are from exact ones."""
import math

import torch

from .rule import Rule, expect_network, expect_plain_autograd, gradients_into
from .verify import autograd_gradients, kept, taken_gradients


def usual_loss(y):
    return torch.nn.functional.mse_loss if y.is_floating_point() else torch.nn.functional.cross_entropy


def check(net, rule, x, y, loss=None, step=None):
    """Rows {name, cosine, angle_degrees, magnitude_ratio} of the rule's gradient beside the exact one, by parameter.

    That is autograd's; where the model draws random numbers (dropout in training mode) it is backprop's with the
    numbers that the rule draws. Gradients, running statistics and the random state of the model, and what the rule has
    learnt, stay as they were.

    @param loss  none: the cross-entropy for class numbers, the mean squared error for values
    @param step  number of the step whose random numbers are drawn; none: the next one's
    """
    rule = Rule(rule) if isinstance(rule, str) else rule
    loss = usual_loss(y) if loss is None else loss
    expect_plain_autograd("check")
    expect_network(net, local=True, where="check")
    with net.one_at_a_time, kept(net.model):
        step = net.step if step is None else step
        if net.lowered().core.draws():
            gradients_into(Rule("backprop"), net, x, y, loss, step, learning=False)
            exact = taken_gradients(net.model)
        else:
            exact = autograd_gradients(net.model, x, y, loss)
        gradients_into(rule, net, x, y, loss, step, learning=False)
        found = taken_gradients(net.model)
    rows = []
    for name, right in exact.items():
        a, b = found[name].double().flatten(), right.double().flatten()
        norms = a.norm().item(), b.norm().item()
        cosine = (a @ b).item() / (norms[0] * norms[1]) if min(norms) > 0 else math.nan
        cosine = max(-1.0, min(1.0, cosine)) if not math.isnan(cosine) else cosine
        rows.append({"name": name, "cosine": cosine,
                     "angle_degrees": math.nan if math.isnan(cosine) else math.degrees(math.acos(cosine)),
                     "magnitude_ratio": norms[0] / norms[1] if norms[1] > 0 else math.nan})
    return rows
