"""Recurrent networks on texts and names: training, comparing, checking, predicting and resuming."""
import math
import random
import re
import signal

import pytest
from program import altprop, assert_same_run, records, start, summary
from test_resume import stop

WORDS = "the cat sat on the mat and the dog ran to the hat of a man ".split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a text of 6,000 characters and names of two languages, which endings tell apart."""
    folder, draw = tmp_path_factory.mktemp("sequences"), random.Random(1)
    text = ""
    while len(text) < 6000:
        text += draw.choice(WORDS) + " "
    (folder / "words.txt").write_text(text[:6000])
    (folder / "names").mkdir()
    syllables = ["ba", "ko", "ri", "su", "me", "l\u00e0"]
    for language, ending in (("East", "ko"), ("West", "ber")):
        names = {"".join(draw.choices(syllables, k=draw.randint(1, 4))) + ending for _ in range(150)}
        (folder / "names" / f"{language}.txt").write_text("\n".join(sorted(names)) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def text(data):
    return ["--data", "text", "--data-dir", data, "--data.text.file", "words.txt", "--data.text.length", 12,
            "--net", "lstm:*-16-*", "--optimizer", "adam", "--lr", 0.02, "--batch", 16, "--threads", 1]


@pytest.fixture(scope="module")
def names(data):
    return ["--data", "names", "--data-dir", data, "--net", "rnn:*-16-*", "--optimizer", "adam", "--lr", 0.01,
            "--batch", 16, "--threads", 1]


@pytest.fixture(scope="module")
def run(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("language") / "run"
    return folder, altprop("train", *text, "--epochs", 3, "--out", folder)


def test_a_language_model_learns_and_counts_bits(run):
    folder, result = run
    s, last = summary(folder), records(folder)[-1]
    for part in ("train", "validation", "test"):
        assert last[f"{part}_bits_per_character"] == pytest.approx(last[f"{part}_loss"] / math.log(2), rel=1e-9)
    assert s["test_bits_per_character"] < 2.6 < records(folder)[0]["train_bits_per_character"]
    assert 0.4 < s["test_accuracy"] < 1 and last["train_accuracy"] == pytest.approx(s["test_accuracy"], abs=0.15)
    assert "test bits per character" in result.err


def test_predict_writes_a_line_per_step(run):
    folder, _ = run
    found = altprop("predict", folder, "--json").json
    rows, width = found["predictions"], 12
    assert len(rows) % width == 0 and [r["step"] for r in rows[:width + 1]] == [*range(1, width + 1), 1]
    assert [r["target"] for r in rows[:width - 1]] != [r["target"] for r in rows[width:2 * width - 1]]
    right = sum(r["prediction"] == r["target"] for r in rows) / len(rows)
    assert right == pytest.approx(found["accuracy"]) == pytest.approx(summary(folder)["test_accuracy"])
    lost = sum(-math.log(r["output"][r["target"]]) for r in rows) / len(rows)
    assert lost == pytest.approx(found["loss"], rel=1e-5)
    assert altprop("predict", folder).out.startswith("id,step,target,prediction,score,\"y. \"")  # the first character


def test_names_of_different_length_are_told_apart(names, tmp_path):
    altprop("train", *names, "--epochs", 6, "--out", tmp_path / "run", "--quiet")
    assert summary(tmp_path / "run")["test_accuracy"] > 0.95
    assert "test_bits_per_character" not in summary(tmp_path / "run")
    assert re.match(r"id,target,prediction,score,y\.\w+,y\.\w+\n", altprop("predict", tmp_path / "run").out)


def test_relaxation_trains_as_backprop_does(text, tmp_path):
    rules = "backprop,pc[pc.eta=1,pc.steps=36],ar[ar.eta=1,ar.steps=1],fa,pc[pc.eta=1,pc.steps=9]"
    out = tmp_path / "both"
    altprop("compare", "--rules", rules, *text, "--epochs", 1, "--max-steps", 60, "--quiet", "--out", out)
    runs = [summary(path.parent) for path in out.glob("*/**/summary.json")]
    loss = {run["label"]: run["test_loss"] for run in runs}
    assert len(loss) == 5
    exact = [loss["backprop"], loss["pc[pc.eta=1,pc.steps=36]"], loss["ar[ar.eta=1,ar.steps=1]"]]
    assert max(exact) - min(exact) < 1e-3
    for other in ("fa", "pc[pc.eta=1,pc.steps=9]"):
        assert abs(loss[other] - exact[0]) > 1e-3
    assert (out / "report.html").exists()


def test_check_finds_the_hops_of_a_relaxation(text):
    def worst(steps):
        rule = f"pc[pc.eta=1,pc.steps={steps}]"
        layers = altprop("check", *text, "--data.text.length", 4, "--rule", rule, "--json").json["layers"]
        return max(layer["relative_error"] for layer in layers)

    assert worst(12) < 1e-12 < 1e-6 < worst(11)


def test_an_interrupted_run_ends_with_the_same_bits(text, tmp_path):
    short = ["--epochs", 2, "--checkpoint-steps", 3, "--rule", "pc[pc.eta=1,pc.steps=36]"]
    altprop("train", *text, *short, "--out", tmp_path / "whole", "--quiet")
    process = start("train", *text, *short, "--out", tmp_path / "run")
    assert stop(process, tmp_path / "run", 0.02, signal.SIGKILL) == -signal.SIGKILL
    altprop("resume", tmp_path / "run", "--quiet")
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_describe_folds_the_steps(text):
    out = altprop("describe", "--net", "lstm:65-128-65:length=50").out
    assert "as t2.*, 48 times" in out and len(out.splitlines()) < 45
    assert "direct-feedback-alignment: node 't2.rec'" in out and "predictive-coding: accepts" in out


def test_what_does_not_fit_is_one_sentence(data, text, names):
    for arguments, part in (
            ([*text, "--net", "lstm:9-16-9"], "takes 9 different tokens"),
            ([*text, "--net", "mlp:*-16-*"], "takes real numbers, but the data are sequences of token numbers"),
            ([*names, "--net", "rnn:*-16-*:output=each"], "write output=last"),
            ([*text, "--rule", "dfa"], "projected token by token"),
            ([*text, "--data.text.file", "nothing.txt"], "cannot be opened")):
        result = altprop("train", *arguments, "--epochs", 1, "--out", data / "never", code=result_code(part))
        assert part in result.err and len(result.err.splitlines()) == 1, result


def result_code(part):
    return 1 if part == "cannot be opened" else 2
