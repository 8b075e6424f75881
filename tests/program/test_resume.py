"""Runs that are interrupted or killed at any moment go on as if nothing had happened, bit for bit."""
import json
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from program import (TINY, altprop, assert_same_run, checkpoint, differing, records, save_checkpoint, start, summary, texts,
                     train)

# 64 steps in each of two epochs, a checkpoint after every third.
SHORT = ["--epochs", 2, "--batch", 8, "--checkpoint-steps", 3]


def state_of(folder):
    """Changes whenever a run under this folder saves something."""
    return {str(p): p.stat().st_mtime_ns for p in Path(folder).rglob("checkpoint.safetensors")}


def stop(process, folder, after, sent):
    """Sends a signal some seconds after the process saved its next checkpoint; returns the exit code."""
    before, deadline = state_of(folder), time.time() + 60
    while process.poll() is None and state_of(folder) == before:
        assert time.time() < deadline
        time.sleep(0.002)
    time.sleep(after)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert "frame #" not in err and "terminate" not in err, err
    return process.returncode


def assert_whole(folder):
    """What a kill left behind can be read, and no epoch is there twice."""
    for path in Path(folder).rglob("*.safetensors"):
        checkpoint(path)
    for path in Path(folder).rglob("metrics.jsonl"):
        epochs = [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
        assert epochs == list(range(1, len(epochs) + 1))


CASES = {
    "momentum": ["--rule", "backprop", "--validation", 64],
    "adam": ["--rule", "backprop", "--optimizer", "adam", "--lr", 0.003, "--schedule", "cosine", "--warmup-steps", 20],
    "adamw-float64": ["--rule", "fa", "--optimizer", "adamw", "--dtype", "float64", "--weight-decay", 0.1],
    "recursive-least-squares": ["--rule", "kp", "--direction", "recursive-least-squares", "--direction.rls.lambda", 0.99,
                                "--lr", 0.1],
    "augmented": ["--rule", "brsf", "--net", "chain: conv 4 k=5 s=3, batch-norm, relu, dropout 0.2, linear *", "--crop", 2,
                  "--flip", "--prefetch", 2],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Uninterrupted runs of the cases, made when first asked for."""
    folder, made = tmp_path_factory.mktemp("whole"), {}

    def get(case):
        if case not in made:
            made[case] = folder / case
            train(made[case], *SHORT, *CASES[case])
        return made[case]

    return get


@pytest.mark.parametrize("case", CASES)
def test_killed(case, whole, tmp_path):
    moments = random.Random(case)
    run, command = tmp_path / "run", ["train", *TINY, *SHORT, *CASES[case], "--out", tmp_path / "run"]
    kills = 0
    while kills < 3:
        code = stop(start(*command), run, moments.uniform(0, 0.08), signal.SIGKILL)
        assert code in (0, -signal.SIGKILL)
        if code == 0:
            break
        kills += 1
        assert_whole(run)
        command = ["resume", run]
    assert kills > 0
    altprop("resume", run, "--quiet")
    assert_same_run(whole(case), run)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(sent, whole, tmp_path):
    run = tmp_path / "run"
    process = start("train", *TINY, *SHORT, *CASES["adam"], "--out", run)
    assert stop(process, run, 0.03, sent) == -sent
    s = summary(run)
    assert s["status"] == "interrupted" and 0 < s["steps"] < 128
    assert checkpoint(run / "checkpoint.safetensors")["position.step"].item() == s["steps"]  # the step it was in, not the last third
    process = start("resume", run)
    stop(process, run, 0.03, sent)
    result = altprop("resume", run, "--json")
    assert result.json["status"] == "done" and result.json == summary(run)
    assert_same_run(whole("adam"), run)


def test_interrupted_between_epochs(tmp_path):
    """The signal comes when the line of an epoch is read, without checkpoints in between."""
    long = ["--epochs", 30, "--batch", 64]
    process = start("train", *TINY, *long, "--out", tmp_path / "run")
    for _ in range(3):
        process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT and "interrupted at step" in err
    assert 3 <= summary(tmp_path / "run")["epochs"] < 30
    altprop("resume", tmp_path / "run", "--quiet")
    train(tmp_path / "whole", *long)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_killed_between_the_last_step_and_its_record(tmp_path):
    """The checkpoint has all steps that --max-steps allows, inside an epoch whose record is still missing."""
    import torch

    bound = ["--epochs", 3, "--max-steps", 5]
    train(tmp_path / "whole", *bound)
    run = Path(shutil.copytree(tmp_path / "whole", tmp_path / "run"))
    state, said, record = checkpoint(run / "checkpoint.safetensors"), texts(run / "checkpoint.safetensors"), records(run)[0]
    of_epoch = torch.tensor([record["train_loss"] * 320, record["train_accuracy"] * 320], dtype=torch.float64)
    (run / "best.safetensors.part").write_text("left by the kill")
    state.update({"position.epoch": torch.tensor(0), "position.batch": torch.tensor(5), "position.seen": torch.tensor(320),
                  "position.recorded": torch.tensor(0),
                  "position.sums": of_epoch})
    said["altprop_records"] = {"metrics_bytes": 0, "metrics_crc32": "00000000", "metrics_line": ""}
    save_checkpoint(run / "checkpoint.safetensors", state, said)
    s = altprop("resume", run, "--quiet", "--json").json
    assert s["steps"] == 5 and s["epochs"] == 1 and not (run / "best.safetensors.part").exists()
    assert all(records(run)[0][k] == record[k] for k in ("test_loss", "learning_rate"))
    assert differing(run / "checkpoint.safetensors", tmp_path / "whole" / "checkpoint.safetensors") == []


def test_interrupted_before_the_first_step(tmp_path):
    """While the data are being drawn."""
    process = start("train", *TINY, "--data.glyphs.train", 30000, "--max-steps", 3, "--out", tmp_path / "run")
    deadline = time.time() + 60
    while not handles_interrupts(process) and time.time() < deadline:
        time.sleep(0.002)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert summary(tmp_path / "run")["steps"] == 0
    altprop("resume", tmp_path / "run", "--quiet")
    assert summary(tmp_path / "run")["steps"] == 3


def handles_interrupts(process):
    """The program has come so far that it catches SIGINT."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return int(caught.split()[1], 16) & (1 << (signal.SIGINT - 1))


def test_every_rule_killed_inside_a_comparison(tmp_path):
    """Each rule's run is killed once in the middle; the comparison then goes on and ends with the same table."""
    refusals = altprop("describe", "--net", "mlp:784-16-10:relu", "--json").json["rules"]
    rules = [rule for rule, refusal in refusals.items() if not refusal]
    assert len(rules) > 3
    moments = random.Random(2)
    settings = ["compare", "--rules", ",".join(rules), *TINY, "--epochs", 2, "--batch", 16, "--checkpoint-steps", 1,
                "--probe-batch", 32]
    whole = altprop(*settings, "--quiet", "--json", "--out", tmp_path / "whole").json
    run, command = tmp_path / "run", [*settings, "--out", tmp_path / "run"]
    for rule in rules:
        process, deadline = start(*command), time.time() + 60
        while process.poll() is None and not (run / f"{rule}-seed1" / "checkpoint.safetensors").exists() and time.time() < deadline:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        process.communicate()
        assert_whole(run)
        command = ["resume", run]
    resumed = altprop("resume", run, "--quiet", "--json").json
    assert [r["label"] for r in resumed["runs"]] == [r["label"] for r in whole["runs"]]
    assert len(resumed["runs"]) == len(rules)
    for a, b in zip(whole["runs"], resumed["runs"]):
        assert (a["test_accuracy"], a["test_loss"], a["steps"]) == (b["test_accuracy"], b["test_loss"], b["steps"]), a["label"]
        assert_same_run(tmp_path / "whole" / a["folder"], run / b["folder"])
    for a, b in zip(whole["table"], resumed["table"]):
        assert (a["label"], a["test_accuracy"], a["angle_degrees"]) == (b["label"], b["test_accuracy"], b["angle_degrees"])
    assert (run / "report.html").exists()


def test_comparison_interrupted(tmp_path):
    settings = ["compare", "--rules", "bp,fa[lr=0.02],dfa", "--seeds", "1,2", *TINY, "--epochs", 2, "--batch", 8]
    whole = altprop(*settings, "--quiet", "--json", "--out", tmp_path / "whole").json
    process = start(*settings, "--out", tmp_path / "run")
    for _ in range(5):
        process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert 2 <= len(summary(tmp_path / "run")["runs"]) < 6
    assert (tmp_path / "run" / "report.html").exists()
    resumed = altprop("resume", tmp_path / "run", "--quiet", "--json").json
    assert [(r["label"], r["seed"], r["test_loss"]) for r in resumed["runs"]] == [
        (r["label"], r["seed"], r["test_loss"]) for r in whole["runs"]]
