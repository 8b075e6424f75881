"""Presets: settings of published experiments, below whatever else is given."""
import json

import pytest
from program import DEVICE, GLYPHS, altprop, assert_one_sentence, assert_same_run, records, summary

HERE = ["--data", "glyphs", *GLYPHS, "--threads", "1", "--device", DEVICE, "--quiet"]
SHORT = [*HERE, "--epochs", "2", "--net", "mlp:784-20-10:hard-sigmoid:bias=false"]


def config(folder):
    """The settings that a run wrote down: its TOML is lines of a name and a JSON value, and tables of such lines."""
    found = table = {}
    for line in (folder / "config.toml").read_text().splitlines():
        if line.startswith("["):
            table = found[line.strip("[]")] = {}
        elif line:
            name, value = line.split(" = ", 1)
            table[name.strip('"')] = json.loads(value)
    return found


def test_a_preset_is_below_file_and_flags_and_is_recorded(tmp_path):
    (tmp_path / "own.toml").write_text('gamma = 0.5\nbatch = 64\n[rule-options]\n"cim.leak" = 0.3\n')
    altprop("train", "--preset", "corinfomax-mnist", "--config", tmp_path / "own.toml", *SHORT, "--batch", 128,
            "--rule.cim.eta", 0.04, "--out", tmp_path / "run")
    found = config(tmp_path / "run")
    assert found["preset"] == "corinfomax-mnist" and found["rule"] == "corinfomax"
    assert found["loss"] == "squared-error" and found["schedule"] == "exponential"
    assert found["lr-of"] == ["fc1=1.0", "fc2=0.7", "fc2.weight.feedback=0.15"]
    assert (found["gamma"], found["batch"], found["epochs"]) == (0.5, 128, 2)
    assert found["data"] == "glyphs" and found["data-options"]["normalise"] == "unit"
    assert found["rule-options"] == {"cim.leak": "0.3", "cim.eta": "0.04", "cim.free-steps": "30",
                                     "cim.nudged-steps": "10"}
    assert [row["learning_rate"] for row in records(tmp_path / "run")] == [1, 0.5]
    figures = records(tmp_path / "run")[0]["figures"]
    assert 0 < figures["lateral drive of fc1"] < 1e-3 and 0 < figures["saturated share of fc1"] < 1


def test_a_configuration_file_can_name_the_preset(tmp_path):
    (tmp_path / "own.toml").write_text('preset = "corinfomax-mnist"\nlr = 0.25\n')
    altprop("train", "--config", tmp_path / "own.toml", *SHORT, "--out", tmp_path / "run")
    found = config(tmp_path / "run")
    assert (found["preset"], found["rule"], found["lr"], found["batch"]) == ("corinfomax-mnist", "corinfomax", 0.25, 20)


def test_another_rule_takes_the_settings_without_the_options(tmp_path):
    altprop("train", "--preset", "corinfomax-mnist", "--rule", "fa", *SHORT, "--lr", 0.01, "--out", tmp_path / "run")
    found = config(tmp_path / "run")
    assert found["rule"] == "feedback-alignment" and "rule-options" not in found and found["batch"] == 20


def test_compare(tmp_path):
    flags = ["--preset", "corinfomax-mnist", *SHORT, "--epochs", 1]
    altprop("compare", *flags, "--out", tmp_path / "own")
    assert [run["rule"] for run in summary(tmp_path / "own")["runs"]] == ["corinfomax"]
    altprop("compare", *flags, "--rules", "bp[lr=0.01],cim[cim.leak=0.1]", "--out", tmp_path / "two")
    one = config(tmp_path / "two" / "bp_lr=0.01_-seed1")
    other = config(tmp_path / "two" / "cim_cim.leak=0.1_-seed1")
    assert "rule-options" not in one and one["batch"] == 20
    assert other["rule-options"] == {"cim.leak": "0.1", "cim.eta": "0.05", "cim.free-steps": "30",
                                     "cim.nudged-steps": "10"}
    assert_one_sentence(altprop("compare", *SHORT, "--out", tmp_path / "none", code=2))


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    flags = ["train", "--preset", "corinfomax-sparse-mnist", *HERE, "--net", "mlp:784-20-10:relu:bias=false",
             "--rule.cim.lambda", 0.9999]
    altprop(*flags, "--epochs", 3, "--out", tmp_path / "whole")
    altprop(*flags, "--epochs", 1, "--out", tmp_path / "part")
    altprop("resume", tmp_path / "part", "--epochs", 3, "--quiet")
    assert_same_run(tmp_path / "whole", tmp_path / "part")


def test_an_unknown_name(tmp_path):
    result = altprop("train", "--preset", "corinfomax-mist", "--out", tmp_path / "run", code=2)
    assert_one_sentence(result)
    assert "did you mean 'corinfomax-mnist'?" in result.err and not (tmp_path / "run").exists()


def test_the_listing():
    rows = altprop("list", "presets", "--json").json
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    for row in rows:
        assert set(row) == {"name", "summary", "rule", "source", "published", "measured", "differs", "settings"}
        assert row["source"] and row["summary"] and row["settings"]["data"]
    row = next(row for row in rows if row["name"] == "corinfomax-mnist")
    assert row["published"] == "97.62 ± 0.12 %" and row["settings"]["rule-options"]["cim.free-steps"] == "30"
    assert "epochs" in row["settings"] and "momentum" not in row["settings"]
    text = altprop("list", "presets").out
    for part in ("corinfomax-mnist", "97.62 ± 0.12 %", "arXiv 2306.04810"):
        assert part in text


@pytest.mark.parametrize("name", ["biotorch-lenet-cifar10-fa", "pfa-mnist"])
def test_presets_of_other_rules_run(tmp_path, name):
    net = ["--net", "mlp:784-20-10:relu"] if "mnist" in name else ["--net", "chain: conv 4 k=5, relu, gap, linear 10"]
    altprop("train", "--preset", name, *HERE, *net, "--data.validation", 50, "--epochs", 1, "--out", tmp_path / "run")
    found = config(tmp_path / "run")
    assert found["preset"] == name and found["rule"] in ("feedback-alignment", "product-feedback-alignment")
    assert found["optimizer"] == "momentum" and found["schedule"] == "step"
