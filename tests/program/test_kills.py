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

# Much is written and little computed: a checkpoint after every step, an epoch after every fourth.
SMALL = ["--net", "mlp:784-8-10:relu", "--data.glyphs.train", 64, "--data.glyphs.test", 16, "--threads", 1, "--batch", 16,
         "--epochs", 40, "--checkpoint-steps", 1, "--probe-batch", 16]
RUNS = {
    "momentum": ["--validation", 16],  # also writes best.safetensors
    "adam": ["--rule", "kolen-pollack", "--optimizer", "adam", "--lr", 0.003],
}


def written(run):
    """What the folder holds that shows how far the run is."""
    return [p.stat().st_mtime_ns for p in (run / "checkpoint.safetensors", run / "metrics.jsonl") if p.exists()]


def kill(process, run, moments):
    """At a random moment: of the start, or after the run has written something new. True if it was still running."""
    if moments.random() < 0.2:
        time.sleep(moments.uniform(0, 0.6))
    else:
        before = written(run)
        while process.poll() is None and written(run) == before:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode != 0


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
        altprop("train", *settings, "--quiet", "--out", whole)
        moments, done, finished, recorded = random.Random(name), 0, 0, 0
        command = ["train", *settings, "--out", run]
        while done < kills:
            if kill(start(*command), run, moments):
                done += 1
                now = epochs_recorded(run) if run.exists() else 0
                assert now >= recorded, "an epoch that was recorded is gone"
                recorded = now
                # Nothing to resume yet, if the kill came first.
                command = ["resume", run] if (run / "config.toml").exists() else [*command[:1], *settings, "--overwrite",
                                                                                  "--out", run]
            else:  # it came to its end: again from the beginning
                assert_same_run(whole, run)
                shutil.rmtree(run)
                finished, recorded, command = finished + 1, 0, ["train", *settings, "--out", run]
        altprop(*command, "--quiet")
        assert_same_run(whole, run)
        return recorded, finished

    with ThreadPoolExecutor(len(RUNS)) as pool:
        outcomes = list(pool.map(lambda name: survive(name, KILLS // len(RUNS)), RUNS))
    assert all(recorded > 2 or finished for recorded, finished in outcomes), outcomes
