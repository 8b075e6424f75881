"""Runs the program the way a user does and reads what it leaves behind.

The program is $ALTPROP_BUILD/altprop, by default build/altprop of this checkout.
"""
import json
import os
import subprocess
from pathlib import Path

BUILD = Path(os.environ.get("ALTPROP_BUILD", Path(__file__).parents[2] / "build")).resolve()
PROGRAM = BUILD / "altprop"

GLYPHS = ["--data.glyphs.train", "512", "--data.glyphs.test", "256"]
DEVICE = os.environ.get("ALTPROP_TEST_DEVICE", "cpu")  # tools/test.sh also runs the tests with cuda where there is a GPU
TINY = ["--net", "mlp:784-16-10:relu", *GLYPHS, "--threads", "1", "--device", DEVICE]
TIMING = ("seconds", "samples_per_second", "run")  # and the run's id, which is drawn
# What a run's summary.json holds at least.
SUMMARY = {"rule": str, "net": str, "data": str, "seed": int, "epochs": int, "test_accuracy": float, "test_loss": float,
           "train_seconds": float, "samples_per_second": float, "peak_memory_bytes": int, "altprop_version": str,
           "torch_version": str}


def environment(**changes):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ALTPROP_")}
    return {**kept, "OMP_NUM_THREADS": "1", **changes}


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    @property
    def json(self):
        return json.loads(self.out)


def altprop(*args, code=0, env=None, **popen):
    """Runs the program and asserts its exit code."""
    popen.setdefault("stdout", subprocess.PIPE)
    popen.setdefault("stderr", subprocess.PIPE)
    popen.setdefault("timeout", 100)
    done = subprocess.run([PROGRAM, *map(str, args)], text=True, stdin=subprocess.DEVNULL,
                          env=environment(**(env or {})), **popen)
    result = Result(done)
    assert result.code == code, result
    return result


def start(*args, **popen):
    """The program as a running process, its progress on a pipe."""
    popen.setdefault("stdout", subprocess.DEVNULL)
    popen.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen([PROGRAM, *map(str, args)], text=True, stdin=subprocess.DEVNULL, env=environment(), **popen)


def train(out, *args, **how):
    """A short quiet run of the smallest network; returns its summary."""
    return altprop("train", *TINY, "--quiet", "--json", "--out", out, *args, **how).json


def summary(folder):
    return json.loads((Path(folder) / "summary.json").read_text())


def settings(folder):
    """What config.toml says, without what tells the run from others."""
    return (Path(folder) / "config.toml").read_text().split("\n[run]\n")[0]


def records(folder):
    """The lines of metrics.jsonl without what a clock said and what is drawn."""
    lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMING} for line in lines]


def checkpoint(path):
    """Its tensors, as the reader of the safetensors package finds them; in memory, because files are replaced."""
    from safetensors.torch import load

    return load(Path(path).read_bytes())


def texts(path):
    """The texts of a checkpoint by name, JSON unpacked."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return {n: json.loads(t) if t.startswith("{") else t for n, t in file.metadata().items()}


def save_checkpoint(path, tensors, texts):
    """Writes a checkpoint that the program takes for its own."""
    import sys

    sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
    import convert_checkpoint

    convert_checkpoint.save(path, tensors, {n: json.dumps(t) if isinstance(t, dict) else t
                                            for n, t in texts.items() if n != "altprop_crc32"})


# What of a checkpoint may differ between two runs that did the same: clocks and memory.
PASSING = ("position.seconds", "position.epoch_seconds", "position.step_seconds", "position.step_flops",
           "position.peak", "position.data_bytes")


def differing(a, b):
    """Names of the entries in which two checkpoint files differ, bit by bit."""
    import torch

    a, b = checkpoint(a), checkpoint(b)
    names = (set(a) | set(b)) - set(PASSING)
    return sorted(n for n in names if n not in a or n not in b or not torch.equal(a[n], b[n]))


def assert_same_run(a, b):
    a, b = Path(a), Path(b)
    for one, other in zip(records(a), records(b)):
        unlike = {k: (one.get(k), other.get(k)) for k in {*one, *other} if one.get(k) != other.get(k)}
        assert not unlike, unlike
    assert len(records(a)) == len(records(b))
    assert differing(a / "checkpoint.safetensors", b / "checkpoint.safetensors") == []
    assert (a / "best.safetensors").exists() == (b / "best.safetensors").exists()
    if (a / "best.safetensors").exists():
        assert differing(a / "best.safetensors", b / "best.safetensors") == []
    left = [p for p in a.rglob("*") if p.suffix == ".part"]
    assert left == []


def assert_one_sentence(result):
    """An error is one line that a user can read, and nothing else."""
    lines = result.err.splitlines()
    assert result.out == "", result
    assert len(lines) == 1 and lines[0].startswith("altprop: "), result
    for noise in ("frame #", "Exception raised", "c10", "at::", "terminate", "enforce fail", "json.exception", ".cpp:"):
        assert noise not in result.err, result
    assert not lines[0].endswith((": ", ";")), result
    assert len(lines[0]) < 700, result
