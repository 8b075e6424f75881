"""Loads the compiled part, and says in a sentence where it does not go with the torch that is installed."""
import torch

try:
    from . import _core as core
except ImportError as problem:
    raise ImportError(f"altprop's compiled part does not load beside torch {torch.__version__} ({problem}); it was built for "
                      "another version of torch: install altprop again with this one") from problem


def minor(version):
    return version.split("+")[0].rsplit(".", 1)[0]


if minor(core.torch_version) != minor(torch.__version__):
    raise ImportError(f"altprop was built for torch {minor(core.torch_version)}, but torch {torch.__version__} is installed: "
                      "install altprop again beside it")
