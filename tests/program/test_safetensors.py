"""Checkpoints in other programs' hands, and files of other programs in altprop's."""
import json
import os
import struct
import subprocess
from pathlib import Path

import pytest
import torch
from program import (TINY, altprop, assert_one_sentence, assert_same_run, checkpoint, differing, records, save_checkpoint, summary,
                     texts, train)
from safetensors.torch import load_file, save_file

CONVERT = Path(__file__).parents[2] / "tools" / "convert_checkpoint.py"
LOOK = ["--validation", 64, "--epochs", 1, "--max-steps", 1, "--lr", 0]
BATCH_NORM = "chain: conv 4 k=5 s=3, batch-norm, relu, linear *"


def weights(path):
    """Those of a run under the network's own names."""
    return {n.removeprefix("net."): t for n, t in checkpoint(path).items() if n.startswith("net.")}


def test_theirs_reads_ours(run):
    folder, _ = run
    state, said = load_file(folder / "checkpoint.safetensors"), texts(folder / "checkpoint.safetensors")
    assert state["net.fc1.weight"].shape == (16, 784) and state["net.fc1.weight"].dtype == torch.float32
    assert state["position.epoch"].item() == 2 and state["position.epoch"].dtype == torch.int64
    assert all(t.is_contiguous() for t in state.values())
    assert said["altprop_run"]["settings"]["label"] == "backprop" and said["altprop"]["threads"] == 1
    line = (folder / "metrics.jsonl").read_text().splitlines()[-1]
    assert said["altprop_records"]["metrics_line"] == line
    # The check sum is what the layout's description in the source says it is.
    import zlib

    whole = (folder / "checkpoint.safetensors").read_bytes()
    assert f"{zlib.crc32(whole.replace(said['altprop_crc32'].encode(), b'0' * 8, 1)):08x}" == said["altprop_crc32"]


@pytest.mark.parametrize("prefix", ["", "net."])
def test_ours_reads_theirs(run, tmp_path, prefix):
    folder, _ = run
    path = tmp_path / "weights.safetensors"
    save_file({prefix + n: t for n, t in weights(folder / "checkpoint.safetensors").items()}, path, metadata={"format": "pt"})
    s = train(tmp_path / "run", *LOOK, "--init-from", path)
    assert s["test_loss"] == pytest.approx(records(folder)[-1]["test_loss"], rel=1e-6)
    path.unlink()  # a resumed run needs it no more
    assert altprop("resume", tmp_path / "run", "--quiet", "--json").json["settings"]["init-from"] == s["settings"]["init-from"]


def test_every_type_of_number_is_taken_for_weights(run, tmp_path):
    folder, _ = run
    for dtype, near in {torch.float64: 1e-6, torch.float16: 1e-2, torch.bfloat16: 1e-1}.items():
        save_file({n: t.to(dtype) for n, t in weights(folder / "checkpoint.safetensors").items()}, tmp_path / "w.safetensors")
        s = train(tmp_path / str(dtype), *LOOK, "--init-from", tmp_path / "w.safetensors")
        assert s["test_loss"] == pytest.approx(records(folder)[-1]["test_loss"], rel=near)


def test_statistics_come_with_the_weights(tmp_path):
    net = ["--net", BATCH_NORM]
    train(tmp_path / "first", *net, "--epochs", 2)
    found = weights(tmp_path / "first" / "checkpoint.safetensors")
    save_file(found, tmp_path / "w.safetensors")
    s = train(tmp_path / "second", *net, "--epochs", 0, "--init-from", tmp_path / "w.safetensors")
    assert s["status"] == "done"
    again = weights(tmp_path / "second" / "checkpoint.safetensors")
    assert set(again) == set(found) and all(torch.equal(again[n], found[n]) for n in found)
    statistics = next(n for n in found if "mean" in n)
    save_file({n: t for n, t in found.items() if n != statistics}, tmp_path / "w.safetensors")
    result = altprop("train", *TINY, *net, "--init-from", tmp_path / "w.safetensors", "--out", tmp_path / "x", code=2)
    assert_one_sentence(result)
    assert statistics in result.err and "missing" in result.err


def spoilt(found, how):
    if how == "missing":
        return {n: t for n, t in found.items() if n != "fc2.bias"}
    if how == "shape":
        return {**found, "fc1.weight": found["fc1.weight"][:8].clone()}
    if how == "turned":
        return {**found, "fc1.weight": found["fc1.weight"].t().contiguous()}
    if how == "integers":
        return {**found, "fc1.bias": found["fc1.bias"].to(torch.int64)}
    if how == "not finite":
        return {**found, "fc1.bias": found["fc1.bias"] * torch.nan}
    return {f"model.{n}": t for n, t in found.items()}


@pytest.mark.parametrize("how, code, words", [
    ("missing", 2, ["'fc2.bias'", "is missing"]), ("shape", 2, ["'fc1.weight'", "[8, 784]", "[16, 784]"]),
    ("turned", 2, ["'fc1.weight'", "[784, 16]"]), ("integers", 2, ["'fc1.bias'", "Long"]),
    ("not finite", 1, ["'fc1.bias'", "not finite"]), ("names", 2, ["'fc1.weight'", "missing", "'model.fc1.bias'"])])
def test_what_does_not_fit_is_named(run, tmp_path, how, code, words):
    path = tmp_path / "w.safetensors"
    save_file(spoilt(weights(run[0] / "checkpoint.safetensors"), how), path)
    result = altprop("train", *TINY, "--init-from", path, "--out", tmp_path / "run", code=code)
    assert_one_sentence(result)
    for word in (str(path), *words):
        assert word in result.err, result
    assert not (tmp_path / "run").exists()


def layout(header, numbers=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


# What a reader that believes what it is told makes weights of memory, or of gigabytes.
LIES = {
    "a storage shorter than its count": layout(
        {"fc1.weight": {"dtype": "F32", "shape": [16, 784], "data_offsets": [0, 50176]}}, b"\0" * 100),
    "bytes fewer than the shape": layout(
        {"fc1.weight": {"dtype": "F32", "shape": [16, 784], "data_offsets": [0, 100]}}, b"\0" * 100),
    "a count of 2^60": layout({"fc1.weight": {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 1 << 62]}}),
    "a shape that overflows": layout({"fc1.weight": {"dtype": "F32", "shape": [1 << 31, 1 << 31, 4], "data_offsets": [0, 0]}}),
    "gigabytes in a small file": layout(
        {"fc1.weight": {"dtype": "F32", "shape": [1 << 30], "data_offsets": [0, 1 << 32]}}, b"\0" * 31000),
    "a header of 2^63 bytes": struct.pack("<Q", 1 << 63) + b"{}",
    "a header of 90 MB": struct.pack("<Q", 90_000_000) + b"{}",
    "deep": layout(b'{"fc1.weight":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"),
    "a pickle": b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93\x8c\x09touch /x\x85R.",
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused_before_memory_is_taken(tmp_path, lie):
    path = tmp_path / "w.safetensors"
    path.write_bytes(LIES[lie])
    limited = ["prlimit", "--as=3000000000"] if subprocess.run(["which", "prlimit"], capture_output=True).returncode == 0 else []
    from program import PROGRAM, Result, environment

    done = subprocess.run([*limited, PROGRAM, "train", *map(str, TINY), "--init-from", path, "--out", tmp_path / "run"], text=True,
                          capture_output=True, timeout=60, env=environment())
    assert done.returncode == 1
    assert_one_sentence(Result(done))
    assert str(path) in done.stderr and "damaged" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_lie_with_a_right_check_sum(run, tmp_path):
    """The sum is against damage. A file that was made up is refused by what it says."""
    import shutil

    folder = shutil.copytree(run[0], tmp_path / "run")
    state, said = checkpoint(folder / "checkpoint.safetensors"), texts(folder / "checkpoint.safetensors")
    for name, value, word in [("position.batch", torch.tensor(1000), "batch"), ("net.fc1.weight", torch.zeros(3), "net.fc1.weight"),
                              ("position.epoch", torch.tensor(1.0), "position.epoch")]:
        save_checkpoint(folder / "checkpoint.safetensors", {**state, name: value}, said)
        result = altprop("resume", folder, code=1)
        assert_one_sentence(result)
        assert word in result.err, result
    for spoil in ({}, {"altprop": {}}, {"altprop": {**said["altprop"], "format": 3}}, {"altprop": {**said["altprop"], "threads": 0}},
                  {"altprop_records": {}}):
        kept = {**said, **spoil} if spoil else {}
        save_checkpoint(folder / "checkpoint.safetensors", state, kept)
        result = altprop("resume", folder, code=1)
        assert_one_sentence(result)
        assert "checkpoint.safetensors" in result.err, result
    save_checkpoint(folder / "checkpoint.safetensors", state, said)
    altprop("resume", folder, "--quiet")


def old_file(path, to):
    """A checkpoint as it was before the safetensors layout."""
    said = texts(path)

    def as_bytes(text):
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    torch.save({**checkpoint(path), "meta": as_bytes(json.dumps({**said["altprop"], "format": 1})),
                "metrics_bytes": torch.tensor(said["altprop_records"]["metrics_bytes"]),
                "metrics_line": as_bytes(said["altprop_records"]["metrics_line"])}, to)


def test_old_checkpoints_are_converted(run, tmp_path):
    import shutil
    import sys

    folder = shutil.copytree(run[0], tmp_path / "run")
    altprop("resume", shutil.copytree(run[0], tmp_path / "whole"), "--epochs", 4, "--quiet")
    for name in ("checkpoint", "best"):
        old_file(folder / f"{name}.safetensors", folder / f"{name}.pt")
        (folder / f"{name}.safetensors").unlink()
    subprocess.run([sys.executable, CONVERT, folder], check=True, capture_output=True)
    assert differing(folder / "checkpoint.safetensors", run[0] / "checkpoint.safetensors") == []
    altprop("resume", folder, "--epochs", 4, "--quiet")
    assert_same_run(folder, tmp_path / "whole")


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_the_converter_executes_nothing(tmp_path):
    import sys

    torch.save({"net.fc1.weight": Touch(tmp_path / "executed")}, tmp_path / "checkpoint.pt")
    done = subprocess.run([sys.executable, CONVERT, tmp_path], capture_output=True, text=True)
    assert done.returncode != 0 and not (tmp_path / "executed").exists()
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_records_that_are_not_the_checkpoints_are_refused(run, tmp_path):
    import shutil

    folder = shutil.copytree(run[0], tmp_path / "run")
    altprop("resume", folder, "--epochs", 3, "--quiet")
    metrics = folder / "metrics.jsonl"
    whole = metrics.read_bytes()
    for spoilt_lines in (b"\0\0\0\0" + whole, whole[:40] + b"####" + whole[40:], whole.replace(b'"epoch":1', b'"epoch":7')):
        metrics.write_bytes(spoilt_lines)
        result = altprop("resume", folder, "--epochs", 4, code=1)
        assert_one_sentence(result)
        assert "metrics.jsonl" in result.err
        assert metrics.read_bytes() == spoilt_lines
    metrics.write_bytes(whole + b"####")  # behind all that is known nothing can be lost
    s = altprop("resume", folder, "--epochs", 4, "--quiet", "--json").json
    assert any("4 bytes" in w for w in s["warnings"])
    assert metrics.read_bytes().startswith(whole) and [r["epoch"] for r in records(folder)] == [1, 2, 3, 4]
    assert summary(folder)["epochs"] == 4
