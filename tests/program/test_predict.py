"""Applying a trained network to files that came after training."""
import csv
import io
import json
import math

import numpy as np
import pytest
from program import altprop, assert_one_sentence, summary

QUICK = ["--quiet", "--threads", 1, "--epochs", 40, "--batch", 4, "--lr", 0.3]
# Two features on either side of a line; the kinds are far apart, so that a network that is given other columns, or
# values that are normalised otherwise, takes one for the other.
KINDS = {"siskin": (110, 2), "owl, barn": (340, 9), "Käuzchen": (220, 30)}


def birds(n, seed):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        kind = list(KINDS)[i % 3]
        wing, weight = rng.normal(KINDS[kind], (6, 0.4))
        rows.append({"ring": f"R{i:03}", "wing": round(wing, 3), "weight": round(weight, 3), "kind": kind})
    return rows


def table(path, rows, columns, header=True):
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerows([columns] * header + [[row[c] for c in columns] for row in rows])
    return path


def lines(result):
    return list(csv.DictReader(io.StringIO(result.out)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("predict")
    train = table(place / "train.csv", birds(60, 1), ["wing", "weight", "kind"])
    altprop("train", *QUICK, "--data", "csv", "--data.csv.train", train, "--net", "mlp:2-8-3:tanh", "--out", place / "run")
    return place / "run"


def predict(run, file, *flags, **how):
    return altprop("predict", run, "--input", file, *flags, **how)


def test_a_table_with_its_labels(run, tmp_path):
    rows = birds(30, 2)
    rows[4]["kind"] = "siskin"  # which it is not
    file = table(tmp_path / "new.csv", rows, ["wing", "weight", "kind"])
    result = predict(run, file)
    found = lines(result)
    assert list(found[0]) == ["id", "target", "prediction", "score", "y.Käuzchen", "y.owl, barn", "y.siskin"]
    assert [row["id"] for row in found] == [str(i) for i in range(30)]
    assert [row["target"] for row in found] == [row["kind"] for row in rows]
    assert [row["prediction"] for row in found] == [list(KINDS)[i % 3] for i in range(30)]
    for row in found:
        assert float(row["score"]) == max(float(row[f"y.{kind}"]) for kind in KINDS) == float(row[f"y.{row['prediction']}"])
        assert sum(float(row[f"y.{kind}"]) for kind in KINDS) == pytest.approx(1, abs=1e-5)
    assert f"30 predictions; loss " in result.err and result.err.endswith("accuracy 96.67 %\n")

    said = predict(run, file, "--json").json
    assert said["accuracy"] == pytest.approx(29 / 30) and said["class_names"] == sorted(KINDS)
    for row, of in zip(said["predictions"], found):
        assert said["class_names"][row["prediction"]] == row["prediction_name"] == of["prediction"]
        assert said["class_names"][row["target"]] == row["target_name"] == of["target"]
        assert row["score"] == row["output"][row["prediction"]] == float(of["score"])
    lost = -sum(math.log(row["output"][row["target"]]) for row in said["predictions"]) / 30
    assert said["loss"] == pytest.approx(lost, rel=1e-5)

    written = predict(run, file, "--out", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == result.out
    assert written.out.startswith(f"30 predictions in {tmp_path / 'out.csv'}; loss ") and "accuracy 96.67 %" in written.out


def test_the_same_samples_without_labels_and_in_other_columns(run, tmp_path):
    rows = birds(9, 3)
    expected = [row["output"] for row in predict(run, table(tmp_path / "a.csv", rows, ["wing", "weight", "kind"]), "--json")
                .json["predictions"]]
    for columns, flags, header in ((["wing", "weight"], [], True), (["weight", "wing"], [], True),
                                   (["wing", "weight"], [], False), (["weight", "ring", "wing"], ["--leave-out", "ring"], True),
                                   (["ring", "kind", "weight", "wing"], ["--id", "ring"], True)):
        result = predict(run, table(tmp_path / "b.csv", rows, columns, header), *flags, "--json").json
        assert [row["output"] for row in result["predictions"]] == expected, columns
        labelled = "kind" in columns
        assert all(("target" in row) == labelled for row in result["predictions"])
        assert (result["accuracy"] == 1) if labelled else (result["accuracy"] is None and "loss" not in result)
    result = predict(run, table(tmp_path / "c.csv", rows, ["ring", "weight", "wing"]), "--id", "ring")
    assert result.err == "" and [row["id"] for row in lines(result)] == [row["ring"] for row in rows]
    assert "target" not in lines(result)[0]
    one = predict(run, table(tmp_path / "d.csv", rows[:1], ["wing", "weight"]), "--json").json["predictions"]
    assert one[0]["output"] == pytest.approx(expected[0], abs=1e-6)


WRONG = {
    "a class never seen": ("wing,weight,kind\n1,2,siskin\n3,4,dodo\n", [], 1, ["line 3", "'dodo'", "training file does not have"]),
    "a column is missing": ("wing,kind\n1,siskin\n", [], 1, ["line 1", "no column 'weight'"]),
    "a column more": ("ring,wing,weight\nR1,1,2\n", [], 1, ["line 1", "'ring'", "leave-out"]),
    "a word for a number": ("wing,weight\n1,light\n", [], 1, ["line 2", "'light'", "column 1 ('weight')"]),
    "nothing in it": ("", [], 1, ["no samples"]),
    "a header alone": ("wing,weight\n", [], 1, ["no samples"]),
    "an array": ("\x93NUMPY", [], 1, ["new.csv"]),
    "too many fields": ("1,2,3,4,5\n", [], 1, ["5 fields", "3 columns"]),
    "a feature left out": ("wing,weight\n1,2\n", ["--leave-out", "wing"], 2, ["'leave-out'", "'wing'", "feature"]),
    "no such id": ("wing,weight\n1,2\n", ["--id", "ring"], 1, ["'ring'", "name the samples"]),
    "targets beside a table": ("wing,weight\n1,2\n", ["--targets", "y.npy"], 2, ["targets of a table", "'y.npy'"]),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_said_in_one_sentence(run, tmp_path, what):
    text, flags, code, parts = WRONG[what]
    (tmp_path / "new.csv").write_text(text, encoding="latin-1")
    for more in ([], ["--json"], ["--out", tmp_path / "out.csv"]):
        result = predict(run, tmp_path / "new.csv", *flags, *more, code=code)
        assert_one_sentence(result)
        assert all(part in result.err for part in parts), result
    assert not (tmp_path / "out.csv").exists()


def test_flags_that_contradict_each_other(run, tmp_path):
    file = table(tmp_path / "a.csv", birds(3, 4), ["wing", "weight"])
    for flags, parts in ((["--split", "train"], ["--input", "--split"]), (["--data", "glyphs"], ["--input", "--data"])):
        result = predict(run, file, *flags, code=2)
        assert_one_sentence(result)
        assert all(part in result.err for part in parts), result
    for flags in (["--id", "ring"], ["--leave-out", "ring"], ["--targets", file]):
        result = altprop("predict", run, *flags, code=2)
        assert_one_sentence(result)
        assert "--input" in result.err
    for flag in ("--input", "--data", "--data-dir", "--out"):
        result = altprop("predict", run, flag, "", code=2)
        assert_one_sentence(result)
        assert f"'{flag[2:]}'" in result.err and "empty" in result.err
    result = predict(run, tmp_path / "none.csv", code=1)
    assert_one_sentence(result)
    assert "none.csv" in result.err


def test_the_run_must_still_have_its_data(run, tmp_path):
    """Means, deviations and labels are those of the training data, which are not to have changed meanwhile."""
    file = table(tmp_path / "a.csv", birds(3, 5), ["wing", "weight"])
    train = run.parent / "train.csv"
    kept = train.read_text()
    try:
        train.write_text(kept.replace("siskin", "zebra"))
        predict(run, file)  # the same ids of classes, values and order: the same data under another name
        train.write_text(kept + "1,2,siskin\n")
        result = predict(run, file, code=1)
        assert_one_sentence(result)
        assert "not those that the run" in result.err
    finally:
        train.write_text(kept)


def test_regression(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (80, 2))
    rows = [{"a": float(a), "b": float(b), "y": float(3 * a - b)} for a, b in x.round(4)]
    train = table(tmp_path / "train.csv", rows, ["a", "b", "y"])
    altprop("train", *QUICK, "--data", "csv", "--data.csv.train", train, "--data.csv.task", "regression", "--lr", 0.05,
            "--loss", "squared-error", "--net", "mlp:2-1", "--out", tmp_path / "run")
    result = predict(tmp_path / "run", table(tmp_path / "new.csv", rows[:5], ["b", "y", "a"]))
    found = lines(result)
    assert list(found[0]) == ["id", "target0", "y0"] and "accuracy" not in result.err and "loss " in result.err
    for row, of in zip(found, rows):
        assert float(row["target0"]) == pytest.approx(of["y"], abs=1e-6) == pytest.approx(float(row["y0"]), abs=0.05)
    found = lines(predict(tmp_path / "run", table(tmp_path / "new.csv", rows[:5], ["b", "a"])))
    assert list(found[0]) == ["id", "y0"]


def test_arrays(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.normal(0, 0.3, (60, 4)).astype(np.float32)
    x[np.arange(60), y] += 4
    labels = np.array([5, 70, 900])
    np.save(tmp_path / "x.npy", x[:40])
    np.save(tmp_path / "y.npy", labels[y[:40]])
    altprop("train", *QUICK, "--data", "npy", "--data.npy.train-x", tmp_path / "x.npy", "--data.npy.train-y", tmp_path / "y.npy",
            "--net", "mlp:4-8-3:tanh", "--out", tmp_path / "run")
    np.save(tmp_path / "new.npy", x[40:])
    np.save(tmp_path / "new-y.npy", labels[y[40:]].astype(np.uint16))
    result = predict(tmp_path / "run", tmp_path / "new.npy")
    assert [int(row["prediction"]) for row in lines(result)] == labels[y[40:]].tolist() and result.err == ""
    result = predict(tmp_path / "run", tmp_path / "new.npy", "--targets", tmp_path / "new-y.npy")
    assert "accuracy 100.00 %" in result.err
    assert [int(row["target"]) for row in lines(result)] == labels[y[40:]].tolist()
    np.save(tmp_path / "wide.npy", x[:, :3])
    np.save(tmp_path / "other.npy", np.full(20, 6))
    for flags, parts in (([tmp_path / "wide.npy"], ["wide.npy", "[3]", "[4]"]),
                         ([tmp_path / "new.npy", "--targets", tmp_path / "other.npy"], ["other.npy", "label 6"]),
                         ([tmp_path / "new.npy", "--targets", tmp_path / "y.npy"], ["20 inputs", "40 targets"])):
        refused = predict(tmp_path / "run", *flags, code=1)
        assert_one_sentence(refused)
        assert all(part in refused.err for part in parts), refused
    refused = predict(tmp_path / "run", tmp_path / "new.npy", "--id", "name", code=2)
    assert_one_sentence(refused)


def test_images_of_a_run_without_files(tmp_path):
    altprop("train", "--quiet", "--threads", 1, "--epochs", 3, "--data.glyphs.train", 1000, "--data.glyphs.test", 64, "--net",
            "mlp:784-32-10:relu", "--out", tmp_path / "run")
    own = altprop("predict", tmp_path / "run", "--json").json
    assert own["class_names"][0] == own["predictions"][[row["target"] for row in own["predictions"]].index(0)]["target_name"]
    assert own["accuracy"] == summary(tmp_path / "run")["test_accuracy"]
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 28, 28), np.uint8))
    found = lines(predict(tmp_path / "run", tmp_path / "x.npy"))
    assert len(found) == 2 and found[0]["prediction"] in own["class_names"]
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 28, 28), np.float32))
    refused = predict(tmp_path / "run", tmp_path / "x.npy", code=1)
    assert_one_sentence(refused)
    assert "bytes (uint8)" in refused.err


def test_sequences_are_refused(tmp_path):
    (tmp_path / "text").write_text("to be or not to be, that is the question. " * 40)
    altprop("train", "--quiet", "--threads", 1, "--epochs", 1, "--data", "text", "--data.text.file", tmp_path / "text",
            "--data.text.length", 8, "--net", "rnn:*-4-*", "--out", tmp_path / "run")
    result = predict(tmp_path / "run", tmp_path / "text", code=2)
    assert_one_sentence(result)
    assert "sequences" in result.err and "--data" in result.err
