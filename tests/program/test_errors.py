"""Every error is one sentence on stderr that says what to do, with the right exit code."""
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from program import GLYPHS, PROGRAM, TINY, Result, altprop, assert_one_sentence, environment, train

CONV = ["--net", "chain: conv 8 k=3 p=1, relu, conv 8 k=3 p=1 g=2, relu, gap, linear *", *GLYPHS]


def T(*args):
    return ["train", *TINY, "--quiet", "--epochs", 1, "--out", "OUT", *args]


def C(rules, *args):
    return ["compare", "--rules", rules, *TINY, "--quiet", "--epochs", 1, "--out", "OUT", *args]


def D(data, folder):
    return ["train", "--data", data, "--data-dir", folder, "--net", "mlp:*-10", "--quiet", "--out", "OUT"]


# (arguments, exit code, fragments of the sentence). OUT is a folder that does not exist yet.
TABLE = {
    # names
    "no command": ([], 2, ["altprop --help"]),
    "command": (["trian"], 2, ["trian"]),
    "rule": (T("--rule", "backprp"), 2, ["backprp", "did you mean 'backprop'"]),
    "rule far off": (T("--rule", "zzzzzzzz"), 2, ["zzzzzzzz", "known are", "backprop"]),
    "net": (T("--net", "mpl:784-10"), 2, ["mpl", "mlp"]),
    "net empty": (T("--net", ""), 2, ["net"]),
    "net file": (T("--net", "@missing.txt"), 2, ["missing.txt"]),
    "data": (T("--data", "glyph"), 2, ["glyph", "glyphs"]),
    "option": (T("--epoch", "3"), 2, ["--epoch", "--epochs"]),
    "option of the rule": (T("--rule", "fa", "--rule.feedback.scal", "1"), 2, ["feedback.scal", "feedback.scale"]),
    "option in brackets": (T("--rule", "fa[feedback.scal=1]"), 2, ["feedback.scal", "feedback.scale"]),
    "option of the data": (T("--data.glyphs.trian", "1"), 2, ["glyphs.trian", "glyphs.train"]),
    "option of the data as the run's": (T("--normalise", "none"), 2, ["write --data.normalise"]),
    "option of the rule as the run's": (T("--rule", "es", "--es.pairs", "3"), 2, ["write --rule.es.pairs"]),
    "option twice in brackets": (T("--rule", "fa[lr=1,lr=2]"), 2, ["'lr' is given twice"]),
    "brackets in brackets": (T("--rule", "fa[[lr=1]]"), 2, ["'[lr=1]' is no option"]),
    "rule in brackets": (T("--rule", "fa[rule=bp]"), 2, ["give --rule"]),
    "preset in brackets": (T("--rule", "fa[preset=ep-mnist]"), 2, ["give --preset"]),
    "data in brackets": (C("fa[data=mnist],bp"), 2, ["'data'", "give --data for all"]),
    "seed in brackets": (C("fa[seed=3],bp"), 2, ["'seed'", "give --seeds for all"]),
    "option without value": (T("--rule.feedback.scale"), 2, ["--rule.feedback.scale", "needs a value"]),
    "option eats no option": (T("--rule", "fa", "--rule.feedback.scale", "--data.glyphs.seed", "3"), 2,
                              ["--rule.feedback.scale", "needs a value"]),
    "stray word": (T("stray"), 2, ["stray"]),
    "optimizer": (T("--optimizer", "adan"), 2, ["adan", "adam"]),
    "loss": (T("--loss", "mse"), 2, ["mse", "squared-error"]),
    "init": (T("--init", "xaver"), 2, ["xaver", "xavier"]),
    "brackets": (T("--rule", "fa[feedback.scale=1"), 2, ["]"]),
    # values
    "batch 0": (T("--batch", "0"), 2, ["batch", "[1, ", "0"]),
    "lr negative": (T("--lr", "-0.1"), 2, ["lr", "at least 0", "-0.1"]),
    "lr text": (T("--lr", "fast"), 2, ["lr", "number", "fast"]),
    "lr infinite": (T("--lr", "inf"), 2, ["lr", "inf"]),
    "epochs fraction": (T("--epochs", "1.5"), 2, ["epochs", "whole number", "1.5"]),
    "momentum": (T("--momentum", "1.5"), 2, ["momentum", "[0, 1]"]),
    "flag": (T("--flip", "maybe"), 2, ["flip", "true or false", "maybe"]),
    "init-of": (T("--init-of", "fc1"), 2, ["init-of", "fc1"]),
    "lr-of": (T("--lr-of", "fc1"), 2, ["lr-of", "fc1"]),
    "milestones": (T("--schedule", "step", "--milestones", "a"), 2, ["milestones", "a"]),
    "step without milestones": (T("--schedule", "step"), 2, ["milestones"]),
    "rule option range": (T("--rule", "fa", "--rule.feedback.density", "2"), 2, ["feedback.density", "2"]),
    "data option range": (T("--data.glyphs.train", "-5"), 2, ["glyphs.train", "-5"]),
    "nothing to train on": (T("--data.glyphs.train", "0"), 2, ["glyphs.train"]),
    "drop-last leaves nothing": (T("--batch", "1000", "--drop-last"), 2, ["drop-last", "batch"]),
    "validation takes all": (T("--validation", "512"), 2, ["validation", "512"]),
    "early-stop": (T("--early-stop", "3"), 2, ["early-stop", "validation"]),
    "device": (T("--device", "gpu"), 2, ["device", "gpu", "cpu"]),
    "cuda 99": (T("--device", "cuda:99"), 2, ["cuda:99"]),
    "crop of vectors": (["train", "--data", "csv", "--data.csv.train", "table.csv", "--net", "mlp:2-2", "--crop", "2",
                         "--out", "OUT"], 2, ["augmentation needs images", "table.csv"]),
    # what does not go together
    "net and data": (T("--net", "mlp:100-10"), 2, ["100", "784"]),
    "net too large": (T("--net", "mlp:784-1000000-1000000-10"), 2, ["limit"]),
    "rule and net": (["train", *CONV, "--rule", "dfa", "--out", "OUT"], 2, ["conv2", "grouped", "dfa.place"]),
    "rule and loss": (T("--loss", "hinge"), 2, ["hinge"]),
    # files
    "no out": (["train", *TINY], 2, ["--out"]),
    "out empty": (T("--out", ""), 2, ["out"]),
    "out under a file": (T("--out", "table.csv/run"), 1, ["table.csv/run"]),
    "out is a file": (T("--out", "table.csv"), 2, ["table.csv"]),
    "out holds something": (T("--out", "full"), 2, ["full", "--overwrite"]),
    "config missing": (T("--config", "missing.toml"), 1, ["missing.toml"]),
    "config is a folder": (T("--config", "full"), 1, ["full"]),
    "config malformed": (T("--config", "malformed.toml"), 2, ["malformed.toml", "line 2"]),
    "config unknown key": (T("--config", "unknown.toml"), 2, ["unknown.toml", "learning-rate"]),
    "config unknown table": (T("--config", "table.toml"), 2, ["table.toml", "rules"]),
    "config value": (T("--config", "value.toml"), 2, ["value.toml", "batch", "many"]),
    "config binary": (T("--config", "binary.toml"), 2, ["binary.toml"]),
    "init-from missing": (T("--init-from", "missing.safetensors"), 1, ["missing.safetensors"]),
    "init-from other file": (T("--init-from", "table.csv"), 1, ["table.csv", "checkpoint"]),
    "data missing": (D("mnist", "full"), 1,
                     ["train-images-idx3-ubyte", "altprop data get mnist"]),
    "data truncated": (D("mnist", "truncated"), 1, ["train-images-idx3-ubyte"]),
    "csv damaged": (["train", "--data", "csv", "--data.csv.train", "bad.csv", "--net", "mlp:2-2", "--out", "OUT"], 1,
                    ["bad.csv", "line 3"]),
    # compare
    "no rules": (C(","), 2, ["rules", "no rule"]),
    "rules missing": (["compare", "--out", "OUT"], 2, ["--rules"]),
    "rule twice": (C("fa,dfa,fa"), 2, ["fa", "twice"]),
    "bad override": (C("fa[lrr=1]"), 2, ["lrr"]),
    "seeds": (C("bp", "--seeds", "1,x"), 2, ["seeds", "x"]),
    "seeds negative": (C("bp", "--seeds", "-1"), 2, ["seeds", "-1"]),
    "seed twice": (C("bp", "--seeds", "1,2,1"), 2, ["seed", "1", "twice"]),
    "rule option": (C("fa", "--rule.feedback.scale", "2"), 2, ["--rule.feedback.scale", "fa[feedback.scale=2]"]),
    "seed": (C("bp", "--seed", "2"), 2, ["--seed"]),
    "one rule refuses": (["compare", "--rules", "backprop,dfa", *CONV, "--out", "OUT"], 2, ["dfa", "group"]),
    # the others
    "resume nothing": (["resume", "missing"], 2, ["missing"]),
    "resume another folder": (["resume", "full"], 2, ["full", "no run folder"]),
    "resume epochs": (["resume", "run", "--epochs", "-3"], 2, ["--epochs"]),
    "predict nothing": (["predict", "full"], 2, ["full", "no run folder"]),
    "predict without checkpoint": (["predict", "bare"], 1, ["bare", "checkpoint"]),
    "predict no validation": (["predict", "run", "--split", "validation"], 2, ["validation"]),
    "predict no best": (["predict", "run", "--state", "best"], 1, ["best.safetensors"]),
    "predict other data": (["predict", "run", "--data", "csv"], 2, ["csv.train"]),
    "predict a comparison": (["predict", "comparison"], 2, ["comparison"]),
    "report of nothing": (["report", "empty"], 1, ["empty", "summary.json"]),
    "list": (["list", "rulez"], 2, ["rulez", "rules"]),
    "describe": (["describe", "--net", "mlp:784-"], 2, ["784-"]),
    "check": (["check", *TINY, "--rule", "nothing-like-it"], 2, ["nothing-like-it"]),
    "data get": (["data", "get", "mnits"], 2, ["mnits", "mnist"]),
}
if not Path("/dev/nvidia0").exists():
    TABLE["cuda"] = (T("--device", "cuda"), 2, ["cuda", "use cpu"])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the table's cases refer to; they run in it."""
    here = tmp_path_factory.mktemp("errors")
    (here / "empty").mkdir()
    (here / "full").mkdir()
    (here / "full" / "file").write_text("x")
    (here / "table.csv").write_text("1,2,0\n3,4,1\n")
    (here / "bad.csv").write_text("1,2,0\n3,4,1\n5,oops,1\n")
    (here / "malformed.toml").write_text("epochs = 3\nlr = = 2\n")
    (here / "unknown.toml").write_text("learning-rate = 3\n")
    (here / "table.toml").write_text("[rules]\nx = 3\n")
    (here / "value.toml").write_text("batch = 'many'\n")
    (here / "date.toml").write_text("epochs = 2026-01-01\n")
    (here / "binary.toml").write_bytes(bytes(range(256)))
    (here / "truncated" / "mnist").mkdir(parents=True)
    (here / "truncated" / "mnist" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0\xea\x60\0\0\0\x1c\0\0\0\x1c" + b"\0" * 1000)
    for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (here / "truncated" / "mnist" / name).write_bytes(b"")
    train(here / "run", "--epochs", 1)
    (here / "bare").mkdir()
    (here / "bare" / "config.toml").write_text((here / "run" / "config.toml").read_text())
    altprop("compare", "--rules", "bp", *TINY, "--epochs", 1, "--quiet", "--out", here / "comparison")
    return here


@pytest.fixture(scope="module")
def answers(request, place, tmp_path_factory):
    """What the program said to each case that is to be tested, asked side by side to save time."""
    out, kept = tmp_path_factory.mktemp("out"), snapshot(place)

    def ask(case):
        arguments, code, _ = TABLE[case]
        folder = out / case.replace(" ", "-")
        done = subprocess.run([PROGRAM, *[folder if a == "OUT" else str(a) for a in arguments]], capture_output=True, text=True,
                              timeout=100, stdin=subprocess.DEVNULL, cwd=place, env=environment())
        return Result(done), folder.exists()

    cases = [item.callspec.params["case"] for item in request.session.items if item.name.startswith("test_sentence[")]
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(cases, pool.map(ask, cases)))
    assert snapshot(place) == kept, "a command that was refused changed something"
    return found


@pytest.mark.parametrize("case", TABLE)
def test_sentence(case, answers):
    _, code, fragments = TABLE[case]
    result, left_behind = answers[case]
    assert result.code == code, result
    assert_one_sentence(result)
    for fragment in fragments:
        assert fragment in result.err, result
    assert not left_behind, "a command that was refused left a folder behind"


def snapshot(folder):
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*")}


def test_a_refused_command_spares_the_old_run(place):
    kept = snapshot(place)
    for command in (["train", *CONV, "--rule", "dfa"], ["compare", "--rules", "dfa", *CONV]):
        altprop(*command, "--out", "run", "--overwrite", cwd=place, code=2)
    assert snapshot(place) == kept


# ---- damaged records


@pytest.fixture()
def copied(place, tmp_path):
    return shutil.copytree(place / "run", tmp_path / "run")


def damage(data, how):
    if how == "empty":
        return b""
    if how == "cut":
        return data[: len(data) // 2]
    if how == "short":
        return data[:-1]
    if how == "text":
        return b"this is no checkpoint\n" * 100
    at = {"flip in the weights": len(data) // 2, "flip at the front": 60, "flip at the back": len(data) - 100}[how]
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:]


@pytest.mark.parametrize("how", ["empty", "cut", "short", "text", "flip in the weights", "flip at the front", "flip at the back"])
def test_damaged_checkpoint(how, copied):
    path = copied / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes(), how))
    for command in (["resume", copied], ["predict", copied]):
        result = altprop(*command, code=1)
        assert_one_sentence(result)
        assert "checkpoint.safetensors" in result.err and "damaged" in result.err


def test_damaged_config(copied):
    (copied / "config.toml").write_text("rule = \n")
    result = altprop("resume", copied, code=2)
    assert_one_sentence(result)
    assert "config.toml" in result.err and "line 1" in result.err


def test_checkpoint_of_another_net(copied):
    config = copied / "config.toml"
    config.write_text(config.read_text().replace("784-16-10", "784-17-10"))
    result = altprop("resume", copied, code=1)
    assert_one_sentence(result)
    assert "mlp:784-16-10:relu" in result.err and "mlp:784-17-10:relu" in result.err


def test_records_cut_by_hand(copied):
    """The checkpoint knows the newest record; those before it stand nowhere else."""
    metrics = copied / "metrics.jsonl"
    kept = metrics.read_text()
    metrics.write_text("")
    altprop("resume", copied, "--quiet")
    assert metrics.read_text() == kept
    altprop("resume", copied, "--quiet", "--epochs", 3)
    metrics.write_text("")
    result = altprop("resume", copied, code=1)
    assert_one_sentence(result)
    assert "metrics.jsonl" in result.err


def test_damaged_comparison(place, tmp_path):
    folder = shutil.copytree(place / "comparison", tmp_path / "comparison")
    for text in ("", "{", '{"rules": 3, "seeds": "x"}', "[]"):
        (folder / "compare.json").write_text(text)
        result = altprop("resume", folder, code=1)
        assert_one_sentence(result)
        assert "compare.json" in result.err


def test_damaged_summary(place, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for text in ("", "{", "[]", "3"):
        (folder / "summary.json").write_text(text)
        result = altprop("report", folder, code=1)
        assert_one_sentence(result)


def test_a_number_beyond_float32_is_told_as_that(tmp_path):
    result = altprop("train", *TINY, "--epochs", 1, "--lr", "1e40", "--quiet", "--out", tmp_path / "run", code=1)
    assert_one_sentence(result)
    assert "too large for --dtype float32" in result.err
