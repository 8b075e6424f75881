"""The section of a report on networks of neuromorphic cores: drawn from whole records, left out of spoilt ones."""
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


def connections(epoch, **changes):
    return {"connections": [{"name": name, "distance": 0.25 - 0.01 * epoch, "half_way": 0.7 - 0.02 * epoch}
                            for name in ("cores1", "cores2")], **changes}


def deployment(**changes):
    ensembles = [{"members": m, "accuracy": 1 - 0.06 / m, "deviation": 0.005 / m, "least": 1 - 0.07 / m,
                  "most": 1 - 0.05 / m, "draws": 20, "energy_estimate": m * 0.315e-6} for m in (1, 4, 16, 64)]
    return {"cores": 5, "images": 100, "ensembles": ensembles, "network_accuracy": 0.985,
            "limit": {"rest": 0.3, "spread": 2.1}, **changes}


def with_cores(folder, deployed, data=None, **changes):
    make_fixture.make_with(folder, lambda epoch: connections(epoch, **changes))
    if data:
        summary = json.loads((folder / "summary.json").read_text())
        (folder / "summary.json").write_text(json.dumps({**summary, "data": data}))
    if deployed is not None:
        (folder / "deploy.json").write_text(json.dumps(deployed))


def test_ensembles_and_synapses_are_drawn(tmp_path):
    with_cores(tmp_path, deployment(), data="mnist")
    for found in browser.look(report(tmp_path), browser.VIEWS):
        assert_sound(found)
        charts = " ".join(found["charts"])
        for figure in ("ensembles:", "energy:", "connections-distance:", "connections-half-way:"):
            assert figure in charts, charts
        assert "mean of up to 20 draws" in found["words"] and "The trained network itself has 98.50" in found["words"]


def test_members_and_energy_are_on_logarithmic_scales(tmp_path):
    with_cores(tmp_path, deployment())
    drawn = browser.look(report(tmp_path), [(1280, False)], details=True)[0]["geometry"]
    for figure in ("ensembles:", "energy:"):
        name, = (name for name in drawn["points"] if name.startswith(figure))
        points = drawn["points"][name]["drawn networks"]
        steps = [b[0] - a[0] for a, b in zip(points, points[1:])]
        assert len(steps) == 3 and max(steps) - min(steps) < 0.5, steps  # of factors of four
        heights = [y for _, y in points]  # from the top: accuracy rises
        assert heights == sorted(heights, reverse=True)
        assert drawn["bands"][name] == 1, "the spread over draws"


def test_published_points_stand_beside_mnist_alone(tmp_path):
    for data, beside in (("mnist", True), ("glyphs", False)):
        with_cores(tmp_path / data, deployment(), data=data)
        found = browser.look(report(tmp_path / data), [(1280, False)])[0]
        assert_sound(found)
        assert ("published (Esser et al. 2015)" in found["words"]) == beside


def test_a_run_that_was_not_deployed_has_no_ensembles(tmp_path):
    with_cores(tmp_path, None)
    found = browser.look(report(tmp_path), [(1280, False)])[0]
    assert_sound(found)
    charts = " ".join(found["charts"])
    assert "connections-distance:" in charts and "ensembles:" not in charts


@pytest.mark.parametrize("spoilt, records", [
    ({}, {}), ([1, 2], {}), ("x", {"connections": 3}), ({"ensembles": 7, "limit": 3, "network_accuracy": "a"}, {}),
    ({"ensembles": [{}, 3, {"members": 0, "accuracy": 0.5}, {"members": -1}, {"accuracy": 0.4}]},
     {"connections": [{}, 1, {"name": 4}]}),
    ({"ensembles": [{"members": 4, "accuracy": None, "energy_estimate": "x"}, {"members": "y", "accuracy": 0.5}]},
     {"connections": [{"name": "cores1", "distance": "a", "half_way": None}]}),
    ({"ensembles": [{"members": 4, "accuracy": 0.5}], "limit": {"rest": None}}, {}),
], ids=lambda spoilt: str(len(json.dumps(spoilt))))
def test_spoilt_records_of_cores_break_nothing(tmp_path, spoilt, records):
    with_cores(tmp_path, spoilt, **records)
    assert_sound(browser.look(report(tmp_path), [(1280, False)])[0])
