"""`altprop bench`: the fields it promises, for every rule that admits the network."""
import pytest

from program import altprop

FIELDS = {
    "work", "rule", "samples_per_second", "fraction_of_limit", "fraction_of_peak", "time_relative_to_backprop",
    "speedup_over_pytorch_eager",
}


@pytest.fixture(scope="module")
def rows():
    return altprop("bench", "--quick", "--json").json


def test_every_rule_that_admits_the_network_is_measured(rows):
    listed = altprop("describe", "--net", "mlp:784-500-500-10:relu", "--json").json["rules"]
    admitted = {name for name, refusal in listed.items() if not refusal}
    assert {row["rule"] for row in rows} == admitted
    assert {row["optimizer"] for row in rows if row["rule"] == "backprop"} == {"sgd", "momentum", "adam"}


def test_fields_and_ranges(rows):
    for row in rows:
        assert FIELDS <= row.keys()
        assert row["work"] == "mlp"
        assert row["samples_per_second"] > 0
        assert 0 < row["fraction_of_limit"] <= 1.3, row
        assert 0 < row["fraction_of_peak"] <= 1.3, row
        assert row["time_relative_to_backprop"] > 0
        assert row["speedup_over_pytorch_eager"] is None or row["speedup_over_pytorch_eager"] > 0
        if row["rule"] == "backprop":
            assert row["time_relative_to_backprop"] == 1


def test_arithmetic_of_backprop_is_counted_whole(rows):
    net = [784, 500, 500, 10]
    products = [a * b for a, b in zip(net, net[1:])]
    # forward and weight gradient everywhere, input credit everywhere but in the first layer
    flops = 2 * 64 * (3 * sum(products) - products[0])
    for row in rows:
        if row["rule"] == "backprop":
            assert row["gflop"] == pytest.approx(flops * 1e-9, rel=1e-6)


def test_an_lstm_reads_tokens_and_predictive_coding_sweeps_once():
    found = altprop("bench", "--work", "lstm", "--quick", "--batch", 8, "--json").json
    assert [row["rule"] for row in found] == ["backprop", "predictive-coding[pc.eta=1,pc.steps=150]"]
    # Three times, as above: the recurrent product of all steps but the first, whose state is zero, and the output of
    # every step. Tokens enter as rows of a table. 150 steps of relaxation in one sweep are no arithmetic beside it.
    gates, output = 49 * 128 * (4 * 128), 50 * 128 * 65
    for row in found:
        assert row["gflop"] == pytest.approx(3 * 2 * 8 * (gates + output) * 1e-9, rel=1e-6)


def test_gradients_of_an_ode_differ_by_the_evaluations_that_they_repeat():
    """Naive repeats none, symplectic 2 s - 1 of them in each step of s stages, aca s: 12, 19 and 16 times the arithmetic
    of an evaluation with a reverse pass that counts twice."""
    found = {row["rule"]: row["gflop"] for row in altprop("bench", "--work", "ode", "--quick", "--json").json}
    steps, stages = 25, 4
    evaluation = 2 * 256 * (17 * 128 + 128 * 128 + 128 * 16) * 1e-9
    naive = found["backprop[ode.gradient=naive]"]
    assert naive == pytest.approx(3 * steps * stages * evaluation, rel=0.01)  # and a layer outside
    for rule, repeated in {"backprop": 2 * stages - 1, "backprop[ode.gradient=aca]": stages,
                           "backprop[ode.gradient=one-checkpoint]": stages,
                           "backprop[ode.graph-stages=4]": stages}.items():
        assert found[rule] - naive == pytest.approx(steps * repeated * evaluation, rel=1e-6), rule


def test_errors_are_sentences():
    assert "there is no benchmark work 'mpl'" in altprop("bench", "--work", "mpl", code=2).err
    assert "no-such-rule" in altprop("bench", "--quick", "--rules", "no-such-rule", code=2).err


def test_without_the_limit_only_steps_are_measured():
    rows = altprop("bench", "--quick", "--rules", "fa", "--no-limit", "--json").json
    assert len(rows) > 1
    for row in rows:
        assert row["step_ms"] > 0 and row["limit_ms"] is None and row["fraction_of_limit"] is None
    assert "--no-limit" in altprop("bench", "--quick", "--no-limit", "--kernels", code=2).err
