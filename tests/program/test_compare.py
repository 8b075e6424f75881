"""altprop compare and altprop report: runs side by side, their table and their page."""
import math
from html.parser import HTMLParser

import pytest
from program import GLYPHS, SUMMARY, TINY, altprop, assert_same_run, checkpoint, records, summary, train


def test_compare_writes_all_runs(comparison):
    folder, result = comparison
    s = result.json
    assert s == summary(folder)
    assert [(r["label"], r["seed"]) for r in s["runs"]] == [
        (label, seed) for seed in (1, 2) for label in ("backprop", "fa[lr=0.02,feedback.scale=2]", "dfa")]
    for r in s["runs"]:
        assert set(SUMMARY) <= set(r) and r["status"] == "done"
        alone = summary(folder / r["folder"])
        assert alone["test_loss"] == r["test_loss"]
        assert len(records(folder / r["folder"])) == 1
    overridden = s["runs"][1]
    assert overridden["learning_rate"] == 0.02 and overridden["rule_options"] == {"feedback.scale": "2"}
    assert s["runs"][0]["learning_rate"] == 0.01
    assert s["runs"][0]["time_relative_to_backprop"] > 0
    assert [row["label"] for row in s["table"]] == ["backprop", "fa[lr=0.02,feedback.scale=2]", "dfa"]
    accuracies = [r["test_accuracy"] for r in s["runs"] if r["label"] == "dfa"]
    assert s["table"][2]["test_accuracy"]["n"] == 2
    assert s["table"][2]["test_accuracy"]["mean"] == pytest.approx(sum(accuracies) / 2)


def test_compare_runs_equal_single_runs(comparison, tmp_path):
    folder, _ = comparison
    train(tmp_path / "run", "--epochs", 1, "--rule", "dfa", "--seed", 2)
    assert_same_run(folder / "dfa-seed2", tmp_path / "run")


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href")]


def test_compare_writes_a_page_that_needs_nothing_else(comparison):
    folder, _ = comparison
    page = Page((folder / "report.html").read_text())
    assert {"html", "style", "script"} <= set(page.tags)
    assert not [a for a in page.addresses if a.startswith(("http", "/"))]


def test_report_again(comparison, run):
    folder, _ = comparison
    before = (folder / "report.html").read_text()
    result = altprop("report", folder)
    assert result.out.strip() == str(folder / "report.html")
    assert (folder / "report.html").read_text() == before
    altprop("report", run[0])
    assert "html" in Page((run[0] / "report.html").read_text()).tags
    (run[0] / "report.html").unlink()


def test_compare_prints_a_table(comparison):
    folder, _ = comparison
    result = altprop("resume", folder, "--quiet")  # all runs are done: nothing is trained again
    lines = result.out.splitlines()
    assert lines[0].split()[:2] == ["rule", "accuracy"]
    assert [line.split()[0] for line in lines[1:4]] == ["backprop", "fa[lr=0.02,feedback.scale=2]", "dfa"]
    assert lines[4] == f"report in {folder}/report.html"


# ---- settings that change the numbers, many per process: each is a run of a comparison


# What the settings make of three epochs on 2,050 samples, seed 3. Chance is 0.1. The losses differ by less than 1e-7
# between instruction sets; accuracies over five seeds: slow ones 0.35 to 0.68 (spread 0.03 to 0.07), others 0.60 to
# 0.75 (0.01 to 0.03).
SLOWER = ["backprop[optimizer=sgd]", "backprop[clip-norm=0.5]", "backprop[clip-tensor-norm=0.2]",
          "backprop[clip-value=0.01]", "backprop[lr-of=fc1=0.1]", "backprop[schedule=cosine]", "backprop[momentum=0.5]"]
SETTINGS = ["backprop", *SLOWER, "backprop[optimizer=nesterov]", "backprop[optimizer=adam,lr=0.003]",
            "backprop[optimizer=adamw,lr=0.003,weight-decay=0.1]", "backprop[optimizer=rmsprop,lr=0.003]",
            "backprop[weight-decay=0.1]", "backprop[weight-decay=0.1,decay-all=false]",
            "backprop[sign-gradient=true,lr=0.001]", "backprop[keep-signs=true]",
            "backprop[schedule=step,milestones=1,gamma=0.5]", "backprop[warmup-steps=4]", "backprop[init=he]",
            "backprop[shuffle=false]", "backprop[batch=100]", "backprop[batch=100,drop-last=true]", "backprop[crop=2]",
            "backprop[flip=true]", "backprop[dtype=float64]", "backprop[loss=squared-error,lr=0.1]"]


def test_every_setting_of_training_has_an_effect(tmp_path):
    data = ["--data.glyphs.train", 2050, "--data.glyphs.test", 1000]
    s = altprop("compare", "--rules", ",".join(SETTINGS), *TINY, *data, "--epochs", 3, "--seeds", 3, "--probe-every", 0,
                "--quiet", "--json", "--out", tmp_path / "all").json
    by = {r["label"]: r for r in s["runs"]}
    assert list(by) == SETTINGS and all(r["status"] == "done" for r in s["runs"])

    # In so few steps the squared error falls from 0.5, that of no answer, to the 0.45 of the mean answer.
    squared = by.pop("backprop[loss=squared-error,lr=0.1]")
    assert 0.44 < squared["test_loss"] < 0.48

    # All others learn: three spreads and more below what they reach, and far above chance.
    slow = {label: r["test_accuracy"] for label, r in by.items() if label in SLOWER}
    others = {label: r["test_accuracy"] for label, r in by.items() if label not in SLOWER}
    assert min(slow.values()) > 0.22, slow
    assert min(others.values()) > 0.45, others

    # Each has an effect, and one that is far larger than rounding; the type of the numbers has none but that.
    loss = {label: r["test_loss"] for label, r in by.items()}
    effect = {label: loss[label] - loss["backprop"] for label in by if label != "backprop"}
    assert 0 < abs(effect.pop("backprop[dtype=float64]")) < 1e-5  # 1e-8
    assert min(abs(e) for e in effect.values()) > 2e-3, effect
    ordered = sorted(effect.values())
    assert min(b - a for a, b in zip(ordered, ordered[1:])) > 1e-5, effect
    # Smaller steps learn less in the same time: by 0.14 to 1.07 in five seeds.
    assert min(effect[label] for label in SLOWER) > 0.05, effect

    steps = {label: r["steps"] for label, r in by.items()}
    assert steps["backprop[batch=100,drop-last=true]"] == 60 and steps["backprop[batch=100]"] == 63
    weights = checkpoint(tmp_path / "all" / by["backprop[dtype=float64]"]["folder"] / "checkpoint.safetensors")["net.fc1.weight"]
    assert str(weights.dtype) == "torch.float64"

    def rates(label):
        return [r["learning_rate"] for r in records(tmp_path / "all" / by[label]["folder"])]

    assert rates("backprop[schedule=step,milestones=1,gamma=0.5]") == [0.01, 0.005, 0.005]
    assert rates("backprop[schedule=cosine]") == pytest.approx(  # of the last of an epoch's 33 steps
        [0.005 * (1 + math.cos(math.pi * (epoch + 32 / 33) / 3)) for epoch in range(3)])


def test_convolutions_with_augmentation(tmp_path):
    net = "chain: conv 4 k=5 s=2, batch-norm, relu, maxpool 2, dropout 0.1, linear *"
    altprop("train", "--net", net, *GLYPHS, "--threads", 1, "--crop", 2, "--flip", "--epochs", 2, "--crop-fill", "edge",
            "--quiet", "--out", tmp_path / "a")
    altprop("train", "--config", tmp_path / "a" / "config.toml", "--prefetch", 3, "--quiet", "--out", tmp_path / "b")
    assert records(tmp_path / "a") == records(tmp_path / "b")
    assert summary(tmp_path / "a")["settings"]["flip"] is True


def test_costs_are_compared_with_backprop_of_the_same_work(tmp_path):
    """A network of its own, or a batch, makes times and bytes of two rules no ratio."""
    found = altprop("compare", "--rules", "fa,bp[net=mlp:784-4-10:relu],fa[net=mlp:784-4-10:relu],fa[batch=10]", *TINY,
                    "--epochs", 1, "--quiet", "--json", "--out", tmp_path / "all").json
    by = {run["label"]: run for run in found["runs"]}
    fields = ["time_relative_to_backprop", "memory_relative_to_backprop", "flops_relative_to_backprop"]
    for alone in ("fa", "fa[batch=10]"):
        assert [by[alone][field] for field in fields] == [None] * 3
    assert by["bp[net=mlp:784-4-10:relu]"]["memory_relative_to_backprop"] == 1
    assert all(by["fa[net=mlp:784-4-10:relu]"][field] for field in fields[1:])


def test_quiet_runs_keep_their_warnings(tmp_path):
    result = altprop("train", *TINY, "--epochs", 1, "--lr", 0, "--quiet", "--out", tmp_path / "a")
    assert [line for line in result.err.splitlines() if line] == [
        "backprop: warning: lr is 0, so that weights stay as they are"]
