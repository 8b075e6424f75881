"""What a run is called, what its settings say and what was trained agree; what has no effect is said."""
import json
import re
import tomllib

import pytest
from program import GLYPHS, TINY, altprop, assert_one_sentence, records, summary, train

QUICK = ["--epochs", 1, "--max-steps", 2, "--quiet"]


def test_an_option_given_twice_is_refused(tmp_path):
    for args in (["--rule", "fa[feedback.scale=2]", "--rule.scale", 3],
                 ["--rule", "fa[scale=2]", "--rule.feedback.scale", 2],
                 ["--rule", "fa", "--rule.scale", 2, "--rule.feedback.scale", 3]):
        result = altprop("train", *TINY, *QUICK, *args, "--out", tmp_path / "run", code=2)
        assert_one_sentence(result)
        assert "leave one out" in result.err and not (tmp_path / "run").exists()
    both = altprop("train", *TINY, *QUICK, "--validation", 32, "--data.validation", 64, "--out", tmp_path / "run", code=2)
    assert "'--data.validation' are the same; leave one out" in both.err


def test_the_name_of_a_run_says_what_flags_gave_to_the_rule(tmp_path):
    s = train(tmp_path / "run", *QUICK, "--rule", "fa[feedback.seed=3]", "--rule.scale", 3)
    assert s["label"] == "fa[feedback.seed=3,scale=3]"
    assert s["rule_options"] == {"feedback.seed": "3", "feedback.scale": "3"}
    assert train(tmp_path / "named", *QUICK, "--rule", "fa", "--label", "my run")["label"] == "my run"


def test_the_same_rule_twice_is_refused(tmp_path):
    for rules in ("bp,backprop", "fa,fa[feedback.scale=1]", "fa[scale=2],feedback-alignment[feedback.scale=2.0]"):
        result = altprop("compare", "--rules", rules, *TINY, *QUICK, "--out", tmp_path / "run", code=2)
        assert_one_sentence(result)
        assert "the same rule twice" in result.err and not (tmp_path / "run").exists()


def test_a_run_without_a_checkpoint_keeps_its_name(tmp_path):
    run = tmp_path / "run"
    train(run, *QUICK, "--rule", "fa[lr=0.02]")
    for file in run.iterdir():  # as a kill before the first checkpoint leaves it
        if file.name != "config.toml":
            file.unlink()
    assert altprop("resume", run, "--quiet", "--json").json["label"] == "fa[lr=0.02]"


@pytest.mark.parametrize("args, said", [
    (["--optimizer", "adam", "--momentum", 0.5], "--momentum has no effect with --optimizer adam"),
    (["--beta1", 0.5], "--beta1 has no effect with --optimizer momentum"),
    (["--milestones", "1,2"], "--milestones has no effect with --schedule constant"),
    (["--schedule", "cosine", "--gamma", 0.5], "--gamma has no effect with --schedule cosine"),
    (["--crop-fill", "edge"], "--crop-fill has no effect without --crop"),
    (["--probe-every", 0, "--probe-batch", 8], "--probe-batch has no effect with --probe-every 0"),
    (["--rule", "pc", "--rule.pc.time", 3], "pc.time has no effect"),
    (["--rule", "pc[pc.ipc-interval=2]"], "pc.ipc-interval has no effect"),
])
def test_options_without_effect_are_said(tmp_path, args, said):
    assert any(said in w for w in train(tmp_path / "run", *QUICK, *args)["warnings"])


def test_options_with_effect_are_not(tmp_path):
    for i, args in enumerate((["--momentum", 0.5], ["--optimizer", "adam", "--beta1", 0.5, "--eps", 1e-7],
                              ["--schedule", "step", "--milestones", 1, "--gamma", 0.5], ["--rule", "pc"],
                              ["--optimizer", "rmsprop", "--rms-decay", 0.8])):
        assert not [w for w in train(tmp_path / str(i), *QUICK, *args)["warnings"] if "no effect" in w]


def test_fewer_epochs_than_done_are_refused(tmp_path):
    run = tmp_path / "run"
    train(run, "--epochs", 3)
    before = {f.name: f.read_bytes() for f in run.iterdir()}
    result = altprop("resume", run, "--epochs", 2, code=2)
    assert_one_sentence(result)
    assert "asks for 2, but the run has done 3" in result.err
    assert {f.name: f.read_bytes() for f in run.iterdir()} == before


def test_more_epochs_under_a_cosine_say_what_the_rate_does(tmp_path):
    run = tmp_path / "run"
    train(run, "--epochs", 2, "--schedule", "cosine", "--lr", 0.02)
    warnings = altprop("resume", run, "--epochs", 4, "--quiet", "--json").json["warnings"]
    assert any("the cosine schedule now spans 4 epochs instead of 2" in w and "goes on at 0.01" in w for w in warnings)
    other = tmp_path / "other"
    train(other, "--epochs", 2)
    assert not [w for w in altprop("resume", other, "--epochs", 3, "--quiet", "--json").json["warnings"] if "spans" in w]


def test_a_run_that_ended_at_max_steps_goes_on_in_the_same_epoch(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    bound = ["--epochs", 3, "--batch", 64, "--probe-every", 0]  # 8 steps an epoch
    train(whole, *bound, "--max-steps", 19)
    train(parts, *bound, "--max-steps", 11)
    assert [r.get("partial", False) for r in records(parts)] == [False, True]
    altprop("resume", parts, "--max-steps", 19, "--quiet")
    assert [(r["epoch"], r["step"], r.get("partial", False)) for r in records(parts)] == [
        (1, 8, False), (2, 16, False), (3, 19, True)]
    same = ("train_loss", "test_loss", "test_accuracy", "train_accuracy")
    assert [[r[k] for k in same] for r in records(parts)] == [[r[k] for k in same] for r in records(whole)]
    altprop("resume", parts, "--max-steps", 0, "--quiet")
    train(tmp_path / "full", *bound)
    assert [[r[k] for k in same] for r in records(parts)] == [[r[k] for k in same] for r in records(tmp_path / "full")]


def test_targets_that_the_loss_cannot_mean_are_refused(tmp_path):
    table = tmp_path / "real.csv"
    table.write_text("a,b,y\n" + "".join(f"{i % 7},{i % 5},{i * 0.37}\n" for i in range(40)))
    csv = ["--data", "csv", "--data.csv.train", table, "--data.csv.task", "regression", "--threads", 1, "--quiet"]
    out = ["--out", tmp_path / "run"]
    for net in ("mlp:2-4-1", "mlp:2-4-*"):
        result = altprop("train", *csv, "--net", net, "--epochs", 1, *out, code=2)
        assert_one_sentence(result)
        assert "--loss squared-error" in result.err and not (tmp_path / "run").exists()
    wide = altprop("train", *csv, "--net", "mlp:2-4-3", "--loss", "squared-error", *out, code=2)
    assert "a target of the data has 1 value" in wide.err
    s = altprop("train", *csv, "--net", "mlp:*-4-*", "--loss", "squared-error", "--epochs", 1, "--json", *out).json
    assert s["train_loss"] > 0


def test_a_batch_of_one_under_batch_norm_is_refused_before_training(tmp_path):
    norm = ["--net", "mlp:784-16-10:relu:norm=batch", "--data.glyphs.train", 65, "--data.glyphs.test", 16, "--threads", 1]
    result = altprop("train", *norm, "--out", tmp_path / "run", code=2)
    assert_one_sentence(result)
    assert "--drop-last" in result.err and not (tmp_path / "run").exists()
    altprop("train", *norm, "--drop-last", *QUICK, "--out", tmp_path / "run")
    layer = [a.replace("norm=batch", "norm=layer") if isinstance(a, str) else a for a in norm]
    altprop("train", *layer, *QUICK, "--out", tmp_path / "layer")
    assert "use a larger --batch" in altprop("train", *norm, "--batch", 1, "--out", tmp_path / "one", code=2).err
    # Of images every channel has many values in one sample.
    altprop("train", "--net", "chain: conv 2 k=3, batch-norm, relu, gap, linear 10", *norm[2:], *QUICK, "--out", tmp_path / "conv")


def test_a_loss_that_explodes_while_finite_is_said(tmp_path):
    result = altprop("train", *TINY, "--loss", "squared-error", "--net", "mlp:784-64-64-64-10:identity", "--lr", 0.02,
                     "--epochs", 1, "--max-steps", 3, "--momentum", 0, "--out", tmp_path / "run", "--dtype", "float64")
    s = summary(tmp_path / "run")
    said = [w for w in s["warnings"] if "the loss explodes" in w]
    assert len(said) == 1 and "in the first batch it was" in said[0], s
    assert said[0] in result.err
    assert not [w for w in train(tmp_path / "good", "--epochs", 2)["warnings"] if "explodes" in w]


def test_settings_record_the_label(tmp_path):
    train(tmp_path / "run", *QUICK, "--rule", "fa", "--rule.scale", 2)
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert config["label"] == "fa[scale=2]" and config["rule"] == "feedback-alignment"
