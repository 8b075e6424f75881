"""Networks of neuromorphic cores: trained, deployed, exported, and run again by a simulator that knows only the file."""
import json
import pathlib
import subprocess
import sys

import pytest

from program import altprop, records

ROOT = pathlib.Path(__file__).parents[2]

NET = "chain: cores 16 patch=16 stride=12, cores 100, class-sums *"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cores") / "run"
    altprop("train", "--net", NET, "--data.normalise", "unit", "--data.glyphs.train", "1500", "--data.glyphs.test", "300",
        "--optimizer", "adam", "--lr", "0.02", "--lr-of", "leaks=5", "--batch", "50", "--epochs", "2", "--probe-every", "0",
        "--threads", "1", "--out", folder)
    return folder


def deployed(folder, *flags):
    return json.loads(altprop("deploy", folder, "--json", *flags).out)


def test_deploy_says_accuracy_by_members_and_energy(trained):
    found = deployed(trained, "--members", "1,8", "--draws", "4")
    one, eight = found["ensembles"]
    assert (found["cores"], found["images"], one["members"], eight["members"]) == (5, 300, 1, 8)
    assert len(one["accuracies"]) == 4 and 0.1 < one["accuracy"] < eight["accuracy"]
    assert one["energy_estimate"] == pytest.approx(5 * 63e-6 * 1e-3)
    assert eight["energy_estimate"] == pytest.approx(8 * one["energy_estimate"])
    assert 0 < found["half_way"] < 1 and 0 < found["distance"] < 0.5
    table = altprop("deploy", trained, "--members", "1,8", "--draws", "4").out
    assert "5 cores, 300 images" in table and "energy (estimate)" in table
    assert f"{100 * eight['accuracy']:.2f}" in table


def test_energy_goes_by_the_power_of_a_core(trained):
    usual, other = (deployed(trained, "--members", "2", "--draws", "1", *more)["ensembles"][0]["energy_estimate"]
                    for more in ((), ("--energy.core-power", "82e-6")))
    assert other == pytest.approx(usual * 82 / 63)
    table = altprop("deploy", trained, "--members", "2", "--draws", "1", "--energy.core-power", "70e-6").out
    assert "at 70 uW a core; the published figures make 63 to 82 uW" in table


def test_what_was_deployed_is_kept_in_the_folder_of_the_run(trained):
    found = deployed(trained, "--members", "1,4", "--draws", "3", "--images", "50", "--seed", "3")
    kept = json.loads((trained / "deploy.json").read_text())
    assert {key: kept[key] for key in found} == found
    how = {"split": "test", "input": "bernoulli", "ticks": 1, "leak": "round", "seed": 3}
    assert {key: kept[key] for key in how} == how
    assert kept["state"].endswith(".safetensors") and kept["run"]
    one, four = (row["rms_distance"] for row in found["ensembles"])
    assert found["limit"]["spread"] > 0 and one > four > 0
    assert [layer["name"] for layer in found["connections"]] == ["cores1", "cores2"]
    altprop("report", trained)
    assert '"rms_distance"' in (trained / "report.html").read_text()


def test_records_tell_how_decided_synapses_are(tmp_path):
    flags = ("--net", NET, "--data.normalise", "unit", "--data.glyphs.train", "200", "--data.glyphs.test", "50",
             "--optimizer", "adam", "--lr", "0.02", "--epochs", "1", "--threads", "1")
    altprop("train", *flags, "--out", tmp_path / "run")
    last = records(tmp_path / "run")[-1]
    assert [layer["name"] for layer in last["connections"]] == ["cores1", "cores2"]
    for layer in last["connections"]:  # not far yet from uniform in [0, 1]
        assert layer["distance"] == pytest.approx(0.25, abs=0.03) and layer["half_way"] == pytest.approx(0.8, abs=0.06)
    # What was deployed is gone with the run that it was of.
    altprop("deploy", tmp_path / "run", "--members", "1", "--draws", "1", "--images", "5")
    assert (tmp_path / "run/deploy.json").exists()
    altprop("train", *flags, "--out", tmp_path / "run", "--overwrite")
    assert not (tmp_path / "run/deploy.json").exists()


def test_engines_and_threads_change_nothing(trained):
    flags = ("--members", "3", "--draws", "2", "--ticks", "2", "--leak", "stochastic")
    usual = deployed(trained, *flags)["ensembles"]
    assert deployed(trained, *flags, "--engine", "float")["ensembles"] == usual
    assert deployed(trained, *flags, "--seed", "8")["ensembles"] != usual


@pytest.mark.parametrize("member", [0, 70])
def test_the_simulator_fires_as_the_deployed_network(trained, tmp_path, member):
    altprop("export", trained, "--as", "cores", "--member", str(member), "--images", "120", "--out", tmp_path)
    simulator = [sys.executable, str(ROOT / "examples/cores_simulator.py"), str(tmp_path)]
    said = subprocess.run(simulator, capture_output=True, text=True, check=True).stdout
    assert said.startswith("120 images, 100 output neurons each: all spikes as written")
    # A spoilt connection shows.
    mapping = json.loads((tmp_path / "mapping.json").read_text())
    core = mapping["cores"][4]
    core["connections"] = ["".join("10"[int(bit)] for bit in row) for row in core["connections"]]
    (tmp_path / "mapping.json").write_text(json.dumps(mapping))
    assert subprocess.run(simulator, capture_output=True).returncode != 0


def simulated(folder):
    """The accuracy that the plain simulator finds, in per cent."""
    simulator = [sys.executable, str(ROOT / "examples/cores_simulator.py"), str(folder)]
    said = subprocess.run(simulator, capture_output=True, text=True, check=True).stdout
    assert "all spikes as written" in said
    return float(said.split("accuracy ")[1].split()[0])


@pytest.mark.parametrize("encoding", [("--input", "threshold"), ("--input", "rate", "--ticks", "3"),
                                      ("--input", "bernoulli", "--ticks", "2")], ids=lambda flags: flags[1])
def test_what_is_exported_is_what_was_deployed(tmp_path, encoding):
    core = "synapse=deterministic fire-on-zero=true"
    net = f"chain: cores 16 patch=16 stride=12 {core}, cores 100 {core}, class-sums *"
    altprop("train", "--net", net, "--data.normalise", "unit", "--data.glyphs.train", "600", "--data.glyphs.test", "150",
            "--optimizer", "adam", "--lr", "0.02", "--batch", "50", "--epochs", "2", "--probe-every", "0", "--threads", "1",
            "--out", tmp_path / "run")
    found = deployed(tmp_path / "run", "--members", "1", "--draws", "1", *encoding)
    altprop("export", tmp_path / "run", "--as", "cores", "--images", "150", "--out", tmp_path / "map", *encoding)
    ticks = int(encoding[3]) if len(encoding) > 2 else 1
    assert len((tmp_path / "map/inputs.txt").read_text().split()) == 150 * ticks
    assert len((tmp_path / "map/classes.txt").read_text().split()) == 150
    assert simulated(tmp_path / "map") == pytest.approx(100 * found["ensembles"][0]["accuracy"], abs=0.051)
    if encoding == ("--input", "threshold"):
        assert found["network_accuracy"] == found["ensembles"][0]["accuracy"]
    told = altprop("export", tmp_path / "run", "--as", "ranc", "--images", "3", "--out", tmp_path / "ranc", *encoding).err
    assert len(json.loads((tmp_path / "ranc/input.json").read_text())["packets"]) == 3 * ticks
    assert ("line k + 2" if ticks == 1 else f"line {ticks} k + t + 2") in told


def test_a_mapping_is_deployed_from_its_file(trained, tmp_path):
    altprop("export", trained, "--as", "cores", "--out", tmp_path)
    found = json.loads(altprop("deploy", tmp_path / "mapping.json", "--data", "glyphs", "--members", "1", "--draws", "3",
                           "--images", "300", "--json").out)
    assert found["images"] == 300 and found["ensembles"][0]["accuracy"] > 0.1
    mapping = json.loads((tmp_path / "mapping.json").read_text())
    mapping["cores"][0]["types"][3] = 9
    (tmp_path / "mapping.json").write_text(json.dumps(mapping))
    refused = altprop("deploy", tmp_path / "mapping.json", "--data", "glyphs", code=2)
    assert "core 0, axon 3" in refused.err and len(refused.err) < 700


def test_ranc_files_hold_the_same_network(trained, tmp_path):
    altprop("export", trained, "--as", "cores", "--images", "5", "--out", tmp_path / "cores")
    said = altprop("export", trained, "--as", "ranc", "--images", "5", "--out", tmp_path / "ranc").err
    assert "line k + 2" in said
    mapping = json.loads((tmp_path / "cores/mapping.json").read_text())
    ranc = json.loads((tmp_path / "ranc/input.json").read_text())
    config = json.loads((tmp_path / "ranc/config.json").read_text())
    assert ranc["output_bus"] == {"coordinates": [5, 0], "num_outputs": 100}
    assert (config["num_cores_x"], config["num_cores_y"]) == (6, 1)
    inputs = (tmp_path / "cores/inputs.txt").read_text().split()
    for k, core in enumerate(ranc["cores"]):
        ours = mapping["cores"][k]
        assert core["coordinates"] == [k, 0]
        assert core["axons"][:len(ours["types"])] == ours["types"] and len(core["axons"]) == 256
        for j, neuron in enumerate(core["neurons"]):
            assert neuron["weights"] == ours["strengths"][j] and neuron["leak"] == ours["leaks"][j]
            assert "".join(map(str, core["connections"][j])).startswith(ours["connections"][j])
            goes_to = k + neuron["destination_core_offset"][0]
            if goes_to < 5:
                assert mapping["cores"][goes_to]["axons"][neuron["destination_axon"]] == [k, j]
            else:
                assert mapping["votes"][neuron["destination_axon"]][:2] == [k, j]
    for image, packets in enumerate(ranc["packets"]):
        seen = {(p["destination_core"][0], p["destination_axon"]) for p in packets}
        for k in range(4):
            for axon, (_, pixel) in enumerate(mapping["cores"][k]["axons"]):
                assert ((k, axon) in seen) == (inputs[image][pixel] == "1")


def test_check_agrees_and_refusals_are_sentences(tmp_path):
    checked = altprop("check", "--rule", "backprop", "--net", NET, "--data.normalise", "unit").out
    assert "cores1.connections" in checked and "leaks" in checked
    for flags, part in [(("--net", NET), "scale the data to [0, 1]"),
                        (("--net", NET, "--data.normalise", "unit", "--rule", "predictive-coding"), "probabilities"),
                        (("--net", "chain: cores 300, class-sums *"), "256"),
                        (("--net", "chain: linear 20, cores 20, class-sums *"), "probabilities"),
                        (("--net", "chain: cores 16 patch=16 stride=12, cores 101, class-sums *"), "use 100"),
                        (("--net", "truenorth:7"), "30")]:
        refused = altprop("train", *flags, "--overwrite", "--out", tmp_path / "x", code=2)
        assert part in refused.err and len(refused.err) < 700, refused.err


def test_what_is_no_network_of_cores_is_not_deployed(tmp_path):
    altprop("train", "--net", "mlp:784-10", "--data.glyphs.train", "100", "--data.glyphs.test", "50", "--epochs", "1",
        "--probe-every", "0", "--out", tmp_path / "mlp")
    for command in (("deploy", tmp_path / "mlp"), ("export", tmp_path / "mlp", "--as", "cores")):
        refused = altprop(*command, code=2)
        assert "no core holds the operation linear" in refused.err
    refused = altprop("export", tmp_path / "mlp", "--member", "3", code=2)
    assert "--as cores" in refused.err
