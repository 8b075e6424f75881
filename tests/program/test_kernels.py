"""The choice of kernels: from the environment, into checkpoints, and back."""
from program import altprop, differing, records, texts, train


def meta(folder):
    return texts(folder / "checkpoint.safetensors")["altprop"]


def test_a_wrong_name_is_told_with_the_right_ones(tmp_path):
    r = altprop("list", "rules", code=2, env={"ALTPROP_KERNELS": "-rows,-outer"})
    assert r.err.startswith("altprop: ALTPROP_KERNELS: there is no own kernel 'outer'; there are outer-product, ")
    assert r.err.count("\n") == 1
    r = altprop("train", "--net", "mlp:784-8-10:relu", "--out", tmp_path / "run", code=2, env={"ALTPROP_LINEAR_BACKEND": "mkl"})
    assert "ALTPROP_LINEAR_BACKEND is 'aten' or 'onednn', not 'mkl'" in r.err


def test_a_resumed_run_takes_the_kernels_it_had(tmp_path):
    env = {"ALTPROP_KERNELS": "none", "ALTPROP_LINEAR_BACKEND": "aten"}
    train(tmp_path / "whole", "--epochs", 2, env=env)
    train(tmp_path / "parts", "--epochs", 1, env=env)
    first = meta(tmp_path / "parts")
    assert "rows" in first["kernels_off"] and first["instructions"] == "plain" and first["linear_backend"] == "aten"
    altprop("resume", tmp_path / "parts", "--epochs", 2, "--quiet")  # no variable says it
    assert meta(tmp_path / "parts") == first
    assert differing(tmp_path / "whole" / "checkpoint.safetensors", tmp_path / "parts" / "checkpoint.safetensors") == []


def test_other_instructions_are_said(tmp_path):
    train(tmp_path / "run", "--epochs", 1, env={"ATEN_CPU_CAPABILITY": "default"})
    said = altprop("resume", tmp_path / "run", "--epochs", 2, "--quiet", "--json").json["warnings"]
    differs = meta(tmp_path / "run")["library_instructions"] != "DEFAULT"  # else the processor has no others
    assert any("libtorch's used DEFAULT" in sentence for sentence in said) == differs
    assert len(records(tmp_path / "run")) == 2
