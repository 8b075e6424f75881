"""Refusals as the library makes them, and the places in a model that they name."""
import os

import torch

from ._core import Refusal

_TORCH = os.path.dirname(torch.__file__)


def refusal(where, why, instead=""):
    """A Refusal with its parts: raise refusal("module 'a'", "it does this", "do that")."""
    made = Refusal(f"{where}: {why}" + (f"; {instead}" if instead else ""))
    made.where, made.why, made.instead = where, why, instead
    return made


def module_of(node):
    """Path of the module whose pass a node is from: "encoder.0"; "" for the model itself or where it is not known."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def source_line(node):
    """Where a node is from in code that is not PyTorch's: "model.py:42"; "" where that is not known."""
    found = ""
    for line in (node.meta.get("stack_trace") or "").splitlines():
        parts = line.strip().split('"')
        if len(parts) == 3 and parts[0] == "File " and not parts[1].startswith(_TORCH):
            found = f"{os.path.basename(parts[1])}:{parts[2].split(',')[1].strip().removeprefix('line ')}"
    return found


def place(node):
    """A node as refusals name it: "module 'encoder.0', model.py:42"."""
    module, line = module_of(node), source_line(node)
    named = f"module '{module}'" if module else "the model" if line else f"operator {node.target}"
    return f"{named}, {line}" if line else named


def placed(node, problem):
    """The same refusal, with the node's place in front of what it names."""
    return refusal(f"{place(node)}: {problem.where}" if getattr(problem, "where", "") else place(node),
                   getattr(problem, "why", str(problem)), getattr(problem, "instead", ""))
