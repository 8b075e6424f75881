"""altprop list runs, and altprop diff: many runs, and two."""
import csv
import io
import json
import shutil

import pytest
from program import TINY, altprop, assert_one_sentence, summary, train
from test_show import killed


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Runs in all states, two of them in a comparison."""
    top = tmp_path_factory.mktemp("place")
    train(top / "a", "--epochs", 2, "--rule", "fa", "--title", "first")
    train(top / "deep" / "er" / "b", "--epochs", 1, "--seed", 3)
    altprop("train", *TINY, "--epochs", 3, "--lr", "1e10", "--quiet", "--out", top / "lost", code=1)
    killed(top / "cut")
    altprop("compare", "--rules", "bp,dfa", *TINY, "--epochs", 1, "--quiet", "--out", top / "both")
    (top / "other").mkdir()
    (top / "other" / "config.toml").write_text("name = 'somebody else'\n")
    (top / "link").symlink_to(top / "a")
    return top


def rows(place, *flags):
    return {row["folder"]: row for row in altprop("list", "runs", place, "--json", *flags).json}


def test_all_runs(place):
    found = rows(place)
    assert set(found) == {"a", "deep/er/b", "lost", "cut", "both/bp-seed1", "both/dfa-seed1"}
    states = {folder: row["state"] for folder, row in found.items()}
    assert states.pop("lost") == "diverged" and states.pop("cut") == "stopped" and set(states.values()) == {"finished"}
    a = found["a"]
    assert a["rule"] == "fa" and a["net"] == "mlp:784-16-10:relu" and a["data"] == "glyphs" and a["seed"] == 1
    assert a["epochs"] == a["epochs_asked"] == 2 and a["title"] == "first"
    records = [json.loads(line) for line in (place / "a" / "metrics.jsonl").read_text().splitlines()]
    assert a["accuracy"] == max(r["test_accuracy"] for r in records) and a["last"] == records[-1]["test_accuracy"]
    assert a["loss"] == min(r["test_loss"] for r in records)
    assert a["seconds"] == summary(place / "a")["train_seconds"]
    assert found["lost"]["accuracy"] is None
    text = altprop("list", "runs", place).out.splitlines()
    assert len(text) == 7 and text[0].split()[:6] == ["folder", "rule", "net", "data", "seed", "epochs"]
    assert any(line.startswith("a ") and " 2/2 " in line for line in text)
    table = list(csv.DictReader(io.StringIO(altprop("list", "runs", place, "--csv").out)))
    assert {row["folder"]: float(row["loss"]) for row in table if row["loss"]} == \
        {f: r["loss"] for f, r in found.items() if r["loss"] is not None}


def test_sorted(place):
    best_first = [r["accuracy"] for r in rows(place, "--sort", "accuracy").values()]
    assert best_first[-1] is None and best_first[:-1] == sorted(best_first[:-1], reverse=True)
    worst_first = [r["accuracy"] for r in rows(place, "--sort", "-accuracy").values()]
    assert worst_first[-1] is None and worst_first[:-1] == sorted(worst_first[:-1])
    losses = [r["loss"] for r in rows(place, "--sort", "loss").values()][:-1]
    assert losses == sorted(losses)
    assert list(rows(place, "--sort", "folder")) == sorted(rows(place))


@pytest.mark.parametrize("conditions, kept", [
    ("rule=fa", {"a"}),
    ("rule=feedback-alignment", {"a"}),
    ("rule=bp", {"deep/er/b", "lost", "cut", "both/bp-seed1"}),
    ("rule!=bp", {"a", "both/dfa-seed1"}),
    ("state=finished,seed>=3", {"deep/er/b"}),
    ("state!=finished", {"lost", "cut"}),
    ("folder~both/", {"both/bp-seed1", "both/dfa-seed1"}),
    ("accuracy>100%", set()),
    ("accuracy>=0,epochs<=1", {"deep/er/b", "both/bp-seed1", "both/dfa-seed1"}),
    ("net=mlp:784-16-10:relu,epochs=2,rule=fa", {"a"}),
])
def test_filtered(place, conditions, kept):
    assert set(rows(place, "--filter", conditions)) == kept


@pytest.mark.parametrize("flags, said", [
    (["--filter", "accuracy"], "no condition"),
    (["--filter", "acuracy>0.9"], "did you mean 'accuracy'"),
    (["--filter", "accuracy>high"], "no number"),
    (["--filter", "rule>fa"], "is a text"),
    (["--filter", "rule="], "no condition"),
    (["--sort", "speed"], "the column 'speed'"),
])
def test_what_cannot_be_asked(place, flags, said):
    refused = altprop("list", "runs", place, *flags, code=2)
    assert_one_sentence(refused)
    assert said in refused.err


def test_where_there_are_none(tmp_path):
    assert altprop("list", "runs", tmp_path).out == "no runs\n"
    assert altprop("list", "runs", tmp_path, "--json").json == []
    assert_one_sentence(altprop("list", "runs", tmp_path / "missing", code=1))
    assert_one_sentence(altprop("list", "runs", code=2))
    assert_one_sentence(altprop("list", "rules", "--sort", "name", code=2))


def test_damaged_runs_are_noted(place, tmp_path):
    top = shutil.copytree(place, tmp_path / "place", symlinks=True)
    (top / "a" / "summary.json").write_text("{")
    (top / "lost" / "summary.json").write_text('{"rule": 3, "settings": [], "epochs": "many", "net": {}}')
    result = altprop("list", "runs", top, "--json")
    assert {row["folder"] for row in result.json} == set(rows(place)) - {"a"}
    assert "note: " in result.err and "summary.json" in result.err
    altprop("list", "runs", top, "--sort", "accuracy")


# ---- diff


def test_identical_runs(tmp_path):
    for name in ("a", "b"):
        train(tmp_path / name, "--epochs", 2)
    text = altprop("diff", tmp_path / "a", tmp_path / "b").out
    assert "settings: identical\n" in text and "records: identical, but for clocks and names\n" in text


def test_runs_that_differ(tmp_path):
    train(tmp_path / "a", "--epochs", 2)
    train(tmp_path / "b", "--epochs", 2, "--lr", "0.02")
    text = altprop("diff", tmp_path / "a", tmp_path / "b").out
    assert "identical" not in text and "records differ:\n  epoch 1: " in text
    settings = text.split("\n\n")[0].splitlines()
    assert [line.split() for line in settings[1:]] == [["lr", "0.01", "0.02"]]
    a, b = summary(tmp_path / "a"), summary(tmp_path / "b")
    line = next(line for line in text.splitlines() if line.startswith("test accuracy %, last"))
    assert line.split()[-2:] == [f"{100 * s['test_accuracy']:.2f}" for s in (a, b)]


def test_a_run_that_went_further(tmp_path):
    train(tmp_path / "a", "--epochs", 1)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    altprop("resume", tmp_path / "b", "--epochs", 2, "--quiet")
    text = altprop("diff", tmp_path / "a", tmp_path / "b").out
    assert "one has 1 epochs, the other 2; the records of the first 1 are the same" in text


def test_comparisons(comparison, tmp_path):
    folder, _ = comparison
    text = altprop("diff", folder, folder).out
    assert "settings: identical" in text and "records: identical" in text
    altprop("compare", "--rules", "backprop,pfa", "--seeds", "1", *TINY, "--epochs", 1, "--quiet",
            "--out", tmp_path / "c")
    text = altprop("diff", folder, tmp_path / "c").out
    assert f"pfa seed 1: only in {tmp_path / 'c'}" in text and f"dfa seed 2: only in {folder}" in text
    assert "backprop seed 1: epoch" not in text
    refused = altprop("diff", folder, folder / "dfa-seed1", code=2)
    assert_one_sentence(refused)
    assert "is a comparison" in refused.err
