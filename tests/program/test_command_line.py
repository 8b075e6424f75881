"""Help, listings, completion, and what is said of a mistyped command line."""
import shutil
import subprocess

import pytest

from program import BUILD, TINY, altprop, assert_one_sentence, environment, records, summary

COMMANDS = ("train", "compare", "sweep", "resume", "check", "predict", "robustness", "export", "deploy", "describe", "list",
            "show", "diff", "report", "data", "bench", "theory", "completion", "help")


def test_help_is_a_command_too():
    assert altprop("help").out == altprop("--help").out
    for command in COMMANDS:
        assert altprop("help", command).out == altprop(command, "--help").out and command in altprop("help").out
    refused = altprop("help", "trian", code=2)
    assert_one_sentence(refused)
    assert "did you mean 'train'" in refused.err


def test_help_of_training_has_groups_and_examples():
    text = altprop("train", "--help").out
    headings = ("What is trained:", "Spike times:", "Initial weights:", "Steps:", "Learning rate over time:", "Length:",
                "Randomness and machine:", "ODE blocks:", "Batches and augmentation:", "Instruments and records:", "Examples:")
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places), places
    assert places[3] < text.index("--lr ") < places[4]


def test_one_of_a_list():
    one = altprop("list", "rules", "kp", "--json").json
    assert [row["name"] for row in one] == ["kolen-pollack"]
    assert "kp.form" in altprop("list", "rules", "kolen-pollack").out
    assert "feedback-alignment" not in altprop("list", "rules", "kolen-pollack").out.split("\n")[0]
    assert altprop("list", "presets", "corinfomax-mnist", "--json").json[0]["name"] == "corinfomax-mnist"
    refused = altprop("list", "data", "glyfs", code=2)
    assert_one_sentence(refused)
    assert "did you mean 'glyphs'" in refused.err


@pytest.mark.parametrize("typed, said", [
    (["--learning-rate", "0.1"], "it is called --lr here"),
    (["--batch_size", "8"], "it is called --batch here"),
    (["lr=0.1"], "write --lr 0.1"),
    (["-lr", "0.1"], "did you mean '--lr'"),
    (["--epohcs", "3"], "did you mean '--epochs'"),
    (["--rule", "ufs"], "did you mean 'usf'"),
    (["--data", "glyhps"], "did you mean 'glyphs'"),
    (["--epochs", "many"], "epochs"),
    (["--glyphs.train", "7"], "write --data.glyphs.train"),
    ([], "--out is required"),
], ids=lambda given: "_".join(given) if isinstance(given, list) else "")
@pytest.mark.parametrize("out", [True, False], ids=["into a folder", "without a folder"])
def test_the_first_mistake_is_said(typed, said, out, tmp_path):
    if out and not typed:
        return
    refused = altprop("train", *typed, *(["--out", tmp_path / "run"] if out else []), code=2)
    assert_one_sentence(refused)
    assert said in refused.err, refused.err
    assert not (tmp_path / "run").exists()


def test_compare_says_what_is_wrong_with_its_rules_first():
    refused = altprop("compare", "--rules", "bp,ufs", code=2)
    assert_one_sentence(refused)
    assert "did you mean 'usf'" in refused.err


def test_no_epoch_says_what_a_network_is_worth(tmp_path):
    trained = altprop("train", *TINY, "--epochs", 3, "--quiet", "--json", "--out", tmp_path / "a").json
    again = altprop("train", *TINY, "--epochs", 0, "--init-from", tmp_path / "a" / "checkpoint.safetensors", "--quiet", "--json",
                    "--out", tmp_path / "b").json
    assert again["test_accuracy"] == trained["test_accuracy"] and again["test_loss"] == trained["test_loss"]
    assert [record["epoch"] for record in records(tmp_path / "b")] == [0]
    assert altprop("report", tmp_path / "b").code == 0
    # ... and goes on as any run does
    altprop("resume", tmp_path / "b", "--epochs", 1, "--quiet")
    assert [record["epoch"] for record in records(tmp_path / "b")] == [0, 1] and summary(tmp_path / "b")["steps"] == 8


def completed(*words):
    """What bash offers for the last of these words."""
    script = f"""source <({BUILD}/altprop completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _altprop; printf '%s\\n' "${{COMPREPLY[@]}}\""""
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


def test_bash_completes_commands_flags_and_values(tmp_path):
    assert set(COMMANDS) <= set(completed("altprop", ""))
    assert completed("altprop", "comp") == ["compare", "completion"]
    assert completed("altprop", "theory", "") == ["fa2"]
    assert "--rule" in completed("altprop", "theory", "fa2", "--")
    assert {"--rule", "--net", "--data", "--out", "--lr"} <= set(completed("altprop", "train", "--"))
    assert "--rules" in completed("altprop", "compare", "--") and "--rule" not in completed("altprop", "compare", "--")
    assert completed("altprop", "train", "--optimizer", "ada") == ["adam", "adamw"]
    assert completed("altprop", "train", "--rule", "kolen") == ["kolen-pollack"]
    assert "glyphs" in completed("altprop", "train", "--data", "")
    assert completed("altprop", "train", "--preset", "corinfomax-m")[0].startswith("corinfomax-m")
    (tmp_path / "runs").mkdir()
    (tmp_path / "run.toml").touch()
    assert completed("altprop", "train", "--out", f"{tmp_path}/r") == [f"{tmp_path}/runs"]
    assert completed("altprop", "train", "--config", f"{tmp_path}/run.") == [f"{tmp_path}/run.toml"]


@pytest.mark.parametrize("shell, check", [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])])
def test_scripts_are_read_by_their_shells(shell, check, tmp_path):
    script = tmp_path / shell
    script.write_text(altprop("completion", shell).out)
    for word in ("kolen-pollack", "--optimizer" if shell != "fish" else "-l optimizer", "glyphs"):
        assert word in script.read_text()
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    done = subprocess.run([*check, script], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
