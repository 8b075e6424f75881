"""Kills at random moments: never a damaged checkpoint, a lost epoch record or one that is there twice.

50 kills, shared by two runs side by side. ALTPROP_KILLS=500 does more.
"""
import json
import os
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from program import altprop, assert_same_run, checkpoint, start

KILLS = int(os.environ.get("ALTPROP_KILLS", 50))
PATIENCE = 1000  # seconds for what a machine without other load does in two: every step waits for the disk

# Much is written and little computed: a checkpoint after every step, an epoch after every fourth.
SMALL = ["--net", "mlp:784-8-10:relu", "--data.glyphs.train", 64, "--data.glyphs.test", 16, "--threads", 1, "--batch", 16,
         "--epochs", 40, "--checkpoint-steps", 1, "--probe-batch", 16]
RUNS = {
    "momentum": ["--validation", 16],  # also writes best.safetensors
    "adam": ["--rule", "kolen-pollack", "--optimizer", "adam", "--lr", 0.003],
}


def written(run):
    """The newest checkpoint, as something that changes with each and with nothing else: a run that is resumed touches
    its records before it has done a step, so that on a loaded machine every kill could come before the first one."""
    try:
        return (run / "checkpoint.safetensors").stat().st_ino, (run / "checkpoint.safetensors").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def kill(command, run, moments):
    """At a random moment: of the start, or after the run has done a step. (True if it was still running, whether it did)."""
    before, late = written(run), moments.random() >= 0.2  # before it is started: then it cannot be missed
    process = start(*command)
    if late:
        while process.poll() is None and written(run) == before:
            time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.1 if late else 0.6))
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode != 0, late


def steps_done(run):
    return int(checkpoint(run / "checkpoint.safetensors")["position.step"]) if written(run) else 0


def epochs_recorded(run):
    """After a kill: every checkpoint can be read, and the records are those of the first epochs, each once."""
    for path in run.glob("*.safetensors"):
        assert "position.step" in checkpoint(path), path
    metrics = run / "metrics.jsonl"
    text = metrics.read_text() if metrics.exists() else ""
    epochs = [json.loads(line)["epoch"] for line in text.split("\n")[:-1]]  # a line is a record once it has its end
    assert epochs == list(range(1, len(epochs) + 1))
    return len(epochs)


def test_kills_at_random_moments(tmp_path):
    def survive(name, kills):
        settings, whole, run = [*SMALL, *RUNS[name]], tmp_path / f"{name}-whole", tmp_path / name
        altprop("train", *settings, "--quiet", "--out", whole, timeout=PATIENCE)
        moments, done, recorded, steps, waited_for = random.Random(name), 0, 0, 0, 0
        command = ["train", *settings, "--out", run]
        while done < kills:
            killed, late = kill(command, run, moments)
            if killed:
                done += 1
                now = epochs_recorded(run) if run.exists() else 0
                assert now >= recorded, "an epoch that was recorded is gone"
                before, recorded, steps = steps, now, steps_done(run)
                assert steps >= before, "a step that was written is gone"
                # Not every checkpoint is one of a step, but of two in a row one is, behind the first, which is of none.
                waited_for += late
                assert 2 * steps >= waited_for - 1, "the run does not go on"
                # Nothing to resume yet, if the kill came first.
                command = ["resume", run] if (run / "config.toml").exists() else [*command[:1], *settings, "--overwrite",
                                                                                  "--out", run]
            else:  # it came to its end: again from the beginning
                assert_same_run(whole, run)
                shutil.rmtree(run)
                recorded, steps, waited_for = 0, 0, 0
                command = ["train", *settings, "--out", run]
        altprop(*command, "--quiet", timeout=PATIENCE)
        assert_same_run(whole, run)

    with ThreadPoolExecutor(len(RUNS)) as pool:
        list(pool.map(lambda name: survive(name, KILLS // len(RUNS)), RUNS))
