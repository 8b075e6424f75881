"""altprop compare and altprop report: runs side by side, their table and their page."""
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


def test_every_setting_of_training_has_an_effect(tmp_path):
    variants = ["backprop", "backprop[optimizer=sgd]", "backprop[optimizer=nesterov]",
                "backprop[optimizer=adam,lr=0.003]", "backprop[optimizer=adamw,lr=0.003,weight-decay=0.1]",
                "backprop[optimizer=rmsprop,lr=0.003]", "backprop[weight-decay=0.1]",
                "backprop[weight-decay=0.1,decay-all=false]", "backprop[clip-norm=0.5]", "backprop[clip-tensor-norm=0.2]",
                "backprop[clip-value=0.01]", "backprop[sign-gradient=true,lr=0.001]", "backprop[keep-signs=true]",
                "backprop[lr-of=fc1=0.1]", "backprop[schedule=cosine]", "backprop[schedule=step,milestones=1,gamma=0.5]",
                "backprop[warmup-steps=4]", "backprop[init=he]", "backprop[loss=squared-error]", "backprop[momentum=0.5]",
                "backprop[shuffle=false]", "backprop[batch=100]", "backprop[batch=100,drop-last=true]",
                "backprop[dtype=float64]", "backprop[crop=2]", "backprop[flip=true]"]
    s = altprop("compare", "--rules", ",".join(variants), *TINY, "--epochs", 2, "--probe-every", 0, "--quiet", "--json",
                "--out", tmp_path / "all").json
    losses = {r["label"]: r["test_loss"] for r in s["runs"]}
    assert list(losses) == variants
    same = [(a, b) for a in losses for b in losses if a < b and losses[a] == losses[b]]
    assert same == []
    assert all(r["status"] == "done" and r["test_accuracy"] > 0.08 for r in s["runs"])
    by = {r["label"]: r for r in s["runs"]}
    assert by["backprop[batch=100,drop-last=true]"]["steps"] == 10 and by["backprop[batch=100]"]["steps"] == 12
    weights = checkpoint(tmp_path / "all" / by["backprop[dtype=float64]"]["folder"] / "checkpoint.pt")["net.fc1.weight"]
    assert str(weights.dtype) == "torch.float64"
    rates = [r["learning_rate"] for r in records(tmp_path / "all" / by["backprop[schedule=step,milestones=1,gamma=0.5]"]["folder"])]
    assert rates == [0.01, 0.005]


def test_convolutions_with_augmentation(tmp_path):
    net = "chain: conv 4 k=5 s=2, batch-norm, relu, maxpool 2, dropout 0.1, linear *"
    altprop("train", "--net", net, *GLYPHS, "--threads", 1, "--crop", 2, "--flip", "--epochs", 2, "--crop-fill", "edge",
            "--quiet", "--out", tmp_path / "a")
    altprop("train", "--config", tmp_path / "a" / "config.toml", "--prefetch", 3, "--quiet", "--out", tmp_path / "b")
    assert records(tmp_path / "a") == records(tmp_path / "b")
    assert summary(tmp_path / "a")["settings"]["flip"] is True
