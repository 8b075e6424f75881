"""altprop sweep: values for each rule, chosen by validation data; and comparisons with what it found."""
import json
import re
import shutil
import signal

import pytest
from program import TINY, altprop, assert_one_sentence, assert_same_run, records, start, summary

SMALL = [*TINY, "--validation", "64", "--quiet"]


def sweep(out, *args, **how):
    return altprop("sweep", *SMALL, "--out", out, *args, **how)


def result(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps") / "rates"
    done = sweep(folder, "--rules", "bp,fa[feedback.scale=2]", "--range", "lr=1e-3..0.1:3", "--epochs", 2,
                 "--seeds", "1,2")
    return folder, done


def test_all_points_of_all_rules(tuned):
    folder, done = tuned
    found = result(folder)
    assert found["done"] and found["by"] == "validation_accuracy" and found["validation_samples"] == 64
    assert found["train_samples"] == 512 - 64
    assert [rule["rule"] for rule in found["rules"]] == ["bp", "fa[feedback.scale=2]"]
    for rule in found["rules"]:
        assert {point["values"]["lr"] for point in rule["points"]} == {"0.001", "0.01", "0.1"}
        assert rule["epochs_trained"] == 3 * 2 * 2
        means = []
        for point in rule["points"]:
            for folder_name, score in zip(point["folders"], point["scores"]):
                kept = records(folder / folder_name)
                assert score == max(record["validation_accuracy"] for record in kept) and len(kept) == 2
            assert point["score"]["mean"] == pytest.approx(sum(point["scores"]) / 2) and point["diverged"] == 0
            means.append(point["score"]["mean"])
        assert means == sorted(means, reverse=True) and rule["best"] == rule["points"][0]["point"]
        best = next(line for line in done.out.splitlines() if line.startswith(rule["best"] + " "))
        assert best.endswith("best")


def test_looking_at_a_sweep(tuned, tmp_path):
    folder, done = tuned
    table = done.out.split("results in ")[0]
    assert altprop("show", folder).out == f"{folder}: a sweep\n{table}"
    assert len(altprop("show", folder, "--json").json) == 2 * 3 * 2 * 2
    assert len(altprop("list", "runs", folder, "--json").json) == 2 * 3 * 2
    altprop("report", folder, "-o", tmp_path / "page.html")
    assert "lr=0.001" in (tmp_path / "page.html").read_text()


def test_nothing_is_ever_tested(tuned):
    folder, _ = tuned
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".jsonl"):
            assert not re.search(r'"test_\w+": *[0-9]', path.read_text()), path


@pytest.mark.parametrize("flags, said", [
    (["--by", "test_accuracy"], "never looks at the test data"),
    (["--by", "test loss"], "never looks at the test data"),
    (["--by", "sharpness"], "not judged by"),
    (["--validation", "0"], "--validation"),
    (["--grid", "seed=1,2"], "--seeds"),
    (["--grid", "epochs=1,2"], "spends"),
    (["--grid", "lr="], "as in lr=0.01,0.03,0.1"),
    (["--grid", "lr=0.1,0.1"], "twice"),
    (["--grid", "lr=0.1", "--grid", "lr=0.2"], "two sets"),
    (["--range", "lr=0..1:3"], "above 0"),
    (["--range", "lr=1..0.1:3"], "smaller first"),
    (["--range", "lr=0.1..1"], "lr=1e-4..1:7"),
    (["--grid", "kp:kp.form=implicit"], "not among --rules"),
    (["--grid", "kp.form=implicit"], "kp.form"),
    (["--grid", "lr=fast"], "lr"),
    (["--rules", "fa[lr=0.1]", "--grid", "lr=0.1,0.2"], "leave one out"),
    (["--rules", "bp,backprop", "--grid", "lr=0.1"], "trained twice"),
    (["--halving", "1", "--grid", "lr=0.1"], "--halving 1"),
    (["--halving", "3", "--max-steps", "5", "--grid", "lr=0.1,0.2"], "--max-steps"),
    ([], "something to vary"),
], ids=lambda given: "_".join(given) if isinstance(given, list) else "")
def test_what_cannot_be_swept(flags, said, tmp_path):
    rules = [] if "--rules" in flags else ["--rules", "fa"]
    values = [] if {"--grid", "--range"} & set(flags) or not flags else ["--grid", "lr=0.01,0.1"]
    refused = altprop("sweep", *TINY, "--epochs", 1, "--quiet", *rules, *values, *flags, "--out", tmp_path / "s",
                      code=2)
    assert_one_sentence(refused)
    assert said in refused.err, refused.err
    if "sharpness" not in flags:
        assert not (tmp_path / "s").exists()


def test_held_out_where_nobody_says_how_many(tmp_path):
    altprop("sweep", *TINY, "--rules", "bp", "--grid", "lr=0.01,0.1", "--epochs", 1, "--quiet",
            "--out", tmp_path / "s")
    assert result(tmp_path / "s")["validation_samples"] == 51


def test_grids_of_one_rule(tmp_path):
    sweep(tmp_path / "s", "--rules", "bp,kp", "--grid", "kp:kp.form=explicit,implicit", "--grid", "lr=0.01,0.1",
          "--epochs", 1)
    points = {rule["rule"]: {p["point"] for p in rule["points"]} for rule in result(tmp_path / "s")["rules"]}
    assert points["bp"] == {"bp[lr=0.01]", "bp[lr=0.1]"}
    assert points["kp"] == {f"kp[kp.form={f},lr={lr}]" for f in ("explicit", "implicit") for lr in ("0.01", "0.1")}


HALVING = ["--rules", "fa", "--grid", "lr=0.1,1e-5,0.03,1e-4", "--epochs", 4, "--halving", 2, "--schedule", "cosine"]


def test_halving(tmp_path):
    sweep(tmp_path / "s", *HALVING)
    rule = result(tmp_path / "s")["rules"][0]
    assert [p["epochs"] for p in rule["points"]] == [4, 2, 1, 1] and rule["epochs_trained"] == 4 + 2 + 2
    assert [p["rung"] for p in rule["points"]] == [3, 2, 1, 1]
    assert {p["values"]["lr"] for p in rule["points"][:2]} == {"0.1", "0.03"}
    for point in rule["points"]:
        assert len(records(tmp_path / "s" / point["folders"][0])) == point["epochs"]
    # the schedule is that of the whole length, whoever is dropped on the way
    best = rule["points"][0]
    altprop("train", *SMALL, "--rule", best["point"], "--schedule", "cosine", "--epochs", 4, "--probe-every", 0,
            "--out", tmp_path / "run")
    whole = [{k: v for k, v in r.items() if not k.startswith("test")} for r in records(tmp_path / "run")]
    assert whole == records(tmp_path / "s" / best["folders"][0])


def without_clocks(found):
    return {k: v for k, v in found.items() if k != "command"}


@pytest.mark.parametrize("round", [1, 2, 3])
def test_a_killed_sweep_goes_on_to_the_same_end(tmp_path, round):
    sweep(tmp_path / "whole", *HALVING)
    noisy = [word for word in SMALL if word != "--quiet"]
    process = start("sweep", *noisy, *HALVING, "--out", tmp_path / "cut")
    for line in process.stderr:
        if line.startswith(f"sweep: round {round} of 3"):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    altprop("resume", tmp_path / "cut", "--quiet")
    assert without_clocks(result(tmp_path / "cut")) == without_clocks(result(tmp_path / "whole"))
    for point in result(tmp_path / "whole")["rules"][0]["points"]:
        assert_same_run(tmp_path / "cut" / point["folders"][0], tmp_path / "whole" / point["folders"][0])


def test_resuming_what_is_done_changes_nothing(tuned, tmp_path):
    folder = shutil.copytree(tuned[0], tmp_path / "s")
    before = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    altprop("resume", folder, "--quiet")
    assert {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    (folder / "result.json").unlink()
    altprop("resume", folder, "--quiet")
    assert (folder / "result.json").read_bytes() == before[(folder / "result.json").relative_to(folder)]
    assert_one_sentence(altprop("resume", folder, "--epochs", 9, code=2))
    for text in ("", "{", '{"rules": 3}', "[]"):
        (folder / "sweep.json").write_text(text)
        refused = altprop("resume", folder, code=1)
        assert_one_sentence(refused)
        assert "sweep.json" in refused.err


def test_an_interrupt_ends_the_sweep(tmp_path):
    noisy = [word for word in SMALL if word != "--quiet"]
    process = start("sweep", *noisy, "--rules", "bp", "--grid", "lr=0.01,0.1", "--epochs", 300,
                    "--out", tmp_path / "s")
    for line in process.stderr:
        if "epoch 2/" in line:
            break
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    assert process.wait() == -signal.SIGINT
    process.stderr.close()
    assert result(tmp_path / "s")["done"] is False
    refused = altprop("compare", "--rates-from", tmp_path / "s", "--out", tmp_path / "c", code=2)
    assert_one_sentence(refused)
    assert "not done" in refused.err


def test_points_that_diverge_are_last(tmp_path):
    done = sweep(tmp_path / "s", "--rules", "bp", "--grid", "lr=1e10,0.01", "--epochs", 1)
    rule = result(tmp_path / "s")["rules"][0]
    assert rule["best"] == "bp[lr=0.01]"
    assert rule["points"][1]["diverged"] == 1 and rule["points"][1]["score"] is None
    assert "1 diverged" in done.out
    sweep(tmp_path / "lost", "--rules", "bp", "--grid", "lr=1e10,1e11", "--epochs", 1, code=1)
    assert result(tmp_path / "lost")["rules"][0]["best"] is None
    assert_one_sentence(altprop("compare", "--rates-from", tmp_path / "lost", "--out", tmp_path / "c", code=2))


def test_progress_says_how_much_is_left(tmp_path):
    noisy = [word for word in SMALL if word != "--quiet"]
    done = altprop("sweep", *noisy, "--rules", "bp", "--grid", "lr=0.01,0.1", "--epochs", 2, "--out", tmp_path / "s")
    lines = [line for line in done.err.splitlines() if line.startswith("sweep: ")]
    assert lines[0] == "sweep: round 1 of 1, 2 epochs of bp; 0 of 4 epochs done"
    assert re.fullmatch(r"sweep: round 1 of 1, 2 epochs of bp; 2 of 4 epochs done, about \d+:\d\d left", lines[1])


def test_compare_takes_the_rates(tuned, tmp_path):
    folder, _ = tuned
    best = [rule["best"] for rule in result(folder)["rules"]]
    done = altprop("compare", "--rates-from", folder, "--seeds", 3, "--epochs", 1, "--quiet", "--out", tmp_path / "c")
    s = summary(tmp_path / "c")
    assert [run["label"] for run in s["runs"]] == best and s["runs"][0]["net"] == "mlp:784-16-10:relu"
    for run, label in zip(s["runs"], best):
        assert f"lr={run['learning_rate']:g}" in label and run["gradient"] and run["test_accuracy"] > 0
    fairness = s["fairness"]
    for words in ("bp, fa[feedback.scale=2]", "lr (3 values, 0.001 to 0.1)", "validation accuracy on 64 samples",
                  "2 epochs a point from 2 seeds", "the same 12 epochs of training for every rule", str(folder)):
        assert words in fairness
    assert fairness in done.out and "not what is compared" not in fairness
    assert json.dumps(fairness)[1:-1].replace("<", "\\u003c") in (tmp_path / "c" / "report.html").read_text()
    assert fairness in altprop("show", tmp_path / "c").out
    # one of them, on another network
    altprop("compare", "--rates-from", folder, "--rules", "backprop", "--net", "mlp:784-8-10:relu", "--epochs", 1,
            "--quiet", "--out", tmp_path / "d")
    assert [(run["label"], run["seed"]) for run in summary(tmp_path / "d")["runs"]] == [(best[0], 1), (best[0], 2)]
    assert "which is not what is compared here" in summary(tmp_path / "d")["fairness"]
    altprop("resume", tmp_path / "d", "--quiet")
    assert "sweep in" in summary(tmp_path / "d")["fairness"]
    refused = altprop("compare", "--rates-from", folder, "--rules", "bp,dfa", "--out", tmp_path / "e", code=2)
    assert_one_sentence(refused)
    assert "did not tune 'dfa'" in refused.err


def test_rates_of_what_is_no_sweep(run, tuned, tmp_path):
    refused = altprop("compare", "--rates-from", run[0], "--out", tmp_path / "c", code=2)
    assert_one_sentence(refused)
    assert "no folder of a sweep" in refused.err
    folder = shutil.copytree(tuned[0], tmp_path / "s")
    for text in ("", "{", "[]", '{"rules": [3]}'):
        (folder / "result.json").write_text(text)
        assert_one_sentence(altprop("compare", "--rates-from", folder, "--out", tmp_path / "c", code=1))


def test_overwriting_a_sweep_removes_it(tuned, tmp_path):
    folder = shutil.copytree(tuned[0], tmp_path / "s")
    assert_one_sentence(altprop("train", *TINY, "--epochs", 0, "--quiet", "--out", folder, code=2))
    altprop("train", *TINY, "--epochs", 0, "--quiet", "--out", folder, "--overwrite")
    assert {p.name for p in folder.iterdir()} == {"config.toml", "checkpoint.safetensors", "metrics.jsonl",
                                                  "summary.json"}
