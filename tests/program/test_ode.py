"""Networks with ODE blocks from the command line: training, resuming, gradient methods, errors."""
import re
import subprocess

import pytest
from program import BUILD, GLYPHS, altprop, records

NET = "chain: linear 12, ode{linear 16, tanh, linear 12} solver=dopri5 rtol=1e-3 time=concat, linear *"
SMALL = ["--net", NET, *GLYPHS, "--threads", "1"]


def loss_of(out, *args):
    return altprop("train", *SMALL, "--quiet", "--json", "--epochs", "1", "--out", out, *args).json["test_loss"]


def test_exact_gradient_methods_train_alike_and_the_adjoint_does_not(tmp_path):
    methods = ["naive", "one-checkpoint", "aca", "symplectic"]
    losses = [loss_of(tmp_path / m, "--ode.gradient", m, "--dtype", "float64") for m in methods]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-10)
    other = loss_of(tmp_path / "adjoint", "--ode.gradient", "adjoint", "--dtype", "float64")
    assert other != pytest.approx(losses[0], rel=1e-12) and other == pytest.approx(losses[0], rel=1e-2)


def test_a_resumed_run_keeps_the_gradient_method(tmp_path):
    altprop("train", *SMALL, "--quiet", "--epochs", "1", "--ode.gradient", "aca", "--out", tmp_path / "r")
    whole = altprop("train", *SMALL, "--quiet", "--json", "--epochs", "2", "--ode.gradient", "aca", "--out", tmp_path / "w").json
    assert 'ode.gradient = "aca"' in "".join(f.read_text() for f in (tmp_path / "r").glob("*.toml"))
    resumed = altprop("resume", tmp_path / "r", "--epochs", "2", "--quiet", "--json").json
    assert resumed["test_loss"] == whole["test_loss"]


def test_a_check_compares_the_adjoint_with_the_exact_gradient():
    def worst(method):
        layers = altprop("check", *SMALL, "--ode.gradient", method, "--json").json["layers"]
        return max(row["relative_error"] for row in layers)
    assert worst("symplectic") < 1e-13
    assert 1e-9 < worst("adjoint") < 1e-1


def test_the_adjoint_takes_tolerances_of_its_own(tmp_path):
    def adjoint(*options):
        rows = altprop("check", *SMALL, "--ode.gradient", "all", *options, "--json").json["methods"]
        return next(row for row in rows if row["method"].startswith("adjoint"))
    usual, tight, full = adjoint(), adjoint("--ode.adjoint-rtol", "1e-8", "--ode.adjoint-atol", "1e-8"), adjoint("--ode.adjoint-seminorm", "false")
    # What is left of its error is that of the block's own steps.
    assert tight["gradient_error"] < usual["gradient_error"] and "rtol 1e-08" in tight["method"]
    assert tight["reverse_evaluations"] > 2 * usual["reverse_evaluations"]
    assert full["reverse_evaluations"] != usual["reverse_evaluations"]
    no_effect = altprop("train", *SMALL, "--ode.adjoint-rtol", "1e-8", "--out", tmp_path / "n", code=2).err
    assert "ode.adjoint-rtol" in no_effect and "ode.gradient=adjoint" in no_effect
    both = altprop("train", *SMALL, "--ode.adjoint-rtol", "1e-8", "--ode.memory", "1GB", "--out", tmp_path / "n", code=2).err
    assert "left out" in both


def test_describe_says_which_rules_refuse():
    said = altprop("describe", "--net", NET, "--data", "glyphs").out
    assert "feedback-alignment: accepts" in said
    for rule in ("predictive-coding", "activation-relaxation", "direct-feedback-alignment"):
        assert f"\n{rule}: node 'ode1'" in said


def test_a_gradient_method_without_a_block_is_an_error():
    err = altprop("check", "--net", "mlp:784-16-10:relu", "--ode.gradient", "aca", code=2).err
    assert "no effect" in err and err.count("\n") == 1


def test_what_diverges_ends_in_one_sentence(tmp_path):
    net = "chain: linear 12, ode{linear 12, relu, linear 12} solver=dopri5 max-steps=40, linear *"
    result = altprop("train", "--net", net, *GLYPHS, "--lr", "1000", "--epochs", "1", "--quiet", "--out", tmp_path / "d", code=1)
    assert "ode: " in result.err and " time " in result.err and len(result.err) < 700


def test_all_gradient_methods_in_one_table():
    rows = {row["method"]: row for row in altprop("check", *SMALL, "--ode.gradient", "all", "--json").json["methods"]}
    assert rows["naive"]["gradient_error"] == 0 and rows["naive"]["reverse_evaluations"] == 0
    for name in ("one-checkpoint", "aca", "symplectic", "binomial"):
        assert rows[name]["gradient_error"] < 1e-13 and rows[name]["input_error"] < 1e-13, name
    assert 1e-9 < rows["adjoint"]["gradient_error"] < 1e-1
    assert "solver=alf" in rows["mali"]["refused"]
    steps = rows["naive"]["accepted_steps"]
    assert steps > 1 and rows["aca"]["reverse_evaluations"] == 6 * steps
    assert rows["symplectic"]["reverse_evaluations"] == 11 * steps
    assert rows["symplectic"]["peak_bytes"] < rows["aca"]["peak_bytes"] < rows["naive"]["peak_bytes"]
    table = altprop("check", *SMALL, "--ode.gradient", "all").out
    assert "gradient error" in table and "\nsymplectic" in table


def test_the_table_is_of_backprop_and_of_networks_with_a_block():
    assert "leave --rule out" in altprop("check", *SMALL, "--rule", "fa", "--ode.gradient", "all", code=2).err
    assert "no ODE block" in altprop("check", "--net", "mlp:784-16-10:relu", "--ode.gradient", "all", code=2).err
    assert "symplectic" in altprop("check", *SMALL, "--ode.gradient", "symplectik", code=2).err


def test_describe_predicts_what_the_methods_take():
    fixed = NET.replace("rtol=1e-3", "steps=9").replace("dopri5", "rk4")
    args = ("--net", fixed, "--data", "glyphs", "--json")
    block = altprop("describe", *args).json["ode_blocks"][0]
    assert block["stages"] == 4 and block["steps"] == 9 and block["state_bytes"] == 64 * 12 * 4
    bytes_of = {row["method"]: row["bytes"] for row in block["methods"]}
    assert bytes_of["binomial"] < bytes_of["symplectic"] < bytes_of["aca"] < bytes_of["naive"]
    reverse = {row["method"]: row["reverse_evaluations"] for row in block["methods"]}
    assert (reverse["naive"], reverse["aca"], reverse["symplectic"]) == (0, 36, 63)
    adaptive = altprop("describe", "--net", NET, "--data", "glyphs", "--json").json["ode_blocks"][0]
    assert adaptive["adaptive"] and 0 < adaptive["steps"] < 100
    assert all("bytes_at_max_steps" in row and "bytes" in row for row in adaptive["methods"])


def test_memory_chooses_the_fastest_method_that_fits(tmp_path):
    fixed = NET.replace("rtol=1e-3", "steps=9").replace("dopri5", "rk4")
    small = ["--net", fixed, *GLYPHS, "--threads", "1", "--epochs", "1"]

    def choice(memory):
        result = altprop("train", *small, "--ode.memory", memory, "--json", "--out", tmp_path / memory)
        assert result.json["ode_gradient"] in result.err
        return result.json["ode_gradient"], result.json["test_loss"]
    plenty, middle, little = choice("1GB"), choice("120kB"), choice("45kB")
    assert "by naive" in plenty[0] and "by aca" in middle[0] and ("symplectic" in little[0] or "binomial" in little[0])
    assert plenty[1] == pytest.approx(middle[1], rel=1e-5) == pytest.approx(little[1], rel=1e-5)
    nothing = altprop("train", *small, "--ode.memory", "1kB", "--out", tmp_path / "no", code=2).err
    assert "smallest exact method" in nothing and nothing.count("\n") == 1
    both = altprop("train", *small, "--ode.memory", "1GB", "--ode.gradient", "aca", "--out", tmp_path / "no", code=2).err
    assert "left out" in both
    bad = altprop("train", *small, "--ode.memory", "much", "--out", tmp_path / "no", code=2).err
    assert "2GB" in bad


def test_a_run_with_a_bound_resumes_to_the_same_numbers(tmp_path):
    args = [*SMALL, "--quiet", "--ode.memory", "100kB"]
    altprop("train", *args, "--epochs", "1", "--out", tmp_path / "r")
    whole = altprop("train", *args, "--json", "--epochs", "2", "--out", tmp_path / "w").json
    resumed = altprop("resume", tmp_path / "r", "--epochs", "2", "--quiet", "--json").json
    assert resumed["test_loss"] == whole["test_loss"]


def test_outputs_at_several_times_and_a_learnt_end_train(tmp_path):
    net = NET.replace("rtol=1e-3", "rtol=1e-3 outputs=3 learn-T=sqrt").replace(", linear *", ", flatten, linear *")
    summary = altprop("train", "--net", net, *GLYPHS, "--epochs", "2", "--quiet", "--json", "--out", tmp_path / "t").json
    assert summary["test_accuracy"] > 0.2
    rows = altprop("check", "--net", net, *GLYPHS, "--json").json["layers"]
    assert [row["relative_error"] < 1e-13 for row in rows if row["name"].endswith(".T")] == [True]


def test_records_tell_how_far_credit_inside_of_a_block_is_from_the_exact_one(tmp_path):
    net = ["--net", "chain: linear 6, ode{linear 8, tanh, linear 6} solver=rk4 steps=2, linear *"]
    data = ["--data.glyphs.train", 200, "--data.glyphs.test", 50, "--epochs", 1, "--quiet", "--threads", 1]
    for rule in ("fa", "backprop"):
        altprop("train", "--rule", rule, *net, *data, "--out", tmp_path / rule)
    [record] = records(tmp_path / "fa")
    places = [(row["name"], row["step"], row["stage"]) for row in record["ode_credit"]]
    assert places == [(f"ode1.fc{i}", step, stage) for i in (1, 2) for step in range(2) for stage in range(4)]
    assert all(5 < row["angle_degrees"] < 175 for row in record["ode_credit"])
    assert "ode_credit" not in records(tmp_path / "backprop")[0]


def test_records_watch_the_bound_on_the_credit_of_weights_that_flow(tmp_path):
    data = ["--data.glyphs.train", 200, "--data.glyphs.test", 50, "--epochs", 1, "--quiet", "--threads", 1]
    for flow in ("iso", "constant"):
        altprop("train", "--net", f"ode-to-ode:*-8-*:tanh:flow={flow},steps=10", *data, "--out", tmp_path / flow)
    [row] = records(tmp_path / "iso")[0]["credit_growth"]
    assert (row["lower_bound"], row["upper_bound"]) == pytest.approx((0.9**10, 1.1**10))
    assert row["lower_bound"] <= row["least"] < row["most"] <= row["upper_bound"]
    [free] = records(tmp_path / "constant")[0]["credit_growth"]
    assert free["least"] < free["most"] and free.get("upper_bound") is None


OF_EACH = NET.replace("rtol=1e-3", "rtol=1e-3 steps-of=sample")


def test_samples_with_steps_of_their_own_train(tmp_path):
    args = [*GLYPHS, "--threads", "1", "--dtype", "float64", "--quiet", "--json", "--epochs", "2"]
    own, shared = (altprop("train", "--net", net, *args, "--out", tmp_path / name).json
                   for net, name in ((OF_EACH, "each"), (NET, "all")))
    assert own["test_accuracy"] > 0.2 and own["test_loss"] == pytest.approx(shared["test_loss"], rel=1e-2)
    assert own["test_loss"] != shared["test_loss"]


def test_exact_gradient_methods_agree_with_steps_of_each_sample():
    rows = {row["method"]: row for row in altprop("check", "--net", OF_EACH, *GLYPHS, "--threads", "1", "--ode.gradient", "all", "--json").json["methods"]}
    for name in ("one-checkpoint", "aca", "symplectic", "binomial"):
        assert rows[name]["gradient_error"] < 1e-13 and rows[name]["input_error"] < 1e-13, name
    assert "steps-of=sample" in rows["adjoint"]["refused"]
    block = altprop("describe", "--net", OF_EACH, "--data", "glyphs", "--json").json["ode_blocks"][0]
    assert block["adaptive"] and 0 < block["steps"] < 100
    assert "adjoint" not in {row["method"] for row in block["methods"]}


def test_constants_reversible_steps_and_outputs_between_steps_train(tmp_path):
    net = ("dag: x = flatten(input); c = tanh(linear(x, 12)); y = ode(linear(x, 12), solver=bosh3, coupling=0.99, steps=4)"
           "{h = tanh(linear(with-time(z), 16)); output linear(concat(h, c), 12)}; "
           "w = ode(y, times=0.3/0.6/1, interpolate=true, steps-of=sample){output tanh(linear(add(z, c), 12))}; "
           "output linear(flatten(w), *)")
    run = ["--net", net, *GLYPHS, "--threads", "1"]
    rows = altprop("check", *run, "--json").json["layers"]
    assert all(row["relative_error"] < 1e-13 for row in rows) and any(row["name"].startswith("y.") for row in rows)
    summary = altprop("train", *run, "--rule", "fa", "--epochs", "4", "--lr", "0.05", "--quiet", "--json", "--out", tmp_path / "t").json
    assert summary["test_accuracy"] > 0.25


def test_the_page_on_events_runs():
    out = subprocess.run([BUILD / "example_bouncing_ball"], capture_output=True, text=True, timeout=300)
    assert out.returncode == 0 and "1.500 m" in out.stdout, out


def test_the_page_on_a_neural_ode_fits_its_spiral():
    out = subprocess.run([BUILD / "example_neural_ode"], capture_output=True, text=True, timeout=600)
    assert out.returncode == 0 and float(out.stdout.split()[-1]) < 1e-2, out


def test_the_page_on_evolution_strategies_comes_close_to_the_best_controller():
    out = subprocess.run([BUILD / "example_evolution_strategies", "integrator", "60"], capture_output=True, text=True, timeout=600)
    assert out.returncode == 0, out
    ratio = re.search(r"double integrator: (\S+) times the lowest cost", out.stdout)
    assert 1 <= float(ratio.group(1)) <= 1.2, out.stdout
