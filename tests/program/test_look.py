"""The commands that look and do not train: check, predict, describe, list, help."""
import os
import re
import subprocess

import pytest
from program import TINY, altprop, summary


def test_check(tmp_path):
    result = altprop("check", *TINY, "--json")
    assert result.err == ""
    assert set(result.json) == {"rule", "net", "reference", "layers"}
    assert [row["name"] for row in result.json["layers"]] == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    for row in result.json["layers"]:
        assert set(row) == {"name", "cosine", "relative_error", "magnitude_ratio"}
        assert row["cosine"] == pytest.approx(1) and row["relative_error"] < 1e-12
    other = altprop("check", *TINY, "--rule", "fa", "--json").json
    assert other["rule"] == "feedback-alignment" and abs(other["layers"][0]["cosine"]) < 0.9
    text = altprop("check", *TINY, "--rule", "bp").out
    assert "fc1.weight" in text and "relative error" in text and "random estimate" not in text
    assert "the rule's gradient is a random estimate; these figures are those of one draw" in \
        altprop("check", *TINY, "--rule", "batchwise-random-sign").out


def test_check_of_trained_weights(run):
    """A check is in float64, the run was in float32."""
    folder, _ = run
    flags = ["--rule", "fa", "--init-from", folder / "checkpoint.safetensors", "--json"]
    start, trained = altprop("check", *TINY, "--rule", "fa", "--json").json, altprop("check", *TINY, *flags).json
    assert start["layers"][0]["cosine"] != trained["layers"][0]["cosine"]


def test_check_says_how_a_nudge_spreads():
    rule = "ep[ep.beta=0.001,ep.free-steps=200,ep.nudged-steps=100]"
    found = altprop("check", "--rule", rule, "--net", "mlp:784-16-16-10:sigmoid", "--batch", "16", "--json").json["relaxation"]
    assert found["compared_with"] == "implicit gradient" and found["steps"][-1] == 100
    assert [state["layer"] for state in found["states"]] == ["fc1", "fc2"]
    for state in found["states"]:
        assert state["scale"][-1] == pytest.approx(1, abs=1e-4) and state["apart"][-1] < 1e-4


def test_check_says_how_nudges_on_a_circle_spread():
    rule = "hep[hep.points=4,hep.radius={},hep.free-steps=200,hep.nudged-steps=100]"
    net = ["--net", "mlp:784-16-16-10:dsilu", "--batch", "16"]
    found = altprop("check", "--rule", rule.format(0.05), *net, "--json").json["relaxation"]
    assert found["compared_with"] == "implicit gradient" and "remarks" not in found
    assert [state["layer"] for state in found["states"]] == ["fc1", "fc2"]
    for state in found["states"]:
        assert state["scale"][-1] == pytest.approx(1, abs=1e-2) and state["residual"][-1] < 1e-4
    assert 0 < found["figures"]["half_the_points_apart"] < 0.1
    said = altprop("check", "--rule", rule.format(50), *net).out
    assert "half_the_points_apart" in said and "the nudge radius hep.radius=50 is too large" in said


def test_check_says_how_states_settle():
    options = ["--rule", "pc", "--rule.eta", "0.1", "--rule.steps", "20"]
    net = ["--net", "mlp:784-16-16-10:tanh", "--data", "glyphs", "--data.train-limit", "64"]
    found = altprop("check", *options, *net, "--batch", "16", "--json").json["relaxation"]
    assert found["compared_with"] == "fixed point" and found["steps"][-1] == 20
    assert [state["layer"] for state in found["states"]] == ["fc1", "fc2"]
    for state, share in zip(found["states"], (0.608253, 0.878423)):
        assert state["expected"] == pytest.approx(share, abs=1e-6)
        assert state["scale"][-1] == pytest.approx(share, abs=1e-6)
    text = altprop("check", *options, *net, "--batch", "16").out
    assert "steps for 99.9 %" in text and "60.83" in text


def test_predict(run, tmp_path):
    folder, _ = run
    s = altprop("predict", folder, "--json").json
    assert len(s["predictions"]) == 256 and s["accuracy"] == summary(folder)["test_accuracy"]
    right = 0
    for row in s["predictions"]:
        assert sum(row["output"]) == pytest.approx(1, abs=1e-5)
        assert row["output"][row["prediction"]] == max(row["output"])
        right += row["prediction"] == row["target"]
    assert right / 256 == s["accuracy"]

    lines = altprop("predict", folder, "--split", "validation", "--state", "last").out.splitlines()
    assert lines[0] == "id,target,prediction,score," + ",".join(f"y.{n}" for n in s["class_names"]) and len(lines) == 65
    assert set(line.split(",")[2] for line in lines[1:]) <= set(s["class_names"])
    result = altprop("predict", folder, "--out", tmp_path / "test.csv")
    assert "256 predictions" in result.out and len((tmp_path / "test.csv").read_text().splitlines()) == 257


def test_predict_into_a_pipe(run, tmp_path):
    """What is no ordinary file is written to, not replaced. A pipe of our own: root would lose /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
    try:
        altprop("predict", run[0], "--out", pipe)
        assert pipe.is_fifo()
        assert len(reader.communicate(timeout=10)[0].splitlines()) == 257
    finally:
        reader.kill()


def test_describe():
    s = altprop("describe", "--net", "mlp:784-16-10:relu", "--json").json
    assert s["totals"]["parameters"] == 784 * 16 + 16 + 160 + 10 and s["rules"]["backprop"] == ""
    text = altprop("describe", "--net", "chain: conv 8 k=3, relu, maxpool 2, linear *", "--data", "glyphs").out
    assert "conv2d" in text and "max_pool2d" in text and "backprop: accepts" in text


@pytest.mark.parametrize("what, name", [("rules", "backprop"), ("nets", "mlp"), ("data", "glyphs"),
                                        ("directions", "accumulate"), ("optimizers", "adam")])
def test_list(what, name):
    rows = altprop("list", what, "--json").json
    assert name in [row["name"] for row in rows]
    for row in rows:
        for option in row.get("options", []):
            assert option["name"] and option["help"] and "default" in option
    assert name in altprop("list", what).out


def test_help_and_version():
    text = altprop("--help").out
    for command in ("train", "compare", "resume", "check", "predict", "describe", "list", "report", "data"):
        assert re.search(rf"^ +{command} ", text, re.M), command
    assert re.fullmatch(r"altprop \d+\.\d+\.\d+\S*\n", altprop("--version").out)
    text = altprop("train", "--help").out
    for flag in ("--rule", "--net", "--data ", "--lr ", "--out", "--config", "--checkpoint-steps"):
        assert flag in text
    assert "true=true" not in text and "]=true" not in text
