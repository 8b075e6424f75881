"""The numbers that optimizer_values_test.cpp compares with are those of the pinned torch."""
import re
from pathlib import Path

import pytest
import torch_optim

NUMBER = r"-?\d+\.?\d*(?:e-?\d+)?"


def test_the_fixture_is_what_torch_gives():
    kept, made = ([float(x) for x in re.findall(NUMBER, text.partition("kCases")[2])]
                  for text in ((Path(__file__).parent / "torch_optim.h").read_text(), torch_optim.header()))
    assert len(kept) == len(torch_optim.KINDS) * 2 * (1 + torch_optim.STEPS * torch_optim.SIZE)
    assert kept == pytest.approx(made, rel=1e-12, abs=1e-14)
