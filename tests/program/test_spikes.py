"""Networks of spike times from the command line: training, what is told, what is refused, what is resumed."""
import json

import pytest

from program import altprop, records

GLYPHS = ["--data", "glyphs", "--data.glyphs.train", 600, "--data.glyphs.test", 200, "--data.normalise", "unit"]
EVENT = ["--net", "relpsp:*-40-*", "--loss", "spike-cross-entropy", "--optimizer", "adam", "--lr", 5e-3]


def test_a_run_tells_what_fires(tmp_path):
    told = altprop("train", *GLYPHS, *EVENT, "--epochs", 2, "--out", tmp_path / "a", "--threads", 1)
    for part in (" spikes and ", " synaptic operations per sample, ", "% of units silent"):
        assert part in told.err
    last = records(tmp_path / "a")[-1]
    assert [row["name"] for row in last["firing"]] == ["latency", "layer1", "layer2"]
    assert last["firing"][0]["events"] == 0 and last["firing"][1]["events"] > 0 < last["firing"][1]["events_deviation"]
    for row in last["firing"]:
        assert 0 <= row["silent"] <= 1 and 0 <= row["spikes"] <= row["units"]
        assert row["spikes"] == pytest.approx((1 - row["silent"]) * row["units"])
    assert last["anytime"]["time"] == sorted(last["anytime"]["time"])
    assert last["anytime"]["accuracy"] == sorted(last["anytime"]["accuracy"])
    assert [len(row["times"]) for row in last["raster"]] == [100, 40, 10]
    altprop("report", tmp_path / "a")


def test_potentials_that_are_read_have_operations_and_no_spikes(tmp_path):
    altprop("train", *GLYPHS, "--net", "chain: latency, relpsp-window 20, membrane *", "--epochs", 1, "--threads", 1,
            "--out", tmp_path / "a")
    window, membrane = records(tmp_path / "a")[-1]["firing"][1:]
    assert membrane["spikes"] is None and membrane["silent"] is None
    assert membrane["events"] == pytest.approx(10 * window["spikes"])


def test_a_network_of_relus_predicts_the_same_as_spikes(tmp_path):
    altprop("train", *GLYPHS, "--net", "mlp:*-30-*", "--optimizer", "adam", "--lr", 3e-3, "--epochs", 2, "--threads", 1,
            "--probe-every", 0, "--out", tmp_path / "a")
    plain, spikes = (json.loads(altprop("predict", tmp_path / "a", "--json", *more).out)
                     for more in ((), ("--as", "spikes")))
    assert [row["prediction"] for row in plain["predictions"]] == [row["prediction"] for row in spikes["predictions"]]
    assert plain["accuracy"] == spikes["accuracy"] > 0.2
    assert spikes["loss"] == pytest.approx(plain["loss"], abs=1e-4) and spikes["loss"] != plain["loss"]
    told = altprop("predict", tmp_path / "a", "--as", "spikes", "--out", tmp_path / "table.csv").err
    assert "network of first spikes, in windows of 1, " in told
    altprop("train", *GLYPHS, "--net", "mlp:*-9-*:tanh", "--epochs", 1, "--out", tmp_path / "b", "--probe-every", 0)
    refused = altprop("predict", tmp_path / "b", "--as", "spikes", code=2)
    assert "must be followed by relu" in refused.err and len(refused.err) < 700


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    common = ["train", *GLYPHS, *EVENT, "--spike.fire-at", 0.5, "--probe-every", 0, "--threads", 1]
    altprop(*common, "--epochs", 3, "--out", tmp_path / "whole")
    altprop(*common, "--epochs", 3, "--max-steps", 12, "--out", tmp_path / "parts")
    altprop("resume", tmp_path / "parts", "--max-steps", 0)
    for key in ("test_loss", "test_accuracy"):
        assert records(tmp_path / "whole")[-1][key] == records(tmp_path / "parts")[-1][key]


@pytest.mark.parametrize("arguments, sentence", [
    (["--net", "relpsp:*-9-*"], "which the loss cross-entropy is not for"),
    (["--net", "mlp:*-9-*", "--loss", "spike-cross-entropy"], "which the loss spike-cross-entropy is not for"),
    ([*EVENT, "--data.normalise", "standard"], "intensities are from 0 to 1"),
    ([*EVENT, "--rule", "predictive-coding"], "values of layers settle as real numbers"),
    ([*EVENT, "--rule", "pfa"], "layer"),
    (["--net", "chain: latency, relu, relpsp-event *", "--loss", "spike-cross-entropy"], "activation built in"),
    (["--net", "mlp:*-9-*", "--spike.fire-at", 1], "no relpsp-event layer"),
    ([*EVENT, "--spike.kappa", 0], "spike.kappa"),
])
def test_what_does_not_go_together_is_one_sentence(tmp_path, arguments, sentence):
    data = [] if "--data" in arguments else GLYPHS[:6] + ([] if "--data.normalise" in arguments else GLYPHS[6:])
    told = altprop("train", *data, *arguments, "--epochs", 1, "--out", tmp_path / "x", code=2)
    assert sentence in told.err and len(told.err) < 700 and told.err.count("\n") <= 2, told.err


def test_a_folder_that_is_not_there_is_named(tmp_path):
    told = altprop("train", "--data", "events", "--data.events.folder", "/nowhere", *EVENT, "--out", tmp_path / "x", code=1)
    assert "/nowhere" in told.err and "events.folder" in told.err


def test_events_of_moving_glyphs(tmp_path):
    altprop("train", "--data", "events", "--data.events.layout", "moving-glyphs", "--data.events.train", 200,
            "--data.events.test", 50, *EVENT, "--epochs", 1, "--out", tmp_path / "e", "--threads", 1)
    assert records(tmp_path / "e")[-1]["firing"][0]["units"] == 2 * 34 * 34
