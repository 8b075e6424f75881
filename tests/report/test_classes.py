"""The section of a report on classes: drawn from whole counts, left out of spoilt ones; and what heads a page."""
import json
from pathlib import Path

import pytest

import browser
import make_fixture
from test_report_browser import PROGRAM, assert_sound, report

pytestmark = [
    pytest.mark.skipif(not browser.CHROMIUM, reason="needs a browser: apt-get install chromium"),
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason=f"needs the program: {PROGRAM} is not built"),
]
COUNTS = [[8, 2, 0], [1, 9, 0], [0, 3, 7]]


def with_summary(folder, change, **fixture):
    make_fixture.make(folder, **fixture)
    path = folder / "summary.json"
    top = json.loads(path.read_text())
    for run in top.get("runs", [top]):
        change(run)
    path.write_text(json.dumps(top))
    return report(folder)


def test_classes_are_drawn(tmp_path):
    def change(run):
        run["confusion"] = {"part": "test", "names": ["cat", "dog", "<b>owl"], "counts": COUNTS}
    folder = with_summary(tmp_path, change, kind="compare", rules=2, seeds=2, epochs=2)
    for found in browser.look(folder, browser.VIEWS):
        assert_sound(found)
        charts = " ".join(found["charts"])
        assert "class-accuracy" in charts and charts.count("confusion:") == 2, charts
        assert "<b>owl" in found["words"]
        assert "Of the test data after the last epoch, summed over seeds." in found["words"]


@pytest.mark.parametrize("spoilt", [
    7, {}, {"counts": 3}, {"counts": []}, {"counts": [[1]]}, {"counts": [[1, 2], [3]]}, {"counts": [[1, "x"], [2, 3]]},
    {"counts": [[1, -2], [2, 3]]},
], ids=lambda spoilt: str(spoilt))
def test_spoilt_counts_break_nothing(tmp_path, spoilt):
    folder = with_summary(tmp_path, lambda run: run.update(confusion=spoilt), kind="train", epochs=2)
    found = browser.look(folder, [(1280, False)])[0]
    assert_sound(found)
    assert "class-accuracy" not in " ".join(found["charts"])


def test_names_that_do_not_fit_are_numbers(tmp_path):
    def change(run):
        run["confusion"] = {"counts": COUNTS, "names": ["cat"]}
    found = browser.look(with_summary(tmp_path, change, kind="train", epochs=2), [(390, True)])[0]
    assert_sound(found)
    assert "class-accuracy" in " ".join(found["charts"])


def test_title_notes_and_runs_that_go_on(tmp_path):
    def change(run):
        run.update(title="Rules of <i>thumb</i>", notes="Mind the gap", status="running")
    found = browser.look(with_summary(tmp_path, change, kind="compare", rules=2, seeds=1, epochs=2), [(1280, False)])[0]
    assert_sound(found)
    assert "Rules of <i>thumb</i>" in found["words"] and "Notes: Mind the gap" in found["words"]
    assert "had not come to the end when this page was made" in found["words"]
