"""Whether a traced network is its model: outputs and gradients beside autograd's, when it is made."""
import contextlib

import torch

from .errors import module_of, place, refusal
from .export import kept_random_state
from .network import kept_modes
from .rule import Rule, gradients_into


@contextlib.contextmanager
def kept(model):
    """The model's gradients, buffers, modes and the random state, put back at the end; gradients are none at first."""
    gradients = [(p, p.grad) for p in model.parameters()]
    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    for p, _ in gradients:
        p.grad = None
    try:
        with kept_modes(model), kept_random_state(model):
            yield
    finally:
        for p, grad in gradients:
            p.grad = grad
        with torch.no_grad():
            for b, value in buffers:
                b.copy_(value)


def taken_gradients(model):
    """Of every parameter that learns; they are taken from the model."""
    found = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            found[name] = p.grad.detach().clone() if p.grad is not None else torch.zeros_like(p)
            p.grad = None
    return found


def autograd_gradients(model, x, y, loss):
    """The same by autograd, without what hangs on accumulated gradients."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    with torch.enable_grad():
        value = loss(model(x), y)
        found = torch.autograd.grad(value, [p for _, p in named], allow_unused=True) if named else []
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(named, found)}


def verify_against_autograd(net, example):
    """@raises Refusal if output or gradients of backprop through the traced network are not autograd's, or samples mix"""
    model = net.model
    batch = two_samples(example)
    with kept(model):
        if model.training and not net.lowered().core.draws():
            verify_trace(net, batch)
        model.eval()
        verify_trace(net, batch)
        expect_apart(model, batch)


def two_samples(example):
    """A batch of two different samples at least."""
    if example.shape[0] > 1:
        return example
    other = example.flip(-1)
    return torch.cat([other * 0.5 if other.is_floating_point() else other, example])


def tolerance_of(model):
    """Wider in training mode, where norms over the example's few samples divide by small deviations."""
    double = {p.dtype for p in model.parameters() if p.is_floating_point()} == {torch.float64}
    return (1e-6 if double else 1e-2) if model.training else (1e-9 if double else 1e-3)


def scale_of(t):
    return max(1.0, t.abs().max().item()) if t.numel() else 1.0


def close(found, right, tolerance):
    return found.shape == right.shape and torch.allclose(found, right, rtol=tolerance, atol=tolerance * scale_of(right))


def verify_trace(net, batch):
    """In the mode that the model is in."""
    model = net.model
    mode, tolerance = "in training mode" if model.training else "in evaluation mode", tolerance_of(model)
    with torch.no_grad(), kept(model):
        right = model(batch)
    if not isinstance(right, torch.Tensor):
        raise refusal("the model", f"its output is a {type(right).__name__}",
                      "wrap it in a module that returns one tensor")
    weight = torch.randn(right.shape, dtype=right.dtype, generator=torch.Generator().manual_seed(1)).to(right.device)

    def loss(output, _):
        return (output * weight).sum() / weight.numel()

    with kept(model):
        exact = autograd_gradients(model, batch, None, loss)
    seen = []

    def watched(output, y):
        seen.append(output.detach())
        return loss(output, y) if output.shape == right.shape else output.sum()

    with kept(model):
        gradients_into(Rule("backprop"), net, batch, None, watched, 0, learning=False)
        traced = taken_gradients(model)
    if not close(seen[0], right, tolerance):
        raise refusal(where_outputs_differ(net.lowered(), batch, tolerance),
                      f"{mode} the traced network gives another output than the model on the example",
                      "the model may depend on more than its input: time, random numbers in evaluation, values of tensors "
                      "that steer it")
    largest = max([g.abs().max().item() for g in exact.values() if g.numel()] or [0.0])
    wrong = [name for name, g in exact.items()
             if g.numel() and not (traced[name] - g).abs().max().item() <= tolerance * max(largest, 1e-30)]
    if wrong:
        module, function = own_function(model, batch)
        why = f"{mode} backprop through the traced network gives another gradient than autograd on the example"
        if not function:
            raise refusal(f"parameter '{wrong[-1]}'", why, "hooks, and code behind autograd's back, are not traced")
        raise refusal(f"module '{module}'" if module else "the model",
                      f"'{function}' is a torch.autograd.Function of one's own, which is traced as its forward pass, so "
                      f"that {why}", "write it with operators whose derivatives are the gradients that it should have")


def expect_apart(model, batch):
    """@raises Refusal if what becomes of a sample depends on the others, in evaluation mode"""
    tolerance = tolerance_of(model)
    with torch.no_grad():
        together, alone = model(batch)[-1:], model(batch[-1:])
    if not close(alone, together, tolerance):
        raise refusal("the model",
                      "its output for a sample depends on the others of the batch, so that its first dimension are no samples",
                      "give samples in the first dimension (batch_first=True), or wrap the model in a module that moves "
                      "them there")


def watched_pass(model, batch, look):
    """Calls look(path of a module, its output) for every module, in the order of a pass."""
    def hook_of(name):
        return lambda _, __, output: look(name, output)

    handles = [module.register_forward_hook(hook_of(name)) for name, module in model.named_modules()]
    try:
        with kept(model):
            model(batch)
    finally:
        for handle in handles:
            handle.remove()


def where_outputs_differ(lowered, batch, tolerance):
    """The first module, in the order of a pass, whose output is not that of its part of the trace."""
    model, outputs, order = lowered.model, {}, []

    def keep(name, output):
        if name and isinstance(output, torch.Tensor):
            outputs.setdefault(name, []).append(output)
            order.append(name)

    with torch.no_grad():
        watched_pass(model, batch, keep)
    values = lowered.values
    known, last = {}, {}
    with torch.no_grad(), kept(model):
        for node in values.nodes:
            if node.op == "placeholder":
                known[node] = batch if values.own[node] is None else values.own[node]
            elif node.op == "call_function":
                args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), known.get)
                known[node] = node.target(*args, **kwargs)
                if isinstance(known[node], torch.Tensor):
                    for path, _ in (node.meta.get("nn_module_stack") or {}).values():
                        last[str(path)] = node
    for name in order:
        if name in last and len(outputs[name]) == 1 and not close(known[last[name]], outputs[name][0], tolerance):
            return place(last[name]) if module_of(last[name]) == name else f"module '{name}'"
    return "the model"


def own_function(model, batch):
    """(path of the innermost module, name) of a torch.autograd.Function of one's own in a pass; ("", "") if there is none."""
    found = []

    def functions(output):
        todo, seen = [getattr(output, "grad_fn", None)], set()
        while todo:
            one = todo.pop()
            if one is None or one in seen:
                continue
            seen.add(one)
            if isinstance(one, torch.autograd.function.BackwardCFunction):
                return type(one).__name__.removesuffix("Backward")
            todo.extend(before for before, _ in one.next_functions)
        return ""

    def look(name, output):
        if not found and (function := functions(output)):
            found.append((name, function))

    with torch.enable_grad():
        watched_pass(model, batch, look)
    return found[0] if found else ("", "")
