"""The Python blocks of README.md and docs/python.md run as they are written."""
import re
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from package import altprop
from torch import nn

ROOT = Path(__file__).parents[2]


def blocks(page):
    text = (ROOT / page).read_text()
    return [code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "altprop" in code]


def surroundings():
    """What the blocks take for granted."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.randn(32, 8)
    y = (x @ torch.randn(8, 3)).argmax(1)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=8)
    return {"altprop": altprop, "torch": torch, "model": model, "x": x, "y": y, "example": x[:2], "loader": loader,
            "optimizer": torch.optim.SGD(model.parameters(), lr=0.1), "loss_function": nn.CrossEntropyLoss()}


def test_the_readmes_pair_of_lines():
    [block] = blocks("README.md")
    names = surroundings()
    exec(block, names)
    assert names["loss"].item() > 0 and all(p.grad is not None for p in names["model"].parameters())


def test_the_page_of_the_package(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/address", rank=0, world_size=1)
    try:
        names = surroundings()
        found = blocks("docs/python.md")
        assert len(found) >= 4
        for block in found:
            names["optimizer"] = torch.optim.SGD(names["model"].parameters(), lr=0.1)
            exec(block, names)
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_pages_have_blocks(page):
    assert blocks(page)
