"""Opens reports in headless Chromium, at desktop and phone width, light and dark, and uses everything in them.

Run after the build: python3 -m pytest tests/report. The program is build/altprop, or $ALTPROP.
"""
import csv
import io
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import browser
import expected
import make_fixture

BUILD = os.environ.get("ALTPROP_BUILD", Path(__file__).parents[2] / "build")  # as tests/program/program.py has it
PROGRAM = os.environ.get("ALTPROP", str(Path(BUILD).resolve() / "altprop"))

pytestmark = [
    pytest.mark.skipif(not browser.CHROMIUM, reason="needs a browser: apt-get install chromium"),
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason=f"needs the program: {PROGRAM} is not built"),
]


def report(folder, **fixture):
    if fixture:
        make_fixture.make(folder, **fixture)
    subprocess.run([PROGRAM, "report", str(folder)], check=True, capture_output=True)
    return folder


def assert_sound(found):
    """What holds for every report in every view."""
    assert found["errors"] == [] and found["blocked"] == [] and found["loaded"] == []
    assert found["nan"] == 0 and found["mute"] == [] and found["unnamed"] == 0
    assert found["overflow"] <= 0 and found["overflow_after"] <= 0, "the page scrolls sideways"
    assert found["faintest_text"] >= 4.5 and found["faintest_line"] >= 3, "WCAG 2.1, 1.4.3 and 1.4.11"
    assert not re.search(r"NaN|undefined|\[object|\bnull\b|\bfalse\b", found["words"])


TWO = [(1280, True), (390, False)]


@pytest.mark.parametrize("views, fixture", [
    (browser.VIEWS, dict(kind="compare", rules=12, epochs=5)),
    (TWO, dict(kind="compare", rules=13, seeds=1, epochs=60)),
    (TWO, dict(kind="compare", rules=3, seeds=2, epochs=3, layers=56)),
    (browser.VIEWS, dict(kind="train")),
    (TWO, dict(kind="train", epochs=1)),
], ids=lambda case: "-".join(map(str, case.values())) if isinstance(case, dict) else str(len(case)))
def test_draws_everything(tmp_path, views, fixture):
    seen = browser.look(report(tmp_path, **fixture), views)
    wanted = expected.figures(tmp_path)
    assert [found["theme"] == "dark" for found in seen] == [dark for _, dark in views]
    for found in seen:
        assert_sound(found)
        assert found["charts"] == wanted
        assert found["rendered"] == len(wanted)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = report(tmp_path_factory.mktemp("comparison"), kind="compare")
    return folder, browser.look(folder, [(1280, False)], details=True)[0]


def test_says_what_was_compared_and_who_won(comparison):
    folder, found = comparison
    words = re.sub(r"\s+", " ", found["words"])
    assert "6 learning rules on fashion-mnist" in words
    assert "for 10 epochs by 6 learning rules, each from 3 seeds" in words
    means = {label: sum(run["test_accuracy"] for run, _ in runs) / 3 for label, runs in expected.read(folder)}
    best = max(means, key=means.get)
    assert f"{best} ended with the highest test accuracy, {100 * means[best]:.2f} %" in words
    second = sorted(means, key=means.get)[-2]
    assert f"Behind it: {second} by {100 * (means[best] - means[second]):.2f} points" in words


def test_shows_the_spread_over_seeds_and_says_which(comparison):
    _, found = comparison
    assert found["geometry"]["bands"].get("test_accuracy") == 6
    assert found["geometry"]["runs"].get("test_accuracy") == 18, "single runs on demand"
    assert "Bands: \u00b1 one standard deviation" in found["notes"]["test_accuracy"]


def test_lines_lie_where_their_values_are(comparison):
    folder, found = comparison
    drawn = [(x, y, sum(record[epoch]["validation_accuracy"] for _, record in runs) / 3)
             for label, runs in expected.read(folder)
             for epoch, (x, y) in enumerate(found["geometry"]["points"]["validation_accuracy"][label]) if epoch > 0]
    lowest, highest = min(drawn, key=lambda p: p[2]), max(drawn, key=lambda p: p[2])
    slope = (highest[1] - lowest[1]) / (highest[2] - lowest[2])
    assert slope < 0, "better is higher"
    for _, y, value in drawn:
        assert y == pytest.approx(lowest[1] + slope * (value - lowest[2]), abs=0.2)
    first, second = drawn[0][0], drawn[1][0]
    assert sorted({x for x, _, _ in drawn}) == pytest.approx([first + i * (second - first) for i in range(10)], abs=0.5)


def test_bars_are_as_long_as_their_values(comparison):
    folder, found = comparison
    widths = found["geometry"]["widths"]["cost-time"]
    for label, runs in expected.read(folder):
        mean = sum(run["time_relative_to_backprop"] for run, _ in runs) / 3
        assert widths[label] / widths["backprop"] == pytest.approx(mean, abs=0.005)


def test_law_is_judged_by_its_largest_error(comparison):
    folder, found = comparison
    label = "kolen-pollack[kp.form=explicit]"
    entries = [entry for _, records in dict(expected.read(folder))[label]
               for record in records.values() for entry in record["alignment"]]
    off = max(abs(entry["predicted_factor"] - entry["measured_factor"]) for entry in entries)
    sentence = re.escape(label) + r": prediction and measurement differ by at most (\S+)"
    said = re.search(sentence, found["words"]).group(1)
    assert float(said.replace("\u2212", "-")) == pytest.approx(off, rel=0.06)


def test_offers_its_numbers_as_files(comparison):
    folder, found = comparison
    results, epochs, records = found["files"]
    rows = list(csv.DictReader(io.StringIO(results)))
    runs = dict(expected.read(folder))
    assert [row["rule"] for row in rows] == list(runs)
    backprop = [run["test_accuracy"] for run, _ in runs["backprop"]]
    assert float(rows[0]["test_accuracy_mean"]) == pytest.approx(sum(backprop) / 3)
    numbers = {(row["rule"], row["seed"], row["epoch"], row["quantity"], row["layer"]): float(row["value"])
               for row in csv.DictReader(io.StringIO(epochs))}
    summary, curve = runs["feedback-alignment"][1]
    key = ("feedback-alignment", str(summary["seed"]), "3")
    assert numbers[*key, "test_loss", ""] == curve[3]["test_loss"]
    assert numbers[*key, "angle_degrees", "fc1.weight"] == curve[3]["gradient"][0]["angle_degrees"]
    assert len(json.loads(records)["runs"]) == 18


def test_shows_how_nudges_spread(tmp_path):
    """From a run's own records, with what the rule has to say of them."""
    options = "hep[hep.points=4,hep.radius=40,hep.free-steps=60,hep.nudged-steps=30,hep.tolerance=0]"
    subprocess.run([PROGRAM, "train", "--rule", options, "--net", "mlp:784-16-16-10:dsilu", "--data", "glyphs",
                    "--data.train-limit", "64", "--data.test-limit", "32", "--batch", "32", "--epochs", "2",
                    "--threads", "1", "--out", str(tmp_path / "run")], check=True, capture_output=True)
    found = browser.look(report(tmp_path / "run"), [(1280, False)])[0]
    assert found["errors"] == [] and found["nan"] == 0
    assert found["charts"] == expected.figures(tmp_path / "run")
    drawn = {name.removeprefix("relaxation-").partition(":")[0]: marks for name, marks in found["charts"].items()
             if name.startswith("relaxation-")}
    assert set(drawn) == {"scale", "cosine", "apart", "residual"}
    assert all(set(marks) == {"fc1", "fc2"} for marks in drawn.values())
    assert min(min(marks.values()) for marks in drawn.values()) > 10
    assert "Compared with the implicit gradient" in found["words"]
    assert found["words"].count("the nudge radius hep.radius=40 is too large") == 2, "here and under Warnings"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = report(tmp_path_factory.mktemp("hostile"), kind="hostile")
    return folder, browser.look(folder, TWO)


def test_spoilt_records_draw_what_is_there(hostile):
    folder, seen = hostile
    for found in seen:
        assert_sound(found)
        assert found["charts"] == expected.figures(folder)


def test_shows_hostile_labels_as_text(hostile):
    found = hostile[1][0]
    assert "</script><script>alert(1)</script>" in found["words"]
    assert found["scripts"] == 3 and found["images"] == 0, "the page's own and this test's"


def test_diverged_and_interrupted_runs_have_no_outcome(hostile):
    found = hostile[1][0]
    words = re.sub(r"\s+", " ", found["words"])
    assert "2 done, 1 diverged" in words and "2 done, 1 interrupted" in words
    assert "1 run (product-feedback-alignment[pfa.expand=ortho,pfa.align-decay=0.005]) diverged" in words
    assert found["charts"]["ranking"]["uniform-sign"] == 2
    assert "A large cross marks the last record of a run that diverged" in found["notes"]["train_loss"]


def test_one_seed_is_too_few_to_judge(tmp_path):
    found = browser.look(report(tmp_path, kind="compare", rules=2, seeds=1, epochs=2), [(390, True)])[0]
    assert "small differences may be chance" in found["words"]
    assert "There is one run per rule" in found["words"]


def test_chance_and_certainty_follow_welch(tmp_path):
    """Differences of equal size: with close seeds they are clear, with scattered ones they may be chance."""
    accuracies = {"backprop": (0.900, 0.901, 0.902), "close": (0.880, 0.881, 0.882), "scattered": (0.85, 0.88, 0.913)}
    runs = [{"label": label, "rule": label, "seed": seed, "status": "done", "test_accuracy": value}
            for label, values in accuracies.items() for seed, value in enumerate(values)]
    (tmp_path / "summary.json").write_text(json.dumps({"runs": runs}))
    words = browser.look(report(tmp_path), [(1280, False)])[0]["words"]
    assert "The distance of scattered may be chance" in words and "the other is clear" in words


def test_an_interrupted_rule_does_not_compete(tmp_path):
    runs = [{"label": label, "status": status, "seed": 1, "test_accuracy": accuracy, "best_epoch": 2}
            for label, status, accuracy in (("whole", "done", 0.8), ("also", "done", 0.7), ("cut", "interrupted", 0.9))]
    (tmp_path / "summary.json").write_text(json.dumps({"runs": runs}))
    found = browser.look(report(tmp_path), [(1280, False)])[0]
    assert "whole reached, at its epoch of best validation loss, the highest test accuracy" in found["words"]
    assert found["charts"]["ranking"] == {"whole": 1, "also": 1}


def test_probes_switched_off_are_mentioned(tmp_path):
    make_fixture.make(tmp_path, kind="train", epochs=2)
    path = tmp_path / "metrics.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**record, "gradient": [], "alignment": []}) + "\n" for record in records))
    summary = json.loads((tmp_path / "summary.json").read_text())
    summary["settings"]["probe-every"] = 0
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    found = browser.look(report(tmp_path), [(390, False)])[0]
    assert_sound(found)
    assert "Angles and magnitudes were not measured: the runs had probe-every = 0" in found["words"]
    assert set(found["charts"]) == {"accuracy", "loss"}


@pytest.mark.parametrize("summary", [
    "{}", '{"runs": [{}, {"label": "b", "seed": 1}]}', '{"rule": 3, "warnings": "none"}'])
def test_bears_records_without_content(tmp_path, summary):
    (tmp_path / "summary.json").write_text(summary)
    found = browser.look(report(tmp_path), [(390, False)])[0]
    assert_sound(found)
    assert found["rendered"] == 0
    assert "Learning curves" not in found["words"]


def test_scores_of_a_learners_own_are_shown_and_decide(tmp_path):
    make_fixture.make(tmp_path, kind="compare", rules=2, seeds=2, epochs=3)
    own = {"scores": [{"name": "ensemble_8", "more_is_better": True}], "primary_score": "ensemble_8"}
    top = json.loads((tmp_path / "summary.json").read_text())
    for place, run in enumerate(top["runs"]):
        run.update(own, test_ensemble_8=0.1 * place, stochastic=run["label"] != "backprop")
        path = tmp_path / run["folder"] / "metrics.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({**record, **own, "test_ensemble_8": 0.1 * record["epoch"]}) + "\n"
                                for record in records))
    (tmp_path / "summary.json").write_text(json.dumps(top))
    found = browser.look(report(tmp_path), [(1280, False)])[0]
    assert_sound(found)
    assert "the highest test ensemble 8" in found["words"] and "Test ensemble 8" in found["words"]
    assert "test_ensemble_8" in found["charts"]
    assert re.search(r"The gradient of \S+ is a random estimate", found["words"])
    assert "The gradient of backprop" not in found["words"]


def test_hostile_scores_are_left_out(tmp_path):
    runs = [{"label": "a", "seed": 1, "status": "done", "test_accuracy": 0.5, "scores": scores, "primary_score": 7}
            for scores in ("none", [3, {"name": 4}, {"more_is_better": "x"}])]
    (tmp_path / "summary.json").write_text(json.dumps({"runs": runs}))
    assert_sound(browser.look(report(tmp_path), [(1280, False)])[0])


def density_map(**changes):
    n = 8
    return {"from": [-1, -2], "to": [3, 2], "integral": 0.97, "samples": [[0, 0], [1, 1], [2, -1]],
            "density": [[abs(r - c) / 50 for c in range(n)] for r in range(n)], **changes}


@pytest.mark.parametrize("views", [browser.VIEWS], ids=["all"])
def test_the_density_of_a_flow_is_drawn(tmp_path, views):
    make_fixture.make(tmp_path, kind="train")
    summary = json.loads((tmp_path / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps({**summary, "density": density_map()}))
    for found in browser.look(report(tmp_path), views):
        assert_sound(found)
        assert any(name.startswith("density:") for name in found["charts"])
        assert "97" in found["words"] and "of the probability" in found["words"]


@pytest.mark.parametrize("spoilt", [
    None, 7, "map", [], {}, density_map(density=[]), density_map(density=[[]]), density_map(density=[[1], [1, 2]]),
    density_map(**{"from": [None, 1]}), density_map(to="far")], ids=str)
def test_a_spoilt_density_is_left_out(tmp_path, spoilt):
    make_fixture.make(tmp_path, kind="train", epochs=1)
    summary = json.loads((tmp_path / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps({**summary, "density": spoilt}))
    found = browser.look(report(tmp_path), [(1280, False)])[0]
    assert_sound(found)
    assert not any(name.startswith("density:") for name in found["charts"])


def test_odd_numbers_of_a_density_leave_holes(tmp_path):
    make_fixture.make(tmp_path, kind="train", epochs=1)
    summary = json.loads((tmp_path / "summary.json").read_text())
    odd = density_map(density=[[None, -1], ["x", 1e308]], samples=[[1], "a", [None, 2], 3], integral="most")
    (tmp_path / "summary.json").write_text(json.dumps({**summary, "density": odd}))
    found = browser.look(report(tmp_path), [(1280, False)])[0]
    assert_sound(found)
    assert any(name.startswith("density:") for name in found["charts"])
