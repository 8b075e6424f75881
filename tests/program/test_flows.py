"""Normalising flows from the command line: densities, samples, data without targets, errors."""
import csv
import json
import math

import numpy as np
import pytest
from program import GLYPHS, altprop

TOY = ["--data.toy.train", "512", "--data.toy.test", "256", "--threads", "1"]
NET = ["--net", "cnf:2:16x2:tanh:T=0.5,rtol=1e-3,atol=1e-3", "--loss", "likelihood", "--optimizer", "adam", "--lr", "5e-3"]


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    out = tmp_path_factory.mktemp("flow") / "run"
    summary = altprop("train", "--data", "moons", *TOY, *NET, "--batch", "128", "--epochs", "6", "--quiet", "--json", "--out", out).json
    return out, summary


def rows_of(text):
    return list(csv.DictReader(text.splitlines()))


def test_a_flow_learns_a_density_of_the_plane(flow):
    out, summary = flow
    losses = [json.loads(line)["test_loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0] and losses[-1] == summary["test_loss"]
    assert "test_accuracy" not in summary or summary["test_accuracy"] is None
    density = summary["density"]
    grid = np.array(density["density"])
    assert grid.shape == (64, 64) and (grid >= 0).all()
    area = np.prod(np.subtract(density["to"], density["from"])) / grid.size
    assert density["integral"] == pytest.approx(grid.sum() * area, rel=1e-2)
    assert 0.8 < density["integral"] < 1.05
    altprop("report", out)
    assert '"density"' in (out / "report.html").read_text()


def test_samples_are_drawn_by_seed_and_come_from_the_density(flow, tmp_path):
    out, _ = flow
    first = altprop("predict", out, "--sample", "300", "--seed", "3").out
    assert altprop("predict", out, "--sample", "300", "--seed", "3").out == first
    assert altprop("predict", out, "--sample", "300", "--seed", "4").out != first
    rows = rows_of(first)
    assert len(rows) == 300 and list(rows[0]) == ["id", "x0", "x1"]
    values = np.array([[float(r["x0"]), float(r["x1"])] for r in rows])
    np.save(tmp_path / "drawn.npy", values.astype(np.float32))
    listed = altprop("predict", out, "--sample", "300", "--seed", "3", "--json").json["samples"]
    assert np.allclose(listed, values, rtol=1e-5)
    said = altprop("predict", out, "--sample", "5", "--out", tmp_path / "five.csv").out
    assert "5 samples" in said and len((tmp_path / "five.csv").read_text().splitlines()) == 6
    # Their mean log density is minus the entropy of the flow, and that of its test data is lower.
    own = [float(r["log_density"]) for r in rows_of(altprop("predict", out, "--input", tmp_path / "drawn.npy").out)]
    assert len(own) == 300 and np.mean(own) == pytest.approx(-2.6, abs=0.7)


def test_the_likelihood_of_a_file_is_that_of_its_samples(flow, tmp_path):
    out, summary = flow
    mine = altprop("predict", out)
    values = [float(r["log_density"]) for r in rows_of(mine.out)]
    assert np.mean(values) == pytest.approx(-summary["test_loss"], rel=1e-4)
    assert "loss" in mine.err
    far = np.array([[0.0, 0.0], [9.0, 9.0]], dtype=np.float32)
    np.save(tmp_path / "far.npy", far)
    near, away = (float(r["log_density"]) for r in rows_of(altprop("predict", out, "--input", tmp_path / "far.npy").out))
    assert near > away + 5
    first = altprop("predict", out, "--input", tmp_path / "far.npy", "--json").json
    assert first["predictions"][0]["log_density"] == pytest.approx(near, rel=1e-5)


def test_tables_and_arrays_without_targets(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 3)) * [1, 2, 30] + [0, 5, -100]
    np.save(tmp_path / "x.npy", values)
    lines = ["a,b,c", *(",".join(map(str, row)) for row in values)]
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    net = ["--net", "cnf:*:8:tanh:steps=2,solver=rk4", "--loss", "likelihood", "--epochs", "1", "--threads", "1", "--quiet", "--json",
           "--optimizer", "adam", "--lr", "1e-3"]
    a = altprop("train", "--data", "npy", "--data.npy.train-x", tmp_path / "x.npy", "--data.npy.task", "unlabelled", *net,
                "--out", tmp_path / "a").json
    b = altprop("train", "--data", "csv", "--data.csv.train", tmp_path / "x.csv", "--data.csv.task", "unlabelled", *net,
                "--out", tmp_path / "b").json
    assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-5)
    assert 3 < a["train_loss"] < 5.5  # three normal values: 4.26 nats at best
    drawn = rows_of(altprop("predict", tmp_path / "b", "--sample", "400").out)
    means = [np.mean([float(r[f"x{k}"]) for r in drawn]) for k in range(3)]
    assert (np.abs(means - values.mean(0)) < 2 * values.std(0)).all()  # in the units of the file
    one = rows_of(altprop("predict", tmp_path / "b", "--input", tmp_path / "x.csv").out)
    other = rows_of(altprop("predict", tmp_path / "a", "--input", tmp_path / "x.npy").out)
    assert float(one[0]["log_density"]) == pytest.approx(float(other[0]["log_density"]), rel=1e-4)


def test_a_resumed_flow_equals_an_uninterrupted_one(tmp_path):
    net = ["--net", "cnf:2:8:tanh:trace=hutchinson,steps=2,solver=rk4,T=0.5", "--loss", "likelihood", "--optimizer", "adam"]
    args = ["--data", "pinwheel", *TOY, *net, "--quiet", "--json"]
    whole = altprop("train", *args, "--epochs", "2", "--out", tmp_path / "w").json
    altprop("train", *args, "--epochs", "1", "--out", tmp_path / "r")
    assert altprop("resume", tmp_path / "r", "--epochs", "2", "--quiet", "--json").json["test_loss"] == whole["test_loss"]


def test_feedback_rules_train_flows_and_others_refuse_them(tmp_path):
    net = ["--net", "cnf:2:16:tanh:steps=4,solver=rk4,T=0.5", "--loss", "likelihood", "--optimizer", "adam", "--lr", "5e-3"]
    for rule in ("uniform-sign", "kolen-pollack"):
        first, last = (altprop("train", "--rule", rule, "--data", "8gaussians", *TOY, *net, "--epochs", n, "--quiet", "--json",
                               "--out", tmp_path / f"{rule}{n}").json["test_loss"] for n in (1, 4))
        assert math.isfinite(last) and last < first
    err = altprop("train", "--rule", "predictive-coding", "--data", "8gaussians", *TOY, *net, "--out", tmp_path / "pc", code=2).err
    assert "made of parts" in err and err.count("\n") == 1


@pytest.mark.parametrize("args, says", [
    (["--data", "moons", "--loss", "cross-entropy", "--net", "cnf:2:8:tanh"], "no targets"),
    (["--data", "moons", "--loss", "likelihood", "--net", "mlp:2-8-3"], "use a cnf: network"),
    (["--data", "moons", "--loss", "likelihood", "--net", "cnf:2:8:relu"], "(relu)"),
    (["--data", "glyphs", "--loss", "cross-entropy", "--net", "cnf:*:8:tanh", *GLYPHS], "use --loss likelihood"),
    (["--data", "csv", "--data.csv.train", "X", "--data.csv.task", "unlabelled", "--data.csv.target", "first",
      "--net", "cnf:*:8:tanh", "--loss", "likelihood"], "there is no target"),
    (["--data", "npy", "--data.npy.train-x", "X", "--data.npy.train-y", "Y", "--data.npy.task", "unlabelled",
      "--net", "cnf:*:8:tanh", "--loss", "likelihood"], "npy.train-y"),
])
def test_what_is_no_flow_ends_in_one_sentence(args, says, tmp_path):
    err = altprop("train", *args, "--out", tmp_path / "r", code=2).err
    assert says in err and err.count("\n") == 1 and len(err) < 700


def test_samples_of_what_is_no_flow_are_refused(tmp_path):
    altprop("train", "--net", "mlp:784-8-10:tanh", *GLYPHS, "--epochs", "1", "--quiet", "--out", tmp_path / "r")
    assert "normalising flow" in altprop("predict", tmp_path / "r", "--sample", "3", code=2).err
    altprop("predict", tmp_path / "r", "--sample", "0", code=2)
    altprop("predict", tmp_path / "r", "--seed", "2", code=2)


def test_describe_and_check_know_flows():
    said = altprop("describe", "--net", "cnf:2:16x2:tanh:steps=4,solver=rk4", "--data", "moons").out
    assert "ode1" in said and "symplectic" in said
    layers = altprop("check", "--net", "cnf:2:8:tanh:steps=2,solver=rk4", "--data", "moons", *TOY, "--loss", "likelihood",
                     "--json").json["layers"]
    assert max(row["relative_error"] for row in layers) < 1e-12
