"""altprop show: outcome, curves and records of runs and comparisons, finished or not."""
import csv
import io
import json
import os
import pty
import re
import shutil
import signal

import pytest
from program import PROGRAM, TINY, altprop, assert_one_sentence, environment, start, summary, train

UTF8, ASCII = {"LC_ALL": "C.UTF-8"}, {"LC_ALL": "C"}
BRAILLE = re.compile("[\u2801-\u28ff]")


def shown(*args, **how):
    return altprop("show", *args, env=how.pop("env", UTF8), **how)


def test_a_run(run):
    folder, _ = run
    result = shown(folder)
    assert result.err == ""
    s, text = summary(folder), result.out
    assert text.startswith(f"{folder}: backprop on glyphs, seed 1\nmlp:784-16-10:relu\nfinished after 2 of 2 epochs, ")
    last = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    best = max(record["test_accuracy"] for record in last)
    row = re.search(r"^test accuracy % +(\S+) +(\d) +(\S+)$", text, re.M)
    assert float(row[1]) == pytest.approx(100 * best, abs=5e-3)
    assert float(row[3]) == pytest.approx(100 * last[-1]["test_accuracy"], abs=5e-3)
    assert last[int(row[2]) - 1]["test_accuracy"] == best
    for name in ("test loss", "validation accuracy %", "validation loss", "training loss"):
        assert re.search(rf"^{name} +\S+ +\d +\S+$", text, re.M), name
    assert BRAILLE.search(text) and "\x1b" not in text
    assert max(map(len, text.splitlines()[4:])) <= 80
    assert "\nSettings that are not the defaults\n" in text and "  epochs = 2 (default 5)\n" in text
    assert "data.glyphs.train = 512" in text and "  batch" not in text
    assert s["status"] == "done"


def test_without_utf8_there_is_ascii_alone(run):
    text = shown(run[0], env=ASCII).out
    assert text.isascii() and "*" in text and "|" in text


def in_terminal(*args, **env):
    """What the program writes to a terminal, 100 columns wide."""
    import fcntl
    import struct
    import termios

    pid, fd = pty.fork()
    if pid == 0:
        os.execve(PROGRAM, [str(PROGRAM), *map(str, args)], environment(TERM="xterm", **UTF8, **env))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    out = b""
    try:
        while block := os.read(fd, 65536):
            out += block
    except OSError:  # the other end is closed
        pass
    assert os.waitpid(pid, 0)[1] == 0
    return out.decode()


def test_colours_are_for_terminals_that_want_them(run):
    assert "\x1b[" in in_terminal("show", run[0])
    assert "\x1b[" not in in_terminal("show", run[0], NO_COLOR="1")


def test_a_comparison(comparison):
    folder, _ = comparison
    text = shown(folder).out
    assert text.startswith(f"{folder}: 3 rules, 6 runs on glyphs\n")
    table = {row["label"]: row for row in summary(folder)["table"]}
    for label, row in table.items():
        found = re.search(rf"^{re.escape(label)} +(\S+) ± (\S+) ", text, re.M)
        assert float(found[1]) == pytest.approx(100 * row["test_accuracy"]["mean"], abs=5e-3)
        assert float(found[2]) == pytest.approx(100 * row["test_accuracy"]["std"], abs=5e-3)
    assert "2 finished" in text and "Layers with the largest angle to backprop" in text
    angles = {e["name"]: e["angle_degrees"] for e in summary(folder)["runs"][2]["gradient"] if "bias" not in e["name"]}
    worst = max(angles, key=angles.get)
    assert re.search(rf"^  dfa +{worst} +{angles[worst]:.1f}°$", text, re.M)


def test_several_folders(run, comparison):
    text = shown(run[0], comparison[0]).out
    assert text.index(f"{run[0]}: ") < text.index(f"{comparison[0]}: ")


def test_csv_and_json_hold_all_that_was_recorded(run, comparison):
    lines = [json.loads(line) for line in (run[0] / "metrics.jsonl").read_text().splitlines()]
    rows = list(csv.DictReader(io.StringIO(shown(run[0], "--csv").out)))
    objects = shown(run[0], "--json").json
    assert len(rows) == len(objects) == len(lines)
    for row, entry, line in zip(rows, objects, lines):
        assert row["folder"] == entry["folder"] == str(run[0]) and row["label"] == "backprop" and row["seed"] == "1"
        for key, value in line.items():
            if isinstance(value, (int, float)):
                assert float(row[key]) == entry[key] == value, key
        for layer in line["gradient"]:
            for key in ("cosine", "angle_degrees", "magnitude_ratio"):
                assert float(row[f"gradient.{layer['name']}.{key}"]) == layer[key]
        assert set(row) == set(entry)
    every = shown(comparison[0], run[0], "--json").json
    assert [(e["label"], e["seed"]) for e in every[-3:-2]] == [("dfa", 2)] and every[-1]["folder"] == str(run[0])
    assert len({tuple(e) for e in every}) == 1, "all rows have all columns"


def killed(folder, *args, epochs=2, by=signal.SIGKILL):
    """A run that something ends after some epochs."""
    process = start("train", *TINY, "--epochs", 500, "--out", folder, *args)
    for line in process.stderr:
        if f"epoch {epochs}/" in line:
            break
    process.send_signal(by)
    process.wait()
    process.stderr.close()
    return folder


def test_a_killed_run(tmp_path):
    folder = killed(tmp_path / "run", "--rule", "fa")
    assert not (folder / "summary.json").exists()
    text = shown(folder).out
    epochs = len((folder / "metrics.jsonl").read_text().splitlines())
    assert f"stopped after {epochs} of 500 epochs by an interrupt or a kill" in text
    assert f"; continue with: altprop resume {folder}, " in text
    assert text.startswith(f"{folder}: fa on glyphs, seed 1\n")
    assert "Largest angles to backprop" in text and "epochs = 500 (default 5)" in text
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 400, "test_accu')
    text = shown(folder).out
    assert f"after {epochs} of 500" in text and "1 damaged or cut line" in text


def test_a_running_run(tmp_path):
    process = start("train", *TINY, "--epochs", 500, "--out", tmp_path / "run")
    for line in process.stderr:
        if "epoch 2/" in line:
            break
    process.send_signal(signal.SIGSTOP)
    try:
        assert re.search(r"^running, after \d+ of 500 epochs", shown(tmp_path / "run").out, re.M)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert "\nrunning, " not in shown(tmp_path / "run").out


def test_a_run_that_went_on_after_its_summary(tmp_path):
    train(tmp_path / "run", "--epochs", 1)
    old = (tmp_path / "run" / "summary.json").read_text()
    altprop("resume", tmp_path / "run", "--epochs", 3, "--quiet")
    (tmp_path / "run" / "summary.json").write_text(old)
    assert "stopped after 3 of 3 epochs" in shown(tmp_path / "run").out


def test_a_diverged_run(tmp_path):
    altprop("train", *TINY, "--epochs", 3, "--lr", "1e10", "--quiet", "--out", tmp_path / "run", code=1)
    text = shown(tmp_path / "run").out
    assert re.search(r"^diverged after 0 of 3 epochs: training diverged at step", text, re.M)
    assert "no epoch has been recorded" in text


def test_titles_and_notes(tmp_path):
    train(tmp_path / "run", "--epochs", 1, "--title", "A <b>first</b> try", "--notes", "with \x1b[31m luck")
    text = shown(tmp_path / "run").out
    assert "title: A <b>first</b> try\n" in text and "notes: with \\x1b[31m luck\n" in text
    assert summary(tmp_path / "run")["title"] == "A <b>first</b> try"
    altprop("report", tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>first</b>" not in page and "\\u003cb\\u003efirst" in page


@pytest.mark.parametrize("files, said", [
    ({}, "cannot read"),
    ({"summary.json": "[1]"}, "not a JSON object"),
    ({"summary.json": '{"runs": [3]}'}, "not a list"),
    ({"summary.json": "{"}, "no JSON"),
])
def test_foreign_folders_get_one_sentence(tmp_path, files, said):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    refused = shown(tmp_path, code=1)
    assert_one_sentence(refused)
    assert said in refused.err


@pytest.mark.parametrize("name", ["summary.json", "metrics.jsonl", "config.toml"])
@pytest.mark.parametrize("text", [
    "", '{"epoch": "x", "scores": 3, "gradient": [1, {"name": 2}], "settings": []}\n', "\xff\x00\x1b"])
def test_damaged_records_do_not_end_it(run, tmp_path, name, text):
    folder = shutil.copytree(run[0], tmp_path / "run")
    (folder / name).write_bytes(text.encode("latin-1"))
    for flags in ([], ["--csv"], ["--json"]):
        done = altprop("show", folder, *flags, code=1 if name == "summary.json" and not text.startswith("{") else 0)
        if done.code:
            assert_one_sentence(done)
        assert "\x1b" not in done.out + done.err


def test_missing_files(run, tmp_path):
    for name in ("summary.json", "metrics.jsonl", "config.toml", "checkpoint.safetensors"):
        folder = shutil.copytree(run[0], tmp_path / name)
        (folder / name).unlink()
        assert shown(folder).out
    folder = shutil.copytree(run[0], tmp_path / "records")
    for name in ("summary.json", "config.toml"):
        (folder / name).unlink()
    assert re.search(r"^stopped after 2 epochs", shown(folder).out, re.M)


def test_classes(run, comparison, tmp_path):
    folder, _ = run
    table = summary(folder)["confusion"]
    predicted = altprop("predict", folder, "--json", "--state", "last").json["predictions"]
    counts = [[0] * 10 for _ in range(10)]
    for row in predicted:
        counts[row["target"]][row["prediction"]] += 1
    assert table["counts"] == counts and table["part"] == "test"
    text = shown(folder, "--classes").out
    names = table.get("names", [str(c) for c in range(10)])
    share = {names[c]: counts[c][c] / sum(counts[c]) for c in range(10)}
    rows = re.findall(r"^(\S+) +(\S+) +(\d+)  (\S.*)$", text.split("\n\n")[0], re.M)[1:]
    assert sorted(float(row[1]) for row in rows) == [float(row[1]) for row in rows]
    for name, accuracy, samples, taken in rows:
        c = names.index(name)
        assert float(accuracy) == pytest.approx(100 * share[name], abs=0.051) and int(samples) == sum(counts[c])
        wrong = max(n for other, n in enumerate(counts[c]) if other != c)
        assert taken == "-" if wrong == 0 else taken.endswith(f"({wrong})")
    assert shown(comparison[0], "--classes").out.count("most often taken for") == 6
    (tmp_path / "values").mkdir()
    (tmp_path / "values" / "summary.json").write_text('{"confusion": {"counts": [[1, 2]]}}')
    assert_one_sentence(shown(tmp_path / "values", "--classes", code=1))
