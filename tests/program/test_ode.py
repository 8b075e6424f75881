"""Networks with ODE blocks from the command line: training, resuming, gradient methods, errors."""
import pytest
from program import GLYPHS, altprop

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
