"""The section of a report on continuous time: drawn from whole records, left out of spoilt ones."""
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


def continuous(epoch, **changes):
    figures = {f"ode{k}.{what}": k + value for k in (1, 2) for what, value in
               {"steps": 3.5 + epoch, "most_steps": 7, "rejected_steps": 0.25, "evaluations": 22, "backward_evaluations": 40}.items()}
    credit = [{"name": name, "step": step, "stage": stage, "cosine": 0.5, "angle_degrees": 60 + step, "magnitude_ratio": 1.0}
              for name in ("ode1.fc1", "ode1.fc2") for step in range(3) for stage in range(4)]
    growth = [{"name": "ode-to-ode1", "least": 0.6, "most": 1.4, "lower_bound": 0.3, "upper_bound": 2.5}]
    return {"figures": figures, "ode_credit": credit, "credit_growth": growth, **changes}


def with_continuous(folder, **changes):
    make_fixture.make_with(folder, lambda epoch: continuous(epoch, **changes))


def test_solvers_and_credit_are_drawn(tmp_path):
    with_continuous(tmp_path)
    for found in browser.look(report(tmp_path), browser.VIEWS):
        assert_sound(found)
        charts = " ".join(found["charts"])
        for figure in ("solver-steps:", "solver-most_steps:", "solver-rejected_steps:", "solver-evaluations:",
                       "solver-backward_evaluations:", "growth:ode-to-ode1:", "ode-credit:"):
            assert figure in charts, charts


def test_other_figures_are_not_taken_for_those_of_solvers(tmp_path):
    with_continuous(tmp_path, figures={"homeostasis": 0.1, "steps": 4}, ode_credit=[], credit_growth=None)
    found = browser.look(report(tmp_path), [(1280, False)])[0]
    assert_sound(found)
    assert "solver-" not in " ".join(found["charts"])


@pytest.mark.parametrize("spoilt", [
    {"figures": 7, "ode_credit": None, "credit_growth": 3}, {"figures": [], "ode_credit": {}, "credit_growth": [{}]},
    {"figures": {"ode1.steps": "many", "ode2.steps": None}, "ode_credit": [{"name": 3}, 4, {"name": "a", "step": 1}]},
    {"ode_credit": [{"name": "a", "step": 0, "stage": 0, "cosine": None}], "credit_growth": [{"name": "b", "least": "x"}]},
], ids=lambda spoilt: str(len(json.dumps(spoilt))))
def test_spoilt_records_break_nothing(tmp_path, spoilt):
    with_continuous(tmp_path, **spoilt)
    assert_sound(browser.look(report(tmp_path), [(1280, False)])[0])
