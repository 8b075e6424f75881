"""Runs whose numbers overflow end with a sentence, keep what they recorded, and do not stop others."""
import json
import re

import pytest
from program import TINY, altprop, assert_one_sentence, checkpoint, records, summary


def test_divergence_names_step_and_layer(tmp_path):
    result = altprop("train", *TINY, "--epochs", 3, "--lr", "1e30", "--quiet", "--out", tmp_path / "run", code=1)
    assert_one_sentence(result)
    for fragment in ("diverged at step", "fc", "learning rate"):
        assert fragment in result.err
    s = summary(tmp_path / "run")
    assert s["status"] == "diverged" and s["test_accuracy"] is None
    altprop("report", tmp_path / "run")


def test_divergence_keeps_the_records(tmp_path):
    # The rate grows by a factor of 1e12 after each epoch.
    result = altprop("train", *TINY, "--epochs", 9, "--schedule", "step", "--milestones", "1,2,3,4", "--gamma", "1e12",
                     "--out", tmp_path / "run", code=1)
    assert "diverged at step" in result.err and result.out == ""
    s, rows = summary(tmp_path / "run"), records(tmp_path / "run")
    assert s["status"] == "diverged" and 1 <= len(rows) < 9 and s["epochs"] == len(rows)


def test_divergence_in_the_last_step_is_noticed(tmp_path):
    result = altprop("train", *TINY, "--epochs", 1, "--max-steps", 1, "--lr", "1e38", "--quiet", "--out", tmp_path / "run",
                     code=1)
    assert_one_sentence(result)
    assert "diverged" in result.err and summary(tmp_path / "run")["status"] == "diverged"


def test_divergence_does_not_stop_a_comparison(tmp_path):
    result = altprop("compare", "--rules", "bp[lr=1e30],bp", *TINY, "--epochs", 1, "--quiet", "--json", "--out",
                     tmp_path / "run")
    assert [r["status"] for r in result.json["runs"]] == ["diverged", "done"]
    assert result.err.count("\n") == 1 and "bp[lr=1e30] seed 1: training diverged" in result.err
    altprop("resume", tmp_path / "run", "--quiet")


def test_a_rule_whose_dynamics_run_away_does_not_stop_a_comparison(tmp_path):
    # The lateral matrices forget so fast that they cannot stay definite.
    result = altprop("compare", "--preset", "corinfomax-mnist", "--rules", "cim[cim.lambda=0.1],cim", *TINY, "--net",
                     "mlp:784-16-10:hard-sigmoid:bias=false", "--data", "glyphs", "--epochs", 1, "--quiet", "--json",
                     "--out", tmp_path / "run")
    assert [r["status"] for r in result.json["runs"]] == ["diverged", "done"]
    assert "cim[cim.lambda=0.1] seed 1: training diverged at step" in result.err
    assert "lost positive definiteness: raise cim.lambda or use cim.lateral=exact" in result.err


def test_a_diverged_run_that_is_resumed_says_so(tmp_path):
    run = tmp_path / "run"
    # The rate grows by a factor of 1e30 after the second epoch.
    settings = ["--epochs", 4, "--schedule", "step", "--milestones", "2", "--gamma", "1e30"]
    first = altprop("train", *TINY, *settings, "--quiet", "--out", run, code=1)
    assert_one_sentence(first)
    kept, state = (run / "metrics.jsonl").read_text(), (run / "checkpoint.safetensors").read_bytes()
    assert len(records(run)) == 2
    assert all(v.isfinite().all() for v in checkpoint(run / "checkpoint.safetensors").values() if v.is_floating_point())
    assert "altprop: " + summary(run)["failure"] in first.err
    again = altprop("resume", run, code=1)
    assert "this run has failed before" in again.err and again.err.splitlines()[-1] == first.err.strip()
    assert (run / "metrics.jsonl").read_text() == kept and (run / "checkpoint.safetensors").read_bytes() == state
    # With other settings in its config it goes on.
    config = run / "config.toml"
    config.write_text(config.read_text().replace("gamma = 1e+30", "gamma = 0.5"))
    altprop("resume", run, "--quiet")
    assert [r["epoch"] for r in records(run)] == [1, 2, 3, 4] and summary(run)["status"] == "done"
    assert "failure" not in summary(run)


def test_a_rule_whose_inference_diverges_does_not_stop_a_comparison(tmp_path):
    result = altprop("compare", "--rules", "pc[mode=strict,eta=2,steps=200],bp", *TINY, "--epochs", 1, "--quiet",
                     "--json", "--out", tmp_path / "run")
    assert [r["status"] for r in result.json["runs"]] == ["diverged", "done"]
    assert result.err.count("\n") == 1 and "step 1 (epoch 1): predictive-coding: inference diverges" in result.err
    assert "this batch settles" in result.err


def test_a_comparison_without_any_outcome_fails(tmp_path):
    result = altprop("compare", "--rules", "bp[lr=1e30],fa[lr=1e30]", *TINY, "--epochs", 1, "--quiet", "--out",
                     tmp_path / "run", code=1)
    assert "1 of 1 runs diverged and has no outcome" in result.out


def test_a_seed_that_diverged_is_marked_beside_the_mean(tmp_path):
    # Of two seeds one starts from weights that overflow.
    folder = tmp_path / "run"
    altprop("compare", "--rules", "bp", "--seeds", "1,2", *TINY, "--epochs", 1, "--quiet", "--out", folder)
    run = folder / "bp-seed2"
    record = json.loads((run / "summary.json").read_text())
    record["status"] = "diverged"
    (run / "summary.json").write_text(json.dumps(record))
    out = altprop("resume", folder, "--quiet").out
    row = next(line for line in out.splitlines() if line.startswith("bp "))
    assert row.count(" *") >= 2 and "* bp: 1 of 2 runs diverged and has no outcome" in out


# Inference that has come to rest changes its energy by rounding alone, which is no divergence.
@pytest.mark.parametrize("rule", [
    "pc[pc.mode=strict]", "pc[pc.mode=strict,pc.integrator=heun]", "pc[pc.mode=epc]",
    "pc[pc.mode=strict,pc.nudging=centred,pc.beta=0.1]",
])
def test_good_inference_is_not_called_diverged(tmp_path, rule):
    result = altprop("train", "--data", "glyphs", "--data.glyphs.train", 50, "--data.glyphs.test", 0, "--net", "mlp:784-64-10",
                     "--rule", rule, "--lr", 0.1, "--epochs", 100, "--probe-every", 0, "--threads", 1, "--quiet", "--json",
                     "--out", tmp_path / "run")
    assert result.json["status"] == "done" and result.json["train_loss"] < 0.05


def test_adaptive_inference_is_not_called_diverged_for_its_own_tolerance(tmp_path):
    result = altprop("train", "--data", "glyphs", "--data.glyphs.train", 50, "--data.glyphs.test", 0, "--net", "mlp:784-64-10",
                     "--rule", "pc[pc.mode=strict,pc.integrator=adaptive]", "--lr", 0.1, "--epochs", 60, "--probe-every", 0,
                     "--threads", 1, "--dtype", "float64", "--quiet", "--json", "--out", tmp_path / "run")
    assert result.json["status"] == "done"


def test_the_step_size_that_is_recommended_settles(tmp_path):
    check = ["check", "--net", "mlp:784-64x6-10:tanh", "--data", "glyphs", "--data.glyphs.train", 500, "--loss", "squared-error",
             "--batch", 64, "--threads", 1]
    first = altprop(*check, "--rule", "pc[pc.mode=strict,pc.steps=50,pc.eta=0.6]", code=1)
    assert_one_sentence(first)
    eta = float(re.search(r"with pc\.eta=([0-9.]+) this batch settles", first.err).group(1))
    assert 0.2 < eta < 0.329  # where this network's inference stops being stable
    again = altprop(*check, "--rule", f"pc[pc.mode=strict,pc.steps=50,pc.eta={eta}]")
    assert "the energy rises" not in again.out + again.err


def test_energy_that_rises_on_the_way_is_said_where_the_end_is_lower():
    # Too long for the steepest direction, and too few steps for it to outgrow what the others lose.
    check = ["check", "--net", "mlp:784-64x6-10:tanh", "--data", "glyphs", "--data.glyphs.train", 500, "--loss", "squared-error",
             "--batch", 64, "--threads", 1]
    seen = altprop(*check, "--rule", "pc[pc.mode=strict,pc.steps=12,pc.eta=0.4]")
    assert "the energy rises during inference, first at step" in seen.out + seen.err
