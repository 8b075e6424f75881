"""Directions from the command line: flags, brackets, configuration files, records, resuming, listings."""
import pytest
from program import TINY, altprop, assert_same_run, train

RLS = ["--direction", "recursive-least-squares", "--optimizer", "sgd", "--lr", 0.5]


def test_a_run_keeps_its_direction(tmp_path):
    s = train(tmp_path / "a", *RLS, "--direction.rls.lambda", 0.999, "--direction.k=0.5", "--epochs", 1)
    assert s["settings"]["direction"] == "recursive-least-squares"
    assert s["settings"]["direction-options"] == {"rls.lambda": "0.999", "k": "0.5"}
    config = (tmp_path / "a" / "config.toml").read_text()
    assert 'direction = "recursive-least-squares"' in config and "[direction-options]" in config
    config_file = tmp_path / "a" / "config.toml"
    again = altprop("train", "--config", config_file, "--quiet", "--json", "--out", tmp_path / "b").json
    assert again["test_loss"] == s["test_loss"]
    plain = train(tmp_path / "c", "--optimizer", "sgd", "--lr", 0.5, "--epochs", 1)
    assert plain["test_loss"] != s["test_loss"]
    assert plain["settings"]["direction"] == "accumulate" and not plain["settings"]["direction-options"]


def test_a_resumed_run_goes_on_with_its_matrices(tmp_path):
    long = ["--epochs", 2, "--direction.rls.lambda", 0.99]
    train(tmp_path / "whole", *RLS, *long)
    train(tmp_path / "part", *RLS, "--epochs", 1, "--direction.rls.lambda", 0.99)
    altprop("resume", tmp_path / "part", "--epochs", 2, "--quiet")
    assert_same_run(tmp_path / "part", tmp_path / "whole")


def test_compare_takes_it_for_all_and_for_one(tmp_path):
    rules = "backprop,fa[direction=recursive-least-squares,rls.k=0.5,optimizer=sgd,lr=0.5]"
    short = ["--epochs", 1, "--quiet", "--json"]
    runs = altprop("compare", *TINY, "--rules", rules, *short, "--out", tmp_path / "a").json["runs"]
    assert [run["settings"]["direction"] for run in runs] == ["accumulate", "recursive-least-squares"]
    assert runs[1]["settings"]["direction-options"] == {"rls.k": "0.5"} and runs[1]["rule_options"] == {}
    runs = altprop("compare", *TINY, "--rules", "backprop,fa", *RLS, "--direction.rls.k", 0.25, *short,
                   "--out", tmp_path / "b").json["runs"]
    assert [run["settings"]["direction-options"] for run in runs] == [{"rls.k": "0.25"}] * 2


@pytest.mark.parametrize("flags, words", [
    (["--direction", "recursive-least-square"], ["direction", "recursive-least-squares"]),
    (["--direction.rls.k", 0.5], ["accumulate", "rls.k"]),
    ([*RLS, "--direction.rls.kk", 0.5], ["rls.kk", "rls.k"]),
    ([*RLS, "--direction.rls.lambda", 0], ["rls.lambda", "0"]),
    ([*RLS, "--net", "chain: conv 4 k=3, conv 4 k=3 groups=2, relu, linear *"], ["'conv2'", "rls.rest=plain"]),
    ([*RLS, "--direction.rls.max-inputs", 100], ["fc1.weight", "785", "rls.max-inputs"]),
])
def test_what_does_not_go_is_said(tmp_path, flags, words):
    err = altprop("train", *TINY, "--quiet", "--out", tmp_path / "a", *flags, code=2).err
    assert len(err.strip().splitlines()) == 1
    for word in words:
        assert word in err


def test_the_listing_has_directions_with_their_options():
    rows = altprop("list", "directions", "--json").json
    by_name = {row["name"]: row for row in rows}
    assert set(by_name) >= {"accumulate", "recursive-least-squares"}
    squares = by_name["recursive-least-squares"]
    assert by_name["accumulate"]["options"] == []
    assert {o["name"] for o in squares["options"]} >= {"rls.lambda", "rls.k", "rls.p0"}
    assert "2109.03220" in squares["source"]
    assert "rls.lambda" in altprop("list", "directions").out
