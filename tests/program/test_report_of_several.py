"""altprop report of any mix of folders, and of what is not done."""
import json
import re
import shutil

from program import TINY, altprop, assert_one_sentence, summary, train
from test_show import killed


def embedded(page):
    found = re.search(r'<script type="application/json" id="records">(.*?)</script>', page.read_text(), re.S)
    return json.loads(found[1])


def labels(page):
    return [run["summary"]["label"] for run in embedded(page)["runs"]]


def test_a_mix_of_folders(run, comparison, tmp_path):
    cut = killed(tmp_path / "cut", "--rule", "fa")
    result = altprop("report", comparison[0], run[0], cut, "-o", tmp_path / "all.html")
    assert result.out == f"{tmp_path / 'all.html'}\n"
    data = embedded(tmp_path / "all.html")
    assert len(data["runs"]) == 8
    found = labels(tmp_path / "all.html")
    # two runs are called backprop and were trained differently
    assert found[0] == f"backprop ({comparison[0]})" and f"backprop ({run[0]})" in found and found[-1] == "fa"
    assert data["runs"][-1]["summary"]["status"] == "interrupted" and len(data["runs"][-1]["epochs"]) >= 2
    altprop("report", run[0], cut, "--out", tmp_path / "folder")
    assert (tmp_path / "folder" / "report.html").exists()


def test_a_run_counts_once(comparison, tmp_path):
    folder, _ = comparison
    altprop("report", folder, folder / "dfa-seed1", "-o", tmp_path / "page.html")
    data = embedded(tmp_path / "page.html")
    assert len(data["runs"]) == 6 and any("counts once" in note for note in data["notes"])


def test_runs_of_one_rule_and_several_seeds_are_one_group(tmp_path):
    for seed in (1, 2):
        train(tmp_path / str(seed), "--epochs", 1, "--seed", seed)
    altprop("report", tmp_path / "1", tmp_path / "2", "-o", tmp_path / "page.html")
    assert labels(tmp_path / "page.html") == ["backprop", "backprop"]


def test_a_comparison_that_was_cut(comparison, tmp_path):
    folder = shutil.copytree(comparison[0], tmp_path / "cut")
    s = summary(folder)
    s["runs"] = s["runs"][:1]
    (folder / "summary.json").write_text(json.dumps(s))
    (folder / "dfa-seed2" / "summary.json").unlink()
    altprop("report", folder)
    assert len(labels(folder / "report.html")) == 6
    assert embedded(folder / "report.html")["runs"][-1]["summary"]["status"] == "interrupted"
    (folder / "summary.json").unlink()
    altprop("report", folder)
    assert sorted(labels(folder / "report.html")) == sorted(run["label"] for run in summary(comparison[0])["runs"])


def test_what_is_wrong(run, tmp_path):
    refused = altprop("report", run[0], run[0], code=2)
    assert_one_sentence(refused)
    assert "-o" in refused.err
    (tmp_path / "empty").mkdir()
    assert_one_sentence(altprop("report", run[0], tmp_path / "empty", "-o", tmp_path / "page.html", code=1))
    assert not (tmp_path / "page.html").exists()
    assert_one_sentence(altprop("report", run[0], "-o", tmp_path / "no" / "page.html", code=1))


def test_title_and_notes_of_a_comparison(tmp_path):
    altprop("compare", "--rules", "bp,dfa", *TINY, "--epochs", 1, "--quiet", "--title", "Two rules",
            "--notes", "on a Monday", "--out", tmp_path / "c")
    s = summary(tmp_path / "c")
    assert s["title"] == "Two rules" and s["notes"] == "on a Monday"
    refused = altprop("compare", "--rules", "bp[title=x],dfa", *TINY, "--out", tmp_path / "d", code=2)
    assert_one_sentence(refused)
    assert "--title" in refused.err


def test_config_repeats_a_comparison(comparison, tmp_path):
    folder, _ = comparison
    altprop("compare", "--config", folder / "config.toml", "--quiet", "--out", tmp_path / "again")
    a, b = ([(r["label"], r["seed"], r["test_loss"]) for r in summary(where)["runs"]]
            for where in (folder, tmp_path / "again"))
    assert a == b
    altprop("compare", "--config", folder / "config.toml", "--seeds", 2, "--rules", "dfa", "--quiet",
            "--out", tmp_path / "one")
    assert [(r["label"], r["seed"]) for r in summary(tmp_path / "one")["runs"]] == [("dfa", 2)]


def test_config_names_rules_seeds_and_out(tmp_path):
    out = tmp_path / "named"
    (tmp_path / "c.toml").write_text(f"""rules = ["bp", "fa[lr=0.02,feedback.scale=2]"]
seeds = [3, 4]
out = "{out}"
net = "mlp:784-8-10:relu"
epochs = 1
[data-options]
"glyphs.train" = 128
"glyphs.test" = 64
""")
    altprop("compare", "--config", tmp_path / "c.toml", "--quiet")
    assert [(r["label"], r["seed"]) for r in summary(out)["runs"]] == \
        [(label, seed) for seed in (3, 4) for label in ("bp", "fa[lr=0.02,feedback.scale=2]")]
    refused = altprop("train", "--config", tmp_path / "c.toml", "--out", tmp_path / "run", code=2)
    assert_one_sentence(refused)
    assert "altprop compare" in refused.err and not (tmp_path / "run").exists()
    assert_one_sentence(altprop("check", "--config", tmp_path / "c.toml", code=2))
    (tmp_path / "t.toml").write_text(f'epochs = 0\nout = "{tmp_path / "t"}"\n')
    altprop("train", "--config", tmp_path / "t.toml", "--quiet")
    assert (tmp_path / "t" / "summary.json").exists()
    (tmp_path / "bad.toml").write_text('seeds = ["one"]\nrules = "bp"\n')
    refused = altprop("compare", "--config", tmp_path / "bad.toml", "--out", tmp_path / "x", code=2)
    assert_one_sentence(refused)
    assert "whole numbers" in refused.err
