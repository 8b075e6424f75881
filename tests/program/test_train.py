"""altprop train when all is well: what it prints, writes and returns."""
import json
import os
import pty
import re
import select
import subprocess

import pytest
from program import (PROGRAM, SUMMARY, TINY, altprop, assert_same_run, checkpoint, differing, environment, records, settings,
                     summary, train)


def test_train_writes_the_summary(run):
    folder, _ = run
    s = summary(folder)
    for key, kind in SUMMARY.items():
        assert isinstance(s[key], kind), key
    assert s["rule"] == "backprop" and s["net"] == "mlp:784-16-10:relu" and s["data"] == "glyphs"
    assert s["seed"] == 1 and s["epochs"] == 2 and s["status"] == "done" and s["threads"] == 1
    assert 0.1 < s["test_accuracy"] <= 1 and 0 < s["test_loss"] < 2.3
    assert s["samples_per_second"] > 0 and s["peak_memory_bytes"] > 50_000


def test_train_writes_a_line_per_epoch(run):
    folder, _ = run
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    for line in lines:
        assert {"step", "train_loss", "train_accuracy", "validation_loss", "test_loss", "test_accuracy", "learning_rate",
                "seconds", "samples_per_second", "gradient"} <= set(line)
    assert [line["step"] for line in lines] == [7, 14]  # 448 samples are left of 512
    assert lines[1]["train_loss"] < lines[0]["train_loss"]


def test_progress_is_plain_lines_without_a_terminal(run):
    _, result = run
    lines = result.err.splitlines()
    assert len(lines) == 2 and all(re.match(r"backprop  epoch \d/2  train loss [\d.]+ ", line) for line in lines)
    assert "\r" not in result.err and "\033" not in result.err
    assert "test accuracy" in result.out and "records in" in result.out


def test_folder_holds_just_the_records(run):
    folder, _ = run
    assert {p.name for p in folder.iterdir()} == {"config.toml", "metrics.jsonl", "checkpoint.safetensors", "best.safetensors", "summary.json"}


def test_checkpoint_opens_in_python(run):
    folder, _ = run
    state = checkpoint(folder / "checkpoint.safetensors")
    assert state["net.fc1.weight"].shape == (16, 784) and state["net.fc2.bias"].shape == (10,)
    assert state["position.epoch"].item() == 2 and state["position.step"].item() == 14


def test_best_epoch_has_the_least_validation_loss(run):
    folder, _ = run
    s, rows = summary(folder), records(folder)
    best = min(rows, key=lambda r: r["validation_loss"])
    assert s["best_epoch"] == best["epoch"] and s["best_validation_loss"] == best["validation_loss"]
    assert s["test_loss"] == best["test_loss"]
    assert checkpoint(folder / "best.safetensors")["position.epoch"].item() == best["epoch"]


def test_json_is_pure(tmp_path):
    result = altprop("train", *TINY, "--epochs", 1, "--json", "--out", tmp_path / "run")
    assert result.json == summary(tmp_path / "run")
    assert "epoch 1/1" in result.err
    assert (tmp_path / "run" / "metrics.jsonl").read_text().count("\n") == 1


def test_config_repeats_the_run(run, tmp_path):
    folder, _ = run
    altprop("train", "--config", folder / "config.toml", "--quiet", "--out", tmp_path / "again")
    assert_same_run(folder, tmp_path / "again")
    assert settings(folder) == settings(tmp_path / "again")


def test_flags_override_the_config(run, tmp_path):
    folder, _ = run
    altprop("train", "--config", folder / "config.toml", "--quiet", "--epochs", 1, "--out", tmp_path / "again")
    assert records(tmp_path / "again")[0]["train_loss"] == records(folder)[0]["train_loss"]
    assert summary(tmp_path / "again")["epochs"] == 1


def test_config_by_hand(tmp_path):
    (tmp_path / "run.toml").write_text("""
        rule = "fa[feedback.scale=2]"   # comment
        net = "mlp:784-16-10:relu"
        epochs = 1
        lr = 1e-2
        threads = 1
        milestones = [1, 3]
        [data-options]
        glyphs.train = 128
        "glyphs.test" = 64
    """)
    altprop("train", "--config", tmp_path / "run.toml", "--quiet", "--out", tmp_path / "run")
    s = summary(tmp_path / "run")
    assert s["rule"] == "feedback-alignment" and s["rule_options"] == {"feedback.scale": "2"}
    assert s["steps"] == 2 and s["settings"]["milestones"] == ["1", "3"]


def test_seeds_fix_every_number(run, tmp_path):
    folder, _ = run
    same = ["--epochs", 2, "--validation", 64]
    train(tmp_path / "other", *same, "--seed", 2)
    assert "net.fc1.weight" in differing(folder / "checkpoint.safetensors", tmp_path / "other" / "checkpoint.safetensors")
    train(tmp_path / "same", *same, "--seed=1", "--prefetch", 2, "--probe-every", 0)
    assert differing(folder / "checkpoint.safetensors", tmp_path / "same" / "checkpoint.safetensors") == []


def test_rule_options_in_three_spellings(tmp_path):
    train(tmp_path / "a", "--epochs", 1, "--rule", "fa", "--rule.feedback.scale", "0.5", "--rule.feedback.seed=7")
    train(tmp_path / "b", "--epochs", 1, "--rule", "fa[feedback.scale=0.5, feedback.seed=7]")
    assert_same_run(tmp_path / "a", tmp_path / "b")
    assert "stochastic" not in summary(tmp_path / "a")
    assert summary(tmp_path / "a")["label"] == "fa[feedback.scale=0.5,feedback.seed=7]"
    assert summary(tmp_path / "b")["label"] == "fa[feedback.scale=0.5, feedback.seed=7]"


def test_a_gradient_that_is_drawn_is_marked(tmp_path):
    assert train(tmp_path / "drawn", "--epochs", 1, "--rule", "batchwise-random-sign")["stochastic"] is True


def test_overwrite(run, tmp_path):
    train(tmp_path / "run", "--epochs", 2, "--validation", 64)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    altprop("train", *TINY, "--epochs", 1, "--quiet", "--out", tmp_path / "run", "--overwrite")
    assert len(records(tmp_path / "run")) == 1
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_overwriting_one_kind_of_folder_with_the_other(tmp_path):
    folder = tmp_path / "run"
    compare = ["compare", "--rules", "bp,fa", *TINY, "--epochs", 1, "--quiet", "--overwrite", "--out", folder]
    train(folder, "--epochs", 1)
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    altprop(*compare)
    assert len(summary(folder)["runs"]) == 2 and not (folder / "checkpoint.safetensors").exists()
    train(folder, "--epochs", 1, "--overwrite")
    assert "runs" not in summary(folder) and not (folder / "bp-seed1").exists()
    assert altprop("resume", folder, "--json", "--quiet").json["rule"] == "backprop"
    assert (folder / "notes" / "mine.txt").read_text() == "mine"


def test_init_from(run, tmp_path):
    folder, _ = run
    s = train(tmp_path / "run", "--validation", 64, "--epochs", 1, "--max-steps", 1, "--lr", 0, "--init-from", folder / "checkpoint.safetensors")
    assert s["test_loss"] == pytest.approx(records(folder)[-1]["test_loss"], rel=1e-6)
    assert s["settings"]["init-from"] == str(folder / "checkpoint.safetensors")


def test_early_stop(tmp_path):
    # A learning rate of 0 makes no progress: the first epoch stays the best.
    s = train(tmp_path / "run", "--epochs", 9, "--lr", 0, "--validation", "0.25", "--early-stop", 2)
    assert s["status"] == "stopped early" and s["epochs"] == 3 and s["best_epoch"] == 1
    resumed = altprop("resume", tmp_path / "run", "--quiet", "--json").json
    assert resumed["status"] == "stopped early" and len(records(tmp_path / "run")) == 3


def test_max_steps(tmp_path):
    s = train(tmp_path / "run", "--epochs", 5, "--max-steps", 11)
    assert s["steps"] == 11 and s["epochs"] == 2 and s["status"] == "done"
    before = records(tmp_path / "run")
    assert altprop("resume", tmp_path / "run", "--quiet", "--json").json["steps"] == 11
    assert records(tmp_path / "run") == before


def test_no_epochs(tmp_path):
    s = train(tmp_path / "run", "--epochs", 0)
    assert s["epochs"] == 0 and s["steps"] == 0 and s["status"] == "done" and s["test_accuracy"] < 0.3
    assert altprop("resume", tmp_path / "run", "--quiet", "--json").json["test_accuracy"] == s["test_accuracy"]
    assert len(records(tmp_path / "run")) == 1
    assert len(altprop("predict", tmp_path / "run", "--json").json["predictions"]) == 256
    altprop("report", tmp_path / "run")


def test_threads_are_recorded(tmp_path):
    s = train(tmp_path / "run", "--epochs", 1, "--threads", 2)
    assert s["threads"] == 2 and s["settings"]["threads"] == 2


def test_real_data(tmp_path):
    if not os.environ.get("ALTPROP_DATA"):
        pytest.skip("needs data sets: set ALTPROP_DATA to their folder")
    limits = ["--data.train-limit", 200, "--data.test-limit=100"]
    for given in (["--data-dir", os.environ["ALTPROP_DATA"]], None):
        out = tmp_path / ("flag" if given else "variable")
        altprop("train", "--data", "mnist", "--net", "mlp:784-16-10", "--epochs", 1, *limits, "--quiet", "--out", out,
                *(given or []), env={} if given else {"ALTPROP_DATA": os.environ["ALTPROP_DATA"]})
    assert records(tmp_path / "flag") == records(tmp_path / "variable")


def read_terminal(args, columns):
    """What the program shows on a terminal of a given width."""
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([PROGRAM, *map(str, args)], stdin=slave, stdout=subprocess.DEVNULL, stderr=slave,
                               env=environment())
    os.close(slave)
    shown = b""
    while select.select([master], [], [], 60)[0]:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(master)
    assert process.wait() == 0
    return shown.decode()


@pytest.mark.parametrize("columns", [120, 50])
def test_progress_bar_on_a_terminal(tmp_path, columns):
    shown = read_terminal(["train", *TINY, "--data.glyphs.train", "4000", "--batch", 1, "--epochs", 1, "--out",
                           tmp_path / "run"], columns)
    bars = [part for part in re.split(r"\r\x1b\[K", shown) if "epoch 1/1 [" in part]
    assert bars, shown
    assert all(len(bar) < columns for bar in bars), bars[0]
    if columns > 100:
        assert re.search(r"\[#*\.*\] loss \d+\.\d+  \d+ samples/s  \d+:\d\d left", bars[-1])
    assert "\x1b[Kbackprop  epoch 1/1  train loss" in shown


def test_resume_of_a_finished_run_changes_nothing(run):
    folder, _ = run
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "summary.json"}
    before = summary(folder)
    altprop("resume", folder, "--quiet")
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "summary.json"} == files
    assert summary(folder) == before


def test_resume_with_more_epochs(run, tmp_path):
    train(tmp_path / "long", "--epochs", 4)
    train(tmp_path / "short", "--epochs", 2)
    altprop("resume", tmp_path / "short", "--epochs", 4, "--quiet")
    assert differing(tmp_path / "long" / "checkpoint.safetensors", tmp_path / "short" / "checkpoint.safetensors") == []
    assert [r["train_loss"] for r in records(tmp_path / "long")] == [r["train_loss"] for r in records(tmp_path / "short")]
    assert settings(tmp_path / "long") == settings(tmp_path / "short")
