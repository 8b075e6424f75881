"""Finished runs that several tests of a file look at."""
import pytest
from program import TINY, altprop


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two epochs with validation data, seed 1."""
    folder = tmp_path_factory.mktemp("commands") / "run"
    result = altprop("train", *TINY, "--epochs", 2, "--validation", 64, "--out", folder, "--seed", 1)
    return folder, result


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands") / "comparison"
    rules = "backprop,fa[lr=0.02,feedback.scale=2],dfa"
    result = altprop("compare", "--rules", rules, "--seeds", "1,2", *TINY, "--epochs", 1, "--json", "--out", folder)
    return folder, result
