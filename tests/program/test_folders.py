"""Folders that cannot be written: full, read-only, removed, somebody else's. One sentence each, and nothing is spoilt."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from program import PROGRAM, TINY, altprop, assert_one_sentence, records, start, summary, train

COMPARE = ["compare", "--rules", "bp,fa", *TINY, "--epochs", 1]


@pytest.fixture()
def disk(tmp_path):
    """A file system of its own, of 1 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", where], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield where
    subprocess.run(["umount", "-l", where], check=False)


def remount(where, how):
    subprocess.run(["mount", "-o", f"remount,{how}", where], check=True)


def fill(where):
    with open(where / "ballast", "wb", buffering=0) as f:
        try:
            while f.write(b"\0" * 4096):
                pass
        except OSError:
            pass


def snapshot(folder):
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("command", [["train", *TINY, "--epochs", 1], COMPARE], ids=["train", "compare"])
def test_full_from_the_start(command, disk):
    fill(disk)
    result = altprop(*command, "--quiet", "--out", disk / "run", code=1)
    assert_one_sentence(result)
    assert "No space left" in result.err and str(disk) in result.err


def test_full_when_others_read_the_run(disk):
    train(disk / "run", "--epochs", 1)
    fill(disk)
    kept = snapshot(disk / "run")
    for command in (["report", disk / "run"], ["predict", disk / "run", "--out", disk / "predictions.csv"]):
        result = altprop(*command, code=1)
        assert_one_sentence(result)
        assert "No space left" in result.err
    assert snapshot(disk / "run") == kept and not (disk / "predictions.csv").exists()


def test_read_only(disk):
    train(disk / "run", "--epochs", 1)
    remount(disk, "ro")
    kept = snapshot(disk)
    for command in (["train", *TINY, "--out", disk / "new"], [*COMPARE, "--out", disk / "new"],
                    ["train", *TINY, "--overwrite", "--out", disk / "run"], ["resume", disk / "run", "--epochs", 2],
                    ["report", disk / "run"], ["predict", disk / "run", "--out", disk / "p.csv"]):
        result = altprop(*command, code=1)
        assert_one_sentence(result)
        assert "Read-only file system" in result.err, result
    assert snapshot(disk) == kept
    assert altprop("predict", disk / "run").out.startswith("id,")


def test_read_only_from_some_moment_on(disk):
    process = start("train", *TINY, "--epochs", 1000, "--out", disk / "run")
    process.stderr.readline()
    while subprocess.run(["mount", "-o", "remount,ro", disk], capture_output=True).returncode:  # busy while a file is open
        assert process.poll() is None
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Read-only file system" in err.splitlines()[-1] and err.count("altprop:") == 1
    before = len(records(disk / "run"))
    remount(disk, "rw")
    altprop("resume", disk / "run", "--quiet", "--epochs", before + 1)
    assert [r["epoch"] for r in records(disk / "run")] == list(range(1, before + 2))


def test_removed_during_the_run(tmp_path):
    process = start("train", *TINY, "--epochs", 1000, "--out", tmp_path / "run")
    process.stderr.readline()
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "No such file or directory" in err.splitlines()[-1] and err.count("altprop:") == 1
    altprop("resume", tmp_path / "elsewhere", "--quiet", "--epochs", len(records(tmp_path / "elsewhere")) + 1)


def test_comparison_whose_parent_is_removed(tmp_path):
    (tmp_path / "here").mkdir()
    process = start(*COMPARE[:-1], 1000, "--out", tmp_path / "here" / "run")
    process.stderr.readline()
    (tmp_path / "here").rename(tmp_path / "there")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "No such file or directory" in err.splitlines()[-1] and err.count("altprop:") == 1, err


def test_folder_of_somebody_else():
    """As nobody, if the tests run as root."""
    place = Path(tempfile.mkdtemp())
    try:
        place.chmod(0o755)
        train(place / "run", "--epochs", 1)
        for path in (place / "run").rglob("*"):
            path.chmod(0o444)
        (place / "run").chmod(0o555)
        place.chmod(0o555)
        who = {"user": 65534} if os.geteuid() == 0 else {}
        try:
            subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, **who)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("the program is not to be executed by another user than root")
        for command in (["train", *TINY, "--out", place / "new"], ["resume", place / "run", "--epochs", 2],
                        ["train", *TINY, "--overwrite", "--out", place / "run"], ["report", place / "run"]):
            result = altprop(*command, code=1, cwd="/", **who)
            assert_one_sentence(result)
            assert "Permission denied" in result.err, result
        (place / "run" / "checkpoint.safetensors").chmod(0)
        result = altprop("predict", place / "run", code=1, cwd="/", **who)
        assert_one_sentence(result)
        assert "checkpoint.safetensors" in result.err and "Permission denied" in result.err
        assert summary(place / "run")["epochs"] == 1
    finally:
        place.chmod(0o755)
        (place / "run").chmod(0o755)
        shutil.rmtree(place)


@pytest.mark.parametrize("folder", ["/dev/null/run", "/proc/run"])
def test_places_where_no_folder_can_be(folder):
    result = altprop("train", *TINY, "--quiet", "--out", folder, code=1)
    assert_one_sentence(result)
    assert folder in result.err


def test_device_that_is_full(tmp_path):
    train(tmp_path / "run", "--epochs", 1)
    result = altprop("predict", tmp_path / "run", "--out", "/dev/full", code=1)
    assert_one_sentence(result)
    assert "No space left" in result.err
