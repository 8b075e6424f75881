"""altprop: any learning rule on your own PyTorch model.

    import altprop
    net = altprop.from_torch(model, example)            # a side object; the model stays as it is
    rule = altprop.Rule("feedback-alignment")
    loss = altprop.backward(rule, net, x, y, loss=torch.nn.CrossEntropyLoss())   # writes .grad
"""
import torch as _torch

from . import _check  # noqa: F401  compares versions before the library is used
from ._core import Diverged, Error, Refusal, UsageError
from .learner import Learner
from .listing import help, rules
from .network import Network, from_torch
from .rule import Rule, backward
from .check import check

__version__ = _check.core.version
__all__ = ["Diverged", "Error", "Learner", "Network", "Refusal", "Rule", "UsageError", "backward", "check", "from_torch",
           "help", "rules"]
del _torch
