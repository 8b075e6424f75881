"""Folders in which somebody else has planted something: links are not followed, pipes not waited for, and what a record
says does not lead out of its folder."""
import json
import os
import shutil
import subprocess

import pytest
from program import (PROGRAM, TINY, Result, altprop, assert_one_sentence, checkpoint, environment, records, save_checkpoint, summary,
                     texts)

COMPARE = ["compare", "--rules", "bp,fa", *TINY, "--epochs", 1, "--quiet"]
DEEP = "[" * 1_000_000 + "]" * 1_000_000


@pytest.fixture()
def victim(tmp_path):
    """A folder of somebody, with what looks like a run, and a file; the test must leave all as it is."""
    folder = tmp_path / "victim"
    folder.mkdir()
    for name in ("config.toml", "metrics.jsonl", "checkpoint.safetensors", "best.safetensors", "summary.json", "precious"):
        (folder / name).write_text(f"{name} of somebody else\n")
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}
    yield folder
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before


@pytest.fixture()
def copied(run, tmp_path):
    return shutil.copytree(run[0], tmp_path / "run")


def test_overwrite_leaves_a_linked_folder_alone(victim, tmp_path):
    altprop(*COMPARE, "--out", tmp_path / "both")
    shutil.rmtree(tmp_path / "both" / "fa-seed1")
    (tmp_path / "both" / "fa-seed1").symlink_to(victim)
    (tmp_path / "both" / "another").symlink_to(victim)  # which no record names
    result = altprop(*COMPARE, "--overwrite", "--out", tmp_path / "both", code=1)
    assert result.err.count("\n") == 2 and "fa-seed1' is a link" in result.err
    assert (tmp_path / "both" / "another").is_symlink()
    # With other rules nothing is written there.
    result = altprop("compare", "--rules", "dfa", *TINY, "--epochs", 1, "--quiet", "--overwrite", "--out", tmp_path / "both")
    assert (tmp_path / "both" / "fa-seed1").is_symlink() and "another" not in result.err
    assert [r["label"] for r in summary(tmp_path / "both")["runs"]] == ["dfa"]


@pytest.mark.parametrize("folders", [["../victim"], ["{victim}"], [".."], ["."], [""], ["x/../../victim"], ["bp-seed1/../../victim"], 3,
                                     [3], "deep"])
def test_overwrite_goes_by_names_and_not_by_ways(victim, tmp_path, folders):
    altprop(*COMPARE[:2], "bp", *TINY, "--epochs", 0, "--quiet", "--out", tmp_path / "both")
    record = tmp_path / "both" / "compare.json"
    if folders == "deep":
        record.write_text(f'{{"folders": {DEEP}}}')
    else:
        folders = [f.replace("{victim}", str(victim)) for f in folders] if folders not in (3, [3]) else folders
        record.write_text(json.dumps({**json.loads(record.read_text()), "folders": folders}))
    result = altprop("train", *TINY, "--epochs", 0, "--quiet", "--overwrite", "--out", tmp_path / "both")
    assert "left alone" in result.err and result.err.count("\n") == 1 and len(result.err) < 700
    assert not record.exists() and (tmp_path / "both" / "bp-seed1" / "config.toml").exists()


def test_overwrite_removes_what_the_record_names_and_nothing_else(tmp_path):
    altprop(*COMPARE, "--out", tmp_path / "both")
    own = tmp_path / "both" / "mine"
    shutil.copytree(tmp_path / "both" / "fa-seed1", own)  # looks like a run, and no record names it
    (tmp_path / "both" / "fa-seed1" / "notes").write_text("mine")
    result = altprop("train", *TINY, "--epochs", 0, "--quiet", "--overwrite", "--out", tmp_path / "both")
    assert result.err == "" and (own / "checkpoint.safetensors").exists() and not (tmp_path / "both" / "bp-seed1").exists()
    assert [p.name for p in (tmp_path / "both" / "fa-seed1").iterdir()] == ["notes"]


@pytest.mark.parametrize("name", ["config.toml", "checkpoint.safetensors", "best.safetensors", "summary.json"])
def test_planted_parts_are_not_written_through(victim, copied, name):
    (copied / f"{name}.part").symlink_to(victim / "precious")
    altprop("resume", copied, "--epochs", 3, "--quiet")
    assert [r["epoch"] for r in records(copied)] == [1, 2, 3] and not (copied / f"{name}.part").exists()
    (copied / f"{name}.part").symlink_to(victim / "precious")
    altprop("train", *TINY, "--epochs", 1, "--validation", 64, "--quiet", "--overwrite", "--out", copied)
    assert not os.path.lexists(copied / f"{name}.part")


def test_planted_reports_are_not_written_through(victim, copied):
    (copied / "report.html.part").symlink_to(victim / "precious")
    (copied / "report.html").symlink_to(victim / "precious")
    altprop("report", copied)
    assert not (copied / "report.html").is_symlink() and "<html" in (copied / "report.html").read_text()


def test_records_are_not_appended_through_a_link(victim, copied):
    moved = copied.parent / "moved.jsonl"
    (copied / "metrics.jsonl").rename(moved)
    (copied / "metrics.jsonl").symlink_to(moved)
    before = moved.read_bytes()
    result = altprop("resume", copied, "--epochs", 3, "--quiet", code=1)
    assert_one_sentence(result)
    assert "metrics.jsonl" in result.err and "symbolic link" in result.err and moved.read_bytes() == before


@pytest.mark.parametrize("name, commands", [
    ("checkpoint.safetensors", ["resume", "predict --state last", "export --state last"]), ("best.safetensors", ["predict", "export"]),
    ("config.toml", ["resume", "predict", "export"]), ("metrics.jsonl", ["resume"]), ("summary.json", ["report"]),
    ("compare.json", ["resume"])])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_pipes_and_devices_are_not_waited_for(copied, name, commands, kind):
    if (copied / name).exists():
        (copied / name).unlink()
    {"pipe": lambda p: os.mkfifo(p), "device": lambda p: p.symlink_to("/dev/zero"), "folder": lambda p: p.mkdir()}[kind](copied / name)
    for command in commands:
        words = command.split()
        done = subprocess.run([PROGRAM, words[0], copied, *words[1:]], capture_output=True, text=True, timeout=30, env=environment())
        assert done.returncode == 1, done
        assert_one_sentence(Result(done))
        assert name in done.stderr and (f"a {kind}" in done.stderr or "damaged" in done.stderr), done.stderr


def test_deep_records_do_not_end_the_program(copied, tmp_path):
    (copied / "summary.json").write_text(f'{{"failure": {DEEP}}}')
    altprop("resume", copied, "--epochs", 3, "--quiet")
    (copied / "summary.json").write_text(f'{{"runs": {DEEP}}}')
    assert_one_sentence(altprop("report", copied, code=1))
    altprop(*COMPARE, "--out", tmp_path / "both")
    (tmp_path / "both" / "bp-seed1" / "summary.json").write_text(DEEP)
    altprop("resume", tmp_path / "both", "--quiet")
    (tmp_path / "both" / "compare.json").write_text(f'{{"rules": {DEEP}}}')
    assert_one_sentence(altprop("resume", tmp_path / "both", code=1))
    said = texts(copied / "checkpoint.safetensors")
    for name in ("altprop", "altprop_run", "altprop_records"):
        save_checkpoint(copied / "checkpoint.safetensors", checkpoint(copied / "checkpoint.safetensors"), {**said, name: DEEP})
        result = altprop("resume", copied, code=1)
        assert_one_sentence(result)
        assert "checkpoint.safetensors" in result.err


def test_what_the_user_names_is_bounded_and_may_be_a_pipe(run, tmp_path):
    for flags in (["--config", "/dev/zero"], ["--net", "@/dev/zero"]):
        result = altprop("train", *TINY, *flags, "--out", tmp_path / "no", code=1 if flags[0] == "--config" else 2)
        assert_one_sentence(result)
        assert "/dev/zero" in result.err
    done = subprocess.run([PROGRAM, "train", *map(str, TINY), "--config", "/dev/stdin", "--quiet", "--out", tmp_path / "piped"],
                          input="epochs = 1\n", text=True, capture_output=True, timeout=60, env=environment())
    assert done.returncode == 0 and summary(tmp_path / "piped")["epochs"] == 1, done


def test_output_to_where_the_standard_output_goes(run, tmp_path):
    expected = altprop("predict", run[0]).out
    done = subprocess.run([PROGRAM, "predict", run[0], "--out", "/dev/stdout"], capture_output=True, text=True, env=environment())
    assert done.returncode == 0 and done.stdout.startswith(expected) and "predictions in" in done.stdout
    with open(tmp_path / "file", "w") as file:
        done = subprocess.run([PROGRAM, "predict", run[0], "--out", "/dev/stdout"], stdout=file, env=environment())
    assert done.returncode == 0 and (tmp_path / "file").read_text().startswith(expected)
    assert os.path.islink("/dev/stdout")
