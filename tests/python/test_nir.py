"""Networks of spike times as NIR graphs: read by the nir package, run step by step, and read back."""
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/program"))

import package  # noqa: E402  puts the package on the path
import nir  # noqa: E402
from altprop import nir as bridge  # noqa: E402
from program import altprop  # noqa: E402

GLYPHS = ["--data", "glyphs", "--data.glyphs.train", 400, "--data.glyphs.test", 60, "--data.normalise", "unit",
          "--loss", "spike-cross-entropy", "--optimizer", "adam", "--threads", 1, "--probe-every", 0]
CONV = ("chain: latency, relpsp-event-conv 4 k=3 s=2 p=1 active=0.4 learn-threshold=true, relpsp-event 12, "
        "relpsp-event * threshold=1.5")


def exported(folder, net, *flags):
    altprop("train", *GLYPHS, "--lr", 5e-3, "--net", net, "--epochs", 1, *flags, "--out", folder)
    altprop("export", folder)
    return folder / "weights.safetensors"


def images(n):
    """Of which four fifths are black."""
    draws = np.random.default_rng(3)
    return (draws.integers(40, 256, (n, 28, 28)) * (draws.random((n, 28, 28)) < 0.2)).astype(np.uint8)


def first_spikes(graph, times, dt, end):
    """Euler's method on the graph's equations; of every unit the first spike alone is passed on."""
    order = ["input"]
    following = dict(graph.edges)
    while order[-1] != "output":
        order.append(following[order[-1]])
    steps, potentials, fired, out = {}, {}, {}, None
    for k in range(int(end / dt)):
        now = k * dt
        signal = (times <= now).astype(float)  # has it fired by now?
        for name in order[1:-1]:
            node = graph.nodes[name]
            if isinstance(node, nir.Flatten):
                signal = signal.reshape(-1)
            elif isinstance(node, nir.I):  # the integral of spikes
                signal = node.r * signal
            elif isinstance(node, nir.Linear):
                signal = node.weight @ signal
            elif isinstance(node, nir.Conv2d):
                signal = convolved(node, signal)
            elif isinstance(node, nir.IF):
                potentials[name] = potentials.get(name, 0) + dt * node.r * signal
                at = fired.setdefault(name, np.full(signal.shape, np.inf))
                at[(potentials[name] > node.v_threshold) & np.isinf(at)] = now + dt
                signal = (at <= now + dt).astype(float)
                out = at
    return out


def convolved(node, x):
    (sy, sx), (py, px) = node.stride, node.padding
    padded = np.pad(x, ((0, 0), (py, py), (px, px)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, node.weight.shape[2:], (1, 2))[:, ::sy, ::sx]
    return np.einsum("ocij,cyxij->oyx", node.weight, windows)


@pytest.mark.parametrize("net", ["relpsp:*-20-*", CONV], ids=["dense", "conv"])
def test_a_graph_that_is_run_fires_as_the_network_says(tmp_path, net):
    weights = exported(tmp_path / "a", net)
    said = subprocess.run([sys.executable, "-m", "altprop.nir", "export", str(weights), str(tmp_path / "a.nir")],
                          capture_output=True, text=True, cwd=tmp_path,
                          env={"PYTHONPATH": str(package.BUILD / "python"), "PATH": "/usr/bin"})
    assert said.returncode == 0, said.stderr
    graph = nir.read(tmp_path / "a.nir")
    assert graph.metadata["spikes"] == bridge.FIRST
    kinds = [type(node).__name__ for node in graph.nodes.values()]
    assert kinds.count("IF") == kinds.count("I") == (2 if net.startswith("relpsp") else 3)
    pixels = images(6)
    np.save(tmp_path / "x.npy", pixels[:, None])
    found = json.loads(altprop("predict", tmp_path / "a", "--input", tmp_path / "x.npy", "--json").out)["predictions"]
    dt, kappa, right = 2e-3, 10, 0
    for image, row in zip(pixels, found):
        intensity = image[None] / 255
        times = np.where(intensity > 0, 1 - intensity, np.inf)
        at = first_spikes(graph, times, dt, 4)
        fires = np.isfinite(at)
        outputs = np.array(row["output"])
        assert fires.any()
        right += int(np.argmin(at)) == row["prediction"]
        # Differences of times are those of logarithms over kappa.
        first = int(np.argmin(at))
        for j in np.flatnonzero(fires & (outputs > 1e-12)):
            late = -math.log(outputs[j] / outputs[first]) / kappa
            assert late == pytest.approx(at[j] - at[first], abs=0.03), (j, first)
    assert right >= len(pixels) - 1  # two outputs may be nearer than a step


def test_what_is_read_back_is_the_same_network(tmp_path):
    weights = exported(tmp_path / "a", CONV)
    nir.write(tmp_path / "a.nir", bridge.to_nir(weights))
    text, tensors = bridge.from_nir(nir.read(tmp_path / "a.nir"))
    assert text == ("chain: latency, relpsp-event-conv 4 kernel=3 stride=2 padding=1 learn-threshold=true, "
                    "relpsp-event 12, relpsp-event 10 threshold=1.5")
    np.testing.assert_array_equal(tensors["relpsp_event2.weight"], bridge.load_file(weights)["relpsp_event2.weight"])
    bridge.save_file(tensors, tmp_path / "b.safetensors")
    altprop("train", *GLYPHS, "--net", text, "--init-from", tmp_path / "b.safetensors", "--lr", 1e-30, "--epochs", 1,
            "--max-steps", 1, "--out", tmp_path / "b")
    np.save(tmp_path / "x.npy", images(20)[:, None])
    one, other = (json.loads(altprop("predict", tmp_path / run, "--input", tmp_path / "x.npy", "--json").out)
                  for run in "ab")
    for a, b in zip(one["predictions"], other["predictions"]):
        assert a["prediction"] == b["prediction"]
        np.testing.assert_allclose(a["output"], b["output"], atol=2e-3)


@pytest.mark.parametrize("net, loss, part", [
    ("chain: latency, relpsp-event 9, relpsp-event * delays=true", "spike-cross-entropy", "delays=false"),
    ("chain: latency, relpsp-window 9, membrane *", "cross-entropy", "window"),
    ("chain: latency, relpsp-event-conv 4, earliest-pool 2, relpsp-event *", "spike-cross-entropy", "pooling"),
    ("mlp:*-9-*", "cross-entropy", "linear"),
], ids=["delays", "window", "pool", "mlp"])
def test_what_the_format_cannot_say_is_refused(tmp_path, net, loss, part):
    with pytest.raises(bridge.Refusal) as refused:
        bridge.to_nir(exported(tmp_path / "a", net, "--loss", loss))
    assert part in str(refused.value) and "'" in str(refused.value)


def chain(*nodes):
    names = [f"n{k}" for k in range(len(nodes))]
    return nir.NIRGraph(dict(zip(names, nodes)), list(zip(names, names[1:])), type_check=False)


def layer(inputs=3, outputs=2, **changes):
    weight = np.arange(inputs * outputs, dtype=np.float32).reshape(outputs, inputs)
    parts = {"step": nir.I(r=np.ones(inputs)), "weigh": nir.Linear(weight=weight),
             "unit": nir.IF(r=np.ones(outputs), v_threshold=np.ones(outputs)), **changes}
    return chain(nir.Input(np.array([inputs])), *parts.values(), nir.Output(np.array([outputs])))


def test_graphs_of_others_are_read_where_they_mean_this(tmp_path):
    unit = nir.IF(r=np.full(2, 0.25), v_threshold=np.array([1, 3.0]))
    text, tensors = bridge.from_nir(layer(step=nir.I(r=np.full(3, 2.0)), unit=unit))
    assert text == "chain: latency, relpsp-event 2 learn-threshold=true"
    np.testing.assert_allclose(tensors["relpsp_event1.weight"], 0.5 * np.arange(6).reshape(2, 3))
    np.testing.assert_allclose(np.exp(tensors["relpsp_event1.log_threshold"]), [1, 3], rtol=1e-6)


@pytest.mark.parametrize("graph, part", [
    (layer(step=nir.Flatten(np.array([3]), 0)), "ends within"),
    (layer(step=nir.LI(tau=np.ones(3), r=np.ones(3), v_leak=np.zeros(3))), "this is LI"),
    (layer(weigh=nir.Affine(weight=np.ones((2, 3)), bias=np.ones(2))), "Affine is not read"),
    (layer(unit=nir.LIF(tau=np.ones(2), r=np.ones(2), v_leak=np.zeros(2), v_threshold=np.ones(2))), "this is LIF"),
    (layer(unit=nir.IF(r=np.array([1, 2.0]), v_threshold=np.ones(2))), "r differs"),
    (layer(unit=nir.IF(r=np.ones(2), v_threshold=np.zeros(2))), "positive"),
    (chain(nir.Input(np.array([3])), nir.Output(np.array([3]))), "no layers"),
], ids=lambda value: value if isinstance(value, str) else "graph")
def test_other_graphs_are_refused_by_the_node(graph, part):
    with pytest.raises(bridge.Refusal) as refused:
        bridge.from_nir(graph)
    assert part in str(refused.value)


def test_graphs_that_go_round_or_apart_are_refused():
    graph = layer()
    graph.edges.append(("n3", "n1"))
    with pytest.raises(bridge.Refusal, match="several nodes behind it"):
        bridge.from_nir(graph)
    graph.edges = [("n0", "n1"), ("n1", "n2"), ("n2", "n3"), ("n3", "n1")]
    with pytest.raises(bridge.Refusal, match="behind itself"):
        bridge.from_nir(graph)
