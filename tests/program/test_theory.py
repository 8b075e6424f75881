"""`altprop theory fa2`: what it writes, that it refuses, and that it goes on where it was stopped."""
import json
import re
import signal
import time
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from program import altprop, assert_one_sentence, start, summary

SMALL = ["--samples", 8, "--inputs", 20, "--threads", 1]
STUDY = [*SMALL, "--width", "40,80", "--lambda", "0,0.5", "--repetitions", 3, "--eta", 0.005, "--steps", 300]
CLOCK = ("seconds",)


def fa2(out, *args, **how):
    return altprop("theory", "fa2", "--out", out, *args, **how)


def cells(folder):
    """By width and lambda, without what a clock said."""
    return {(c["p"], c["lambda"]): {k: v for k, v in c.items() if k not in CLOCK} for c in summary(folder)["cells"]}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("theory") / "study"
    return folder, fa2(folder, *STUDY)


def test_summary(study):
    folder, result = study
    s = summary(folder)
    assert s["status"] == "done" and s["psi"] == "linear" and s["data"] == "lr" and s["rule"] == "fa"
    assert s["eta"] == 0.005 and s["command"].startswith("altprop theory fa2")
    assert sorted(cells(folder)) == [(40, 0), (40, 0.5), (80, 0), (80, 0.5)]
    for (width, decay), cell in cells(folder).items():
        assert cell["repetitions"] == 3 and cell["diverged"] == 0 and cell["form"] == "reduced"
        assert len(cell["alignment"]["values"]) == 3 and cell["steps"]["values"] == [300] * 3
        mean = sum(cell["alignment"]["values"]) / 3
        assert cell["alignment"]["mean"] == pytest.approx(mean)
        assert cell["alignment"]["std"] == pytest.approx((sum((v - mean) ** 2 for v in cell["alignment"]["values"]) / 3) ** 0.5)
        curve = cell["curve"]
        assert curve["step"][0] == 0 and curve["step"][-1] == 300 and len(curve["loss_mean"]) == len(curve["step"])
        assert curve["loss_mean"][-1] < 0.2 * curve["loss_mean"][0]
        assert (cell["bound_held"] is None) == (decay > 0)
    assert cells(folder)[40, 0.5]["alignment"]["mean"] > cells(folder)[40, 0]["alignment"]["mean"] + 0.1
    lines = result.err.splitlines()
    assert len(lines) == 4 and all(re.match(r"p=\d+ lambda=[\d.]+  alignment -?0\.\d{3} ± ", line) for line in lines)
    assert "report.html" in result.out


def test_page_and_plots_stand_alone(study):
    folder, _ = study
    for name, lines in (("alignment.svg", 2), ("loss.svg", 3)):  # loss: two lambdas and the bound
        root = ElementTree.parse(folder / name).getroot()
        polylines = root.findall("{http://www.w3.org/2000/svg}polyline")
        assert len(polylines) == lines
        for polyline in polylines:
            points = [tuple(map(float, p.split(","))) for p in polyline.get("points").split()]
            assert len(points) >= 2 and all(0 <= x <= 640 and 0 <= y <= 400 for x, y in points)
    # Loss falls, so on the page the line goes down.
    points = polylines[0].get("points").split()
    assert float(points[-1].split(",")[1]) > float(points[0].split(",")[1]) + 50

    class Links(HTMLParser):
        def handle_starttag(self, tag, attributes):
            assert tag not in ("script", "link", "img") and not {"src", "href"} & {k for k, _ in attributes}

    page = (folder / "report.html").read_text()
    Links().feed(page)
    assert page.count("<svg") == 2 and "λ = 0.5" in page


def test_finished_cells_are_not_computed_again_and_more_can_be_added(study, tmp_path):
    folder = tmp_path / "grown"
    fa2(folder, *STUDY, "--width", "40")
    before = {p.name: p.stat().st_mtime_ns for p in (folder / "cells").iterdir()}
    result = fa2(folder, *STUDY, "--resume")
    assert len(re.findall("was there", result.err)) == 2
    assert {n: t for n, t in ((p.name, p.stat().st_mtime_ns) for p in (folder / "cells").iterdir()) if n in before} == before
    assert cells(folder) == cells(study[0])


def test_interrupted_study_goes_on(tmp_path):
    slow = [*SMALL, "--width", "40", "--lambda", "0,0.1,0.2,0.3", "--repetitions", 3, "--steps", 6000]
    whole, part = tmp_path / "whole", tmp_path / "part"
    process = start("theory", "fa2", "--out", part, *slow)
    deadline = time.time() + 60
    while not list(part.glob("cells/*.json")) and time.time() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    s = summary(part)
    assert s["status"] == "interrupted" and 1 <= len(s["cells"]) < 4
    fa2(part, *slow, "--resume")
    fa2(whole, *slow)
    assert summary(part)["status"] == "done" and cells(part) == cells(whole)


def test_existing_folder(study):
    folder, _ = study
    result = fa2(folder, *STUDY, code=2)
    assert_one_sentence(result)
    assert "--resume" in result.err and "--overwrite" in result.err
    for changed, words in ((["--eta", 0.004], ["eta", "0.005", "0.004"]), (["--psi", "tanh", "--data", "lr"], ["psi", "linear", "tanh"]),
                           (["--repetitions", 4], ["3 repetitions", "4"])):
        result = fa2(folder, *STUDY, "--resume", *changed, code=2)
        assert_one_sentence(result)
        assert all(word in result.err for word in words), result


def test_overwrite_replaces_the_study_only(tmp_path):
    folder = tmp_path / "study"
    fa2(folder, *STUDY, "--quiet")
    (folder / "mine.txt").write_text("kept")
    fa2(folder, *STUDY, "--quiet", "--overwrite", "--width", 20, "--lambda", 0)
    assert list(cells(folder)) == [(20, 0)] and (folder / "mine.txt").read_text() == "kept"


def test_a_running_study_is_not_overwritten(tmp_path):
    folder = tmp_path / "study"
    process = start("theory", "fa2", "--out", folder, *SMALL, "--width", 40, "--steps", 10**7)
    try:
        deadline = time.time() + 60
        while not (folder / "settings.json").exists() and time.time() < deadline:
            time.sleep(0.005)
        written = (folder / "settings.json").stat().st_mtime_ns
        for how in ("--overwrite", "--resume"):
            assert_one_sentence(fa2(folder, *SMALL, "--width", 40, "--steps", 10**7, how, code=1))
        assert (folder / "settings.json").stat().st_mtime_ns == written
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT and summary(folder)["status"] == "interrupted"


def test_form_backprop_and_json(tmp_path):
    by_weights = fa2(tmp_path / "full", *STUDY, "--form", "full", "--width", 40, "--json", "--quiet").json
    reduced = fa2(tmp_path / "reduced", *STUDY, "--width", 40, "--json", "--quiet").json
    for a, b in zip(by_weights["cells"], reduced["cells"]):
        assert a["form"] == "full" and b["form"] == "reduced"
        assert a["alignment"]["values"] == pytest.approx(b["alignment"]["values"], abs=1e-11)
    backprop = fa2(tmp_path / "bp", *STUDY, "--rule", "bp", "--width", 40, "--lambda", 0, "--json", "--quiet").json
    assert backprop["cells"][0]["loss"]["mean"] < backprop["cells"][0]["curve"]["loss_mean"][0] * 0.2
    assert backprop["cells"][0]["alignment"]["values"] != reduced["cells"][0]["alignment"]["values"]


def test_divergence_is_one_sentence_and_an_exit_code(tmp_path):
    result = fa2(tmp_path / "d", *SMALL, "--width", 40, "--eta", 50, "--steps", 500, "--repetitions", 2, "--quiet", code=1)
    assert "2 of 2 repetitions diverged" in result.out and "smaller eta" in result.out
    assert summary(tmp_path / "d")["cells"][0]["alignment"] is None


@pytest.mark.parametrize("args, words", [
    (["--psi", "rleu"], ["psi", "rleu", "relu"]),
    (["--width", "40,x"], ["width", "whole numbers", "40,x"]),
    (["--width", "40,40"], ["width", "different"]),
    (["--lambda", "-1"], ["lambda", "-1"]),
    (["--repetitions", "0"], ["repetitions", "[1, 1e+05]"]),
    (["--psi", "relu", "--form", "reduced"], ["form", "linear", "hidden"]),
    (["--steps", "1.5"], ["steps", "whole number"]),
])
def test_refusals_leave_no_folder(args, words, tmp_path):
    result = fa2(tmp_path / "none", *args, code=2)
    assert_one_sentence(result)
    assert all(word in result.err for word in words), result
    assert not (tmp_path / "none").exists()
