"""`altprop robustness`: trained networks on corrupted images."""
import json
import re

import pytest
from program import altprop, assert_one_sentence, summary

QUICK = ["--quiet", "--threads", 1, "--net", "mlp:*-30-*", "--data.train", 500, "--data.test", 200]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("robustness")
    altprop("train", *QUICK, "--epochs", 2, "--out", place / "one")
    altprop("compare", *QUICK, "--epochs", 1, "--rules", "backprop,fa", "--seeds", "1,2", "--out", place / "both")
    return place


def test_the_documentation_lists_the_corruptions():
    listed = dict(re.findall(r"^(\S+) +(.*)$", altprop("robustness", "--list-corruptions").out, re.M))
    page = open("docs/robustness.md", encoding="utf-8").read()
    assert dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", page, re.M)) == listed


def test_images_as_they_are_give_the_runs_own_figures(runs):
    found = altprop("robustness", runs / "one", "--json").json
    [run] = found["runs"]
    assert run["accuracy"]["identity"] == pytest.approx(summary(runs / "one")["test_accuracy"], abs=1e-12)
    assert run["loss"]["identity"] == pytest.approx(summary(runs / "one")["test_loss"], rel=1e-6)
    names = [one["name"] for one in found["corruptions"]]
    assert names[0] == "identity" and set(run["accuracy"]) == set(names) and len(names) > 10
    assert run["accuracy"]["translate"] < run["accuracy"]["identity"] - 0.1
    assert altprop("robustness", runs / "one", "--json").out == altprop("robustness", runs / "one", "--json").out


def test_a_comparison_is_a_table_of_its_rules(runs):
    asked = "rotate,shot-noise"
    table = altprop("robustness", runs / "both", "--corruptions", asked).out.splitlines()
    assert table[0].split() == ["accuracy", "%", "backprop", "fa"]
    assert [line.split("  ")[0] for line in table[1:]] == ["identity", "rotate", "shot-noise", "mean of corrupted"]
    assert all(line.count(" +- ") == 2 for line in table[1:])
    each = altprop("robustness", runs / "both", "--corruptions", asked, "--json").json["runs"]
    assert [(run["label"], run["seed"]) for run in each] == [("backprop", 1), ("fa", 1), ("backprop", 2), ("fa", 2)]
    mean = sum(run["accuracy"]["rotate"] for run in each if run["label"] == "fa") / 2
    assert table[2].split("  ")[-1].strip().startswith(f"{100 * mean:.2f} +- ")
    assert json.dumps(each) != json.dumps(
        altprop("robustness", runs / "both", "--corruptions", asked, "--seed", 2, "--json").json["runs"])


def test_a_comparison_goes_on_without_its_diverged_runs(tmp_path):
    both = tmp_path / "both"
    altprop("compare", *QUICK, "--epochs", 1, "--rules", "backprop,backprop[lr=1e30]", "--out", both)
    result = altprop("robustness", both, "--corruptions", "rotate")
    assert result.out.splitlines()[0].split() == ["accuracy", "%", "backprop"]
    assert "without" in result.out.splitlines()[-1] and "diverged" in result.out.splitlines()[-1]
    found = altprop("robustness", both, "--corruptions", "rotate", "--json").json
    assert len(found["runs"]) == 1 and len(found["left_out"]) == 1


def test_errors_are_sentences(runs, tmp_path):
    for arguments, code, words in [
        ([], 2, "name the folder of a run"),
        ([runs / "one", "--corruptions", "rotated"], 2, "did you mean 'rotate'"),
        ([runs / "one", "--corruptions", "rotate,rotate"], 2, "named twice"),
        ([tmp_path], 2, "config.toml"),
    ]:
        result = altprop("robustness", *arguments, code=code)
        assert_one_sentence(result)
        assert words in result.err
    table = tmp_path / "birds.csv"
    table.write_text("".join(f"{i % 7},{i % 3},{'ab'[i % 2]}\n" for i in range(60)))
    altprop("train", "--quiet", "--epochs", 1, "--net", "mlp:*-4-*", "--data", "csv", "--data.csv.train", table,
            "--data.csv.test", table, "--out", tmp_path / "birds")
    result = altprop("robustness", tmp_path / "birds", code=2)
    assert_one_sentence(result)
    assert "no channels, rows and columns" in result.err
