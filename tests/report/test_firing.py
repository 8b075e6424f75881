"""The section of a report on networks of spike times: drawn from whole records, left out of spoilt ones."""
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


def firing(epoch, **changes):
    layers = [{"name": name, "units": units, "spikes": units * 0.4, "silent": 0.6 - 0.01 * epoch, "dead": 0.1,
               "median_time": 0.5 + depth, "events": 20.0} for depth, (name, units) in enumerate((("latency", 50), ("layer1", 20)))]
    raster = [{"name": layer["name"], "units": list(range(layer["units"])),
               "times": [None if unit % 3 else 0.01 * unit for unit in range(layer["units"])]} for layer in layers]
    return {"firing": layers, "anytime": {"time": [0.5, 1.0, 2.0], "accuracy": [0.2, 0.6, 0.9]}, "raster": raster, **changes}


def with_firing(folder, **changes):
    make_fixture.make_with(folder, lambda epoch: firing(epoch, **changes))


def test_spikes_are_drawn(tmp_path):
    with_firing(tmp_path)
    for found in browser.look(report(tmp_path), browser.VIEWS):
        assert_sound(found)
        charts = " ".join(found["charts"])
        for figure in ("firing-silent:", "firing-spikes:", "firing-events:", "firing-median:", "anytime:", "raster:"):
            assert figure in charts, charts


@pytest.mark.parametrize("spoilt", [
    {"firing": 7, "raster": None, "anytime": 3}, {"firing": [], "raster": [], "anytime": {}},
    {"firing": [{}, 3, {"name": 4}], "raster": [{"name": "a"}, {"units": 3}], "anytime": {"time": "x", "accuracy": []}},
    {"raster": [{"name": "a", "units": [1], "times": [None]}], "anytime": {"time": [1, None], "accuracy": ["y"]}},
], ids=lambda spoilt: str(len(json.dumps(spoilt))))
def test_spoilt_records_of_spikes_break_nothing(tmp_path, spoilt):
    with_firing(tmp_path, **spoilt)
    assert_sound(browser.look(report(tmp_path), [(1280, False)])[0])
