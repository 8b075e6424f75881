"""A run is one run: what it depends on is kept with it, and what was changed or exchanged is refused before anything is
touched."""
import json
import re
import shutil

import numpy as np
import pytest
from program import altprop, assert_one_sentence, assert_same_run, records, summary, texts

CSV = ["--data", "csv", "--data.csv.train", "train.csv", "--data.csv.test", "test.csv", "--net", "mlp:*-6-3:relu", "--threads", 1,
       "--quiet", "--batch", 16, "--seed", 3]


def table(path, samples, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(samples, 4)).round(4)
    y = x[:, :3].argmax(1)
    path.write_text("".join(",".join(map(str, [*row, label])) + "\n" for row, label in zip(x, y)))


@pytest.fixture()
def place(tmp_path):
    table(tmp_path / "train.csv", 200, 1)
    table(tmp_path / "test.csv", 60, 2)
    altprop("train", *CSV, "--epochs", 2, "--out", "run", cwd=tmp_path)
    return tmp_path


def snapshot(folder):
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def refused(command, run, words, code=1, **where):
    kept = snapshot(run)
    result = altprop(*command, code=code, **where)
    assert_one_sentence(result)
    for word in words:
        assert word in result.err, result
    assert snapshot(run) == kept
    return result


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_id_stands_everywhere_and_is_new_each_time(place):
    run = place / "run"
    id = re.search(r'\[run\]\n(?:.*\n)*?"?id"? = "([0-9a-f]{16})"', (run / "config.toml").read_text())[1]
    assert summary(run)["run"] == id == texts(run / "checkpoint.safetensors")["altprop_run"]["id"]
    assert {json.loads(line)["run"] for line in (run / "metrics.jsonl").read_text().splitlines()} == {id}
    altprop("train", "--config", "run/config.toml", "--quiet", "--out", "again", cwd=place)
    assert_same_run(run, place / "again")
    assert summary(place / "again")["run"] != id
    altprop("resume", run, "--epochs", 3, "--quiet")
    assert summary(run)["run"] == id


@pytest.mark.parametrize("how", ["rows cut", "label flipped", "value changed", "test changed", "order"])
def test_other_data_are_refused(place, how):
    data = place / ("test.csv" if how == "test changed" else "train.csv")
    rows = data.read_text().splitlines()
    if how == "rows cut":
        rows = rows[:-5]
    elif how == "label flipped":
        rows[7] = rows[7][:-1] + str((int(rows[7][-1]) + 1) % 3)
    elif how == "order":
        rows[0], rows[1] = rows[1], rows[0]
    else:
        rows[7] = "9" + rows[7].lstrip("-")
    data.write_text("\n".join(rows) + "\n")
    for command in (["resume", "run", "--epochs", 3], ["predict", "run"], ["export", "run"]):
        refused(command, place / "run", ["data", "begun"], cwd=place)
    # Asked for by name they are other data, and that is what is wanted.
    altprop("predict", "run", "--data", "csv", code=2, cwd=place)


@pytest.mark.parametrize("old, new", [(":relu", ":tanh"), ("seed = 3", "seed = 4"), ("batch = 16", "batch = 32"),
                                      ('loss = "cross-entropy"', 'loss = "squared-error"'), ("shuffle = true", "shuffle = false"),
                                      ('optimizer = "momentum"', 'optimizer = "adam"'), ('rule = "backprop"', 'rule = "dfa"'),
                                      ('dtype = "float32"', 'dtype = "float64"')])
def test_edited_settings_are_refused(place, old, new):
    change(place / "run" / "config.toml", old, new)
    refused(["resume", "run", "--epochs", 3], place / "run", ["begun", "config.toml"], cwd=place)
    refused(["predict", "run"], place / "run", ["begun", "config.toml"], cwd=place)


def test_what_may_be_edited(place):
    config = place / "run" / "config.toml"
    for old, new in [("epochs = 2", "epochs = 4"), ("checkpoint-steps = 0", "checkpoint-steps = 3"), ("probe-every = 1", "probe-every = 2"),
                     ("probe-batch = 256", "probe-batch = 32"), ("prefetch = 0", "prefetch = 1")]:
        change(config, old, new)
    s = altprop("resume", "run", "--quiet", "--json", cwd=place).json
    assert s["epochs"] == 4 and not any("goes on with" in w for w in s["warnings"])
    change(config, "epochs = 4", "epochs = 5")
    config.write_text(re.sub(r"^lr = .*$", "lr = 0.001", config.read_text(), flags=re.M))
    s = altprop("resume", "run", "--quiet", "--json", cwd=place).json
    assert any("goes on with lr = 0.001" in w for w in s["warnings"])
    assert records(place / "run")[-1]["learning_rate"] == 0.001


def test_a_checkpoint_of_another_run_is_refused(place):
    altprop("train", *CSV, "--epochs", 1, "--out", "other", cwd=place)
    for name in ("run", "other"):
        shutil.copytree(place / name, place / f"{name}-kept")
    shutil.copy(place / "other" / "checkpoint.safetensors", place / "run" / "checkpoint.safetensors")
    for command in (["resume", "run", "--epochs", 3], ["predict", "run"], ["export", "run"]):
        refused(command, place / "run", ["checkpoint.safetensors", summary(place / "other")["run"], summary(place / "run")["run"]],
                cwd=place)
    # Neither do records of another run go with a checkpoint.
    shutil.copy(place / "run-kept" / "checkpoint.safetensors", place / "run" / "checkpoint.safetensors")
    shutil.copy(place / "other" / "metrics.jsonl", place / "run" / "metrics.jsonl")
    refused(["resume", "run", "--epochs", 3], place / "run", ["metrics.jsonl"], cwd=place)
    shutil.copy(place / "run-kept" / "metrics.jsonl", place / "run" / "metrics.jsonl")
    (place / "run" / "checkpoint.safetensors").unlink()
    refused(["resume", "run", "--epochs", 3], place / "run", ["checkpoint.safetensors", "records"], cwd=place)


def test_the_best_checkpoint_is_compared_too(place):
    for name in ("one", "two"):
        altprop("train", *CSV, "--validation", 40, "--epochs", 1, "--out", name, cwd=place)
    shutil.copy(place / "two" / "best.safetensors", place / "one" / "best.safetensors")
    refused(["predict", "one"], place / "one", ["best.safetensors"], cwd=place)
    refused(["export", "one"], place / "one", ["best.safetensors"], cwd=place)
    altprop("predict", "one", "--state", "last", cwd=place)


def test_a_run_goes_on_from_anywhere(place, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    altprop("resume", place / "run", "--epochs", 3, "--quiet", cwd=elsewhere)
    altprop("train", *CSV, "--epochs", 3, "--out", "whole", cwd=place)
    assert_same_run(place / "run", place / "whole")
    # The data have moved, with the folder in which the command is given.
    for part in ("train", "test"):
        shutil.move(place / f"{part}.csv", elsewhere / f"{part}.csv")
    altprop("resume", place / "run", "--epochs", 4, "--quiet", cwd=elsewhere)
    for part in ("train", "test"):
        (elsewhere / f"{part}.csv").unlink()
    # Nowhere: both places are named.
    refused(["resume", place / "run", "--epochs", 5], place / "run", [str(elsewhere / "train.csv"), "'train.csv'"], cwd="/")


def test_the_network_of_a_file_is_kept(place):
    (place / "net.txt").write_text("# mine\nmlp:*-6-3:relu\n")
    altprop("train", *CSV, "--net", "@net.txt", "--epochs", 1, "--out", "filed", cwd=place)
    assert summary(place / "filed")["net"] == "mlp:*-6-3:relu" and "@" not in (place / "filed" / "config.toml").read_text()
    (place / "net.txt").write_text("mlp:*-6-3:tanh")
    altprop("resume", "filed", "--epochs", 2, "--quiet", cwd=place)
    (place / "net.txt").unlink()
    altprop("predict", "filed", cwd=place)
    assert_same_run(place / "filed", place / "run")
    (place / "net.txt").write_text("mlp:*-6-3:relu")
    altprop("compare", *CSV[:-2], "--rules", "bp,fa", "--net", "@net.txt", "--epochs", 1, "--out", "both", cwd=place)
    assert "@" not in (place / "both" / "config.toml").read_text()


def test_a_comparison_keeps_its_data(place):
    altprop("compare", *CSV[:-2], "--rules", "bp,fa", "--epochs", 1, "--out", "both", cwd=place)
    shutil.rmtree(place / "both" / "fa-seed1")
    altprop("resume", place / "both", "--quiet", cwd="/")
    assert len(summary(place / "both")["runs"]) == 2
    shutil.rmtree(place / "both" / "fa-seed1")
    rows = (place / "train.csv").read_text().splitlines()
    (place / "train.csv").write_text("\n".join(rows[:-1]) + "\n")
    refused(["resume", "both"], place / "both", ["data", "begun"], cwd=place)


def test_weights_of_another_network_are_said(place):
    said = altprop("train", *CSV, "--net", "mlp:*-6-3:tanh", "--epochs", 1, "--init-from", "run/checkpoint.safetensors", "--json",
                   "--out", "tanh", cwd=place).json["warnings"]
    assert any("mlp:*-6-3:relu" in w and "mlp:*-6-3:tanh" in w for w in said)
    altprop("export", "run", "--out", "w.safetensors", cwd=place)
    said = altprop("train", *CSV, "--net", "mlp:*-6-3:tanh", "--epochs", 1, "--init-from", "w.safetensors", "--json", "--out",
                   "again", cwd=place).json["warnings"]
    assert any("mlp:*-6-3:relu" in w for w in said)
    said = altprop("train", *CSV, "--epochs", 1, "--init-from", "w.safetensors", "--json", "--out", "same", cwd=place).json["warnings"]
    assert not any("of the network" in w for w in said)
