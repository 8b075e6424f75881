"""Networks of spike times as NIR graphs (https://neuroir.org), and such graphs as networks.

    altprop export runs/event                                     # weights.safetensors
    python -m altprop.nir export runs/event/weights.safetensors event.nir
    python -m altprop.nir import event.nir event.safetensors      # prints the text for --net

A layer `relpsp-event` is I -> Linear or Conv2d -> IF: the integrator makes a step of every spike, the weights add
steps, and the unit integrates their sum to ramps until it reaches its threshold. A unit fires once: whoever runs the
graph has to take the first spike of each unit and no other, in hidden layers too, which the graph's metadata say. What
NIR has no node for is refused. Needs the packages nir and safetensors.
"""
import json
import sys

import nir
import numpy as np
from safetensors.numpy import load_file, safe_open, save_file

FIRST = "each unit fires once: its first spike alone counts"


class Refusal(ValueError):
    """What has no counterpart, in a sentence."""


def _settings(operation):
    return dict(part.split("=") for part in operation["settings"].split(",") if part)


def _refuse(name, why):
    raise Refusal(f"'{name}': {why}")


# ---- from a run to a graph


def _thresholds(operation, tensors):
    """Of each output or channel."""
    settings, name = _settings(operation), operation["name"]
    if settings.get("delays") == "true":
        _refuse(name, "it has a delay for each weight, and NIR's Delay has one for each value; train with delays=false")
    out = operation["output"][0]
    if settings.get("learn-threshold") == "true":
        return np.exp(tensors[f"{name}.log_threshold"].astype(np.float64)).astype(np.float32)
    return np.full(out, float(settings.get("threshold", 1)), np.float32)


def _units(operation, tensors, seen):
    """The three nodes of a layer. seen: the shape of its input."""
    settings, output = _settings(operation), operation["output"]
    thresholds = _thresholds(operation, tensors)
    weight = tensors[f"{operation['name']}.weight"].astype(np.float32)
    if operation["op"] == "relpsp_event":
        weigh = nir.Linear(weight=weight)
    else:
        stride, padding = int(settings.get("stride", 1)), int(settings.get("padding", 0))
        weigh = nir.Conv2d(input_shape=tuple(seen[1:]), weight=weight, stride=(stride, stride),
                           padding=(padding, padding), dilation=(1, 1), groups=1,
                           bias=np.zeros(len(weight), np.float32))
    column = thresholds.reshape([-1] + [1] * (len(output) - 1))
    return {"steps": nir.I(r=np.ones(seen, np.float32)), "weights": weigh,
            "units": nir.IF(r=np.ones(output, np.float32), v_threshold=np.broadcast_to(column, output).copy())}


WHAT_IS_REFUSED = {
    "relpsp_window": "its threshold falls in a window of its own, which NIR has no node for; use relpsp-event",
    "constant_slope": "its potential rises by a clock of its own, which NIR has no node for; use relpsp-event",
    "earliest_pool2d": "NIR has no pooling of first spikes; use relpsp-event-conv with a stride",
    "membrane": "its potentials are read at the end of a window, which NIR has no node for; use relpsp-event and a "
                "loss of times",
}


def to_nir(path):
    """The graph of a file that `altprop export` has written. @raises Refusal"""
    with safe_open(str(path), "np") as file:
        about = file.metadata() or {}
    if "operations" not in about:
        raise Refusal(f"'{path}' does not say what network its weights are of; make it by altprop export")
    tensors = load_file(str(path))
    operations = json.loads(about["operations"])
    seen = operations[0]["output"]
    nodes, chain = {"input": nir.Input(np.array(seen))}, ["input"]
    codes = ("latency", "direct_code")
    for operation in operations[1:]:
        op, name = operation["op"], operation["name"]
        if op in codes and len(chain) == 1:
            pass  # times of the input's spikes, which whoever runs the graph puts in
        elif op == "flatten":
            nodes[name] = nir.Flatten(np.array(seen), 0, -1)
            chain.append(name)
        elif op in ("relpsp_event", "relpsp_event_conv"):
            for part, node in _units(operation, tensors, seen).items():
                nodes[f"{name}_{part}"] = node
                chain.append(f"{name}_{part}")
        else:
            _refuse(name, WHAT_IS_REFUSED.get(op.removesuffix("_conv"),
                                              f"NIR has no counterpart of {op} on spike times; use relpsp-event"))
        seen = operation["output"]
    nodes["output"] = nir.Output(np.array(seen))
    chain.append("output")
    return nir.NIRGraph(nodes, list(zip(chain, chain[1:])), metadata={"spikes": FIRST})


# ---- from a graph to a network


def _chain(graph):
    """Names of the nodes from the input to the output. @raises Refusal where they are no chain"""
    following = {}
    for source, target in graph.edges:
        if source in following:
            _refuse(source, "it has several nodes behind it; only chains are read")
        following[source] = target
    here = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(here) != 1:
        raise Refusal(f"the graph has {len(here)} inputs; only chains are read")
    while here[-1] in following:
        if following[here[-1]] in here:
            _refuse(following[here[-1]], "it is behind itself, but units fire once; only chains are read")
        here.append(following[here[-1]])
    if not isinstance(graph.nodes[here[-1]], nir.Output) or len(here) != len(graph.nodes):
        _refuse(here[-1], "the chain from the input ends here, and not in the output behind all nodes")
    return here


def _one(name, values, what):
    if not np.all(values == values.flat[0]):
        _refuse(name, f"{what} differs between units; only one is read")
    return float(values.flat[0])


def _weights(name, node):
    """[out, in] or [out, channels, height, width], and the words of a kernel."""
    if isinstance(node, nir.Linear) and node.weight.ndim == 2:
        return node.weight, ""
    if not isinstance(node, nir.Conv2d):
        _refuse(name, f"between an integrator and its units {type(node).__name__} is not read; use Linear or Conv2d")
    stride, padding = node.stride, node.padding
    odd = isinstance(padding, str) or stride[0] != stride[1] or padding[0] != padding[1]
    if odd or tuple(node.dilation) != (1, 1) or node.groups != 1:
        _refuse(name, "only kernels with one stride and one padding in numbers, without dilation and groups, are read")
    if node.bias is not None and np.any(node.bias):
        _refuse(name, "it has a bias, which ramps without a spike; leave it out")
    height, width = node.weight.shape[2:]
    words = f" kernel={height}"
    for name, value, usual in (("kernel_w", width, height), ("stride", stride[0], 1), ("padding", padding[0], 0)):
        words += f" {name}={value}" if value != usual else ""
    return node.weight, words


def _layer(graph, names, number):
    """Text and tensors of I -> weights -> IF. number: of layers of the two kinds before, which name them"""
    for name, kind in ((names[0], nir.I), (names[2], nir.IF)):
        if not isinstance(graph.nodes[name], kind):
            _refuse(name, f"layers are I -> Linear or Conv2d -> IF, but this is {type(graph.nodes[name]).__name__}")
    step, unit = graph.nodes[names[0]], graph.nodes[names[2]]
    weight, kernel = _weights(names[1], graph.nodes[names[1]])
    scale = _one(names[0], step.r, "r") * _one(names[2], unit.r, "r")
    by_channel = unit.v_threshold.reshape(len(weight), -1)
    if not np.all(by_channel == by_channel[:, :1]) or not np.all(by_channel > 0):
        _refuse(names[2], "thresholds have to be positive, and one for all positions of a channel")
    thresholds = by_channel[:, 0].astype(np.float64)
    word, kind = ("relpsp-event-conv", "relpsp_event_conv") if weight.ndim == 4 else ("relpsp-event", "relpsp_event")
    number[kind] = number.get(kind, 0) + 1
    named = f"{kind}{number[kind]}"
    tensors = {f"{named}.weight": np.ascontiguousarray(weight * scale, dtype=np.float32)}
    text = f"{word} {len(weight)}{kernel}"
    if np.all(thresholds == thresholds[0]):
        return text + (f" threshold={thresholds[0]:.9g}" if thresholds[0] != 1 else ""), tensors
    tensors[f"{named}.log_threshold"] = np.log(thresholds).astype(np.float32)
    return text + " learn-threshold=true", tensors


def from_nir(graph):
    """The text of a network for --net, whose inputs are intensities, and its weights by name, for --init-from.

    @raises Refusal naming the first node that has no counterpart
    """
    names = _chain(graph)[1:-1]
    words, tensors, number = ["latency"], {}, {}
    while names:
        if isinstance(graph.nodes[names[0]], nir.Flatten):
            names.pop(0)  # dense layers flatten by themselves
            continue
        if len(names) < 3:
            _refuse(names[0], "layers are I -> Linear or Conv2d -> IF, but the chain ends within one")
        text, found = _layer(graph, names[:3], number)
        words.append(text)
        tensors.update(found)
        names = names[3:]
    if not tensors:
        raise Refusal("the graph has no layers")
    return "chain: " + ", ".join(words), tensors


def main(arguments):
    if len(arguments) != 3 or arguments[0] not in ("export", "import"):
        sys.exit("usage: python -m altprop.nir export WEIGHTS.safetensors GRAPH.nir\n"
                 "       python -m altprop.nir import GRAPH.nir WEIGHTS.safetensors")
    way, source, target = arguments
    try:
        if way == "export":
            nir.write(target, to_nir(source))
        else:
            text, tensors = from_nir(nir.read(source))
            save_file(tensors, target)
            print(text)
    except Refusal as refusal:
        print(f"altprop.nir: {refusal}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
