"""A model as a graph of libtorch's operators, by torch.export with a batch of any size."""
import warnings

import torch
from torch.export.graph_signature import InputKind

from .errors import refusal


def repeated(example):
    """A batch of two samples at least, so that nothing is concluded from there being one."""
    return torch.cat([example, example]) if example.shape[0] == 1 else example


def kept_random_state(model):
    """The random state of the CPU, and of the GPUs that the model is on, put back at the end."""
    tensors = [*model.parameters(), *model.buffers()]
    return torch.random.fork_rng(devices=sorted({t.device.index for t in tensors if t.device.type == "cuda"}))


def exported(model, example):
    """The exported program in the mode that the model is in; its buffers and the random state stay as they are.

    @raises Refusal where the model cannot be exported
    """
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    # Threads of the exporter copy what they are given; parameters stay the model's own.
    with kept_random_state(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(model, (repeated(example),), dynamic_shapes=({0: batch},), strict=False)
            return program.run_decompositions({})
        except Exception as problem:  # of many kinds, whose first line says what it is about
            sentence = str(problem).strip().splitlines()
            what = (sentence[0] if sentence else type(problem).__name__)[:400].rstrip(".")
            raise refusal("the model", f"it cannot be exported: {what}",
                          "see torch.export for what models may do") from problem


def placeholders(program, model):
    """Name of each placeholder -> the model's parameter or buffer, the exporter's constant, or None for the input."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    buffers = dict(model.named_buffers(remove_duplicate=False))
    found = {}
    for spec in program.graph_signature.input_specs:
        name = spec.arg.name
        if spec.kind == InputKind.USER_INPUT:
            found[name] = None
        elif spec.kind == InputKind.PARAMETER:
            found[name] = parameters[spec.target]
        elif spec.kind == InputKind.BUFFER:
            found[name] = buffers[spec.target] if spec.target in buffers else program.constants[spec.target]
        elif spec.kind == InputKind.CONSTANT_TENSOR:
            found[name] = program.constants[spec.target]
        else:
            raise refusal("the model", f"it takes '{name}', which is neither a tensor nor its own ({spec.kind})",
                          "wrap it in a module whose forward pass takes one tensor")
    return found
