"""altprop export: weights for other programs, and the loader that the documentation prints."""
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from program import TINY, altprop, assert_one_sentence, checkpoint, records, save_checkpoint, summary, texts, train

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
COLOURS = 3


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Colour images of four classes, each a bright quarter, in NumPy files."""
    place, random = tmp_path_factory.mktemp("images"), np.random.default_rng(1)
    for part, count in {"train": 400, "test": 203}.items():
        y = random.integers(0, 4, count)
        x = random.integers(0, 160, (count, COLOURS, 8, 8))
        for image, label in zip(x, y):
            image[:, 4 * (label // 2):4 * (label // 2) + 4, 4 * (label % 2):4 * (label % 2) + 4] += 20
        x[:, 1] //= 3  # so that the channels differ
        np.save(place / f"{part}-x.npy", x.astype(np.uint8))
        np.save(place / f"{part}-y.npy", y.astype(np.int64))
    return place


def of(images):
    return ["--data", "npy", *(f"--data.npy.{part}-{what}={images}/{part}-{what}.npy" for part in ("train", "test") for what in "xy"),
            "--threads", 1, "--quiet", "--batch", 16]


def printed_loader():
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1]
    function = code[code.index("def load_mlp"):]
    assert len([line for line in function.splitlines() if line.strip()]) <= 15
    names = {}
    exec(code, names)
    return names["load_mlp"]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_printed_loader_gives_the_runs_accuracy(images, tmp_path, activation):
    run = tmp_path / "run"
    altprop("train", *of(images), "--net", f"mlp:*-24-12-4:{activation}", "--epochs", 3, "--validation", 80, "--out", run)
    recorded = summary(run)
    for state, record in {"auto": records(run)[recorded["best_epoch"] - 1], "best": records(run)[recorded["best_epoch"] - 1],
                          "last": records(run)[-1]}.items():
        altprop("export", run, "--state", state, "--out", tmp_path / f"{state}.safetensors")
        model, values = printed_loader()(tmp_path / f"{state}.safetensors")
        x, y = (torch.from_numpy(np.load(images / f"test-{what}.npy")) for what in "xy")
        mean, stddev = (torch.tensor(values[k]).reshape(1, -1, 1, 1) for k in ("mean", "stddev"))
        assert mean.numel() == COLOURS
        out = model((x * values["scale"] - mean) / stddev)
        assert (out.argmax(1) == y).double().mean().item() == pytest.approx(record["test_accuracy"], abs=1e-12)
        assert torch.nn.functional.cross_entropy(out, y).item() == pytest.approx(record["test_loss"], rel=1e-4)
        assert 0.4 < record["test_accuracy"]


def test_what_the_file_says(run, tmp_path):
    folder, _ = run
    out = tmp_path / "w.safetensors"
    assert str(out) in altprop("export", folder, "--out", out).err
    said, state = texts(out), checkpoint(out)
    assert set(state) == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    assert all(torch.equal(t, checkpoint(folder / "best.safetensors")[f"net.{n}"]) for n, t in state.items())
    assert said["network"] == "mlp:784-16-10:relu" and said["rule"] == said["label"] == "backprop" and said["data"] == "glyphs"
    assert json.loads(said["input_shape"]) == [1, 28, 28] and said["classes"] == "10" and len(json.loads(said["class_names"])) == 10
    assert said["altprop_version"] == summary(folder)["altprop_version"] and said["loss"] == "cross-entropy"
    assert [o["op"] for o in json.loads(said["operations"])].count("linear") == 2
    assert set(said["normalisation"]) == {"scale", "mean", "stddev"} and len(said["normalisation"]["mean"]) == 1
    # It is what a run starts from, and its own check sum is looked at.
    s = train(tmp_path / "again", "--validation", 64, "--epochs", 1, "--max-steps", 1, "--lr", 0, "--init-from", out)
    assert s["test_loss"] == pytest.approx(summary(folder)["test_loss"], rel=1e-6)
    whole = bytearray(out.read_bytes())
    whole[-3] ^= 4
    out.write_bytes(whole)
    assert_one_sentence(altprop("train", *TINY, "--init-from", out, "--out", tmp_path / "no", code=1))


def test_statistics_and_the_text_of_a_file(tmp_path):
    (tmp_path / "net.txt").write_text("# small\nchain: conv 4 k=5 s=3,\n  batch-norm, relu, linear *\n")
    train(tmp_path / "run", "--net", f"@{tmp_path}/net.txt", "--epochs", 1)
    altprop("export", tmp_path / "run")
    said, state = texts(tmp_path / "run" / "weights.safetensors"), checkpoint(tmp_path / "run" / "weights.safetensors")
    assert said["network"].split() == "chain: conv 4 k=5 s=3, batch-norm, relu, linear *".split()
    assert any("mean" in n for n in state) and all(not n.startswith("net.") for n in state)
    train(tmp_path / "run", "--epochs", 1, "--overwrite")  # what was exported belongs to the run that is gone
    assert not (tmp_path / "run" / "weights.safetensors").exists()


def test_into_a_pipe(run):
    import subprocess

    from program import PROGRAM, environment
    from safetensors.torch import load

    done = subprocess.run([PROGRAM, "export", run[0], "--out", "/dev/stdout"], capture_output=True, env=environment(), check=True)
    assert set(load(done.stdout)) == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}


def test_refusals(run, comparison, tmp_path):
    import shutil

    for command, code, word in [(["export", tmp_path / "none"], 2, "none"), (["export", comparison[0]], 2, "comparison"),
                                (["export", run[0], "--state", "first"], 2, "--state"),
                                (["export", run[0], "--out", tmp_path / "no" / "folder"], 1, "folder")]:
        result = altprop(*command, code=code)
        assert_one_sentence(result)
        assert word in result.err, result
    other = shutil.copytree(run[0], tmp_path / "other")
    (other / "best.safetensors").unlink()
    result = altprop("export", other, "--state", "best", code=1)
    assert_one_sentence(result)
    assert "best.safetensors" in result.err
    said = texts(other / "checkpoint.safetensors")
    save_checkpoint(other / "checkpoint.safetensors", {"net.fc1.weight": torch.zeros(3)}, said)
    assert_one_sentence(altprop("export", other, code=1))
    assert not (other / "weights.safetensors").exists()
