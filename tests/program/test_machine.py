"""The machine says no: full disks, closed pipes, missing rights, too little memory, two programs in one folder."""
import os
import resource
import signal
import subprocess
import time

import pytest
from program import (PROGRAM, TINY, altprop, assert_one_sentence, assert_same_run, checkpoint, environment, records, start,
                     summary, train)


def limit_files(size):
    def apply():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return apply


def test_file_that_may_not_grow(tmp_path):
    """A checkpoint has 100 KB; the first one cannot be written."""
    result = altprop("train", *TINY, "--epochs", 1, "--quiet", "--out", tmp_path / "run", code=1,
                     preexec_fn=limit_files(50_000))
    assert_one_sentence(result)
    assert "checkpoint.safetensors" in result.err and "File too large" in result.err
    assert not list((tmp_path / "run").glob("*.part"))
    altprop("resume", tmp_path / "run", "--quiet")
    train(tmp_path / "whole", "--epochs", 1)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_full_disk(tmp_path):
    """The records grow until the disk is full; with space again the run goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=260k", "none", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        ballast = disk / "ballast"
        settings = ["--epochs", 6, "--batch", 128, "--validation", 64]
        process = start("train", *TINY, *settings, "--out", disk / "run")
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        try:
            with open(ballast, "wb", buffering=0) as f:
                while f.write(b"\0" * 4096):
                    pass
        except OSError:
            pass
        old = (disk / "run" / "checkpoint.safetensors").read_bytes()
        result = altprop("resume", disk / "run", "--quiet", code=1)
        assert_one_sentence(result)
        assert "No space left" in result.err and "free some space" in result.err
        assert (disk / "run" / "checkpoint.safetensors").read_bytes() == old
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=2m", disk], check=True)
        altprop("resume", disk / "run", "--quiet")
        train(tmp_path / "whole", *settings)
        assert_same_run(tmp_path / "whole", disk / "run")
    finally:
        subprocess.run(["umount", disk], check=False)


@pytest.mark.parametrize("arguments", [["list", "rules"], ["--help"], ["describe", "--net", "mlp:784-10"]])
def test_output_that_cannot_be_written(arguments):
    with open("/dev/full", "w") as full:
        result = subprocess.run([PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=environment())
    assert result.returncode == 1 and "No space left" in result.stderr and result.stderr.count("\n") == 1


def test_nobody_reads_the_output():
    """`altprop list rules | head -1` ends quietly."""
    process = subprocess.Popen([PROGRAM, "list", "rules", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=environment())
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(timeout=60)


def test_nobody_reads_the_progress(tmp_path):
    """A run goes on when the program behind its pipe has ended."""
    process = start("train", *TINY, "--epochs", 3, "--out", tmp_path / "run")
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert len(records(tmp_path / "run")) == 3


def test_too_little_memory(tmp_path):
    """36 million weights in 64 bits take 290 MB, and as much again while they are drawn."""

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, 400 << 20))

    result = altprop("train", *TINY, "--net", "mlp:784-6000-6000-10", "--epochs", 1, "--dtype", "float64", "--quiet",
                     "--out", tmp_path / "run", code=1, preexec_fn=limit)
    assert_one_sentence(result)
    assert "out of memory" in result.err


def test_two_programs_in_one_folder(tmp_path):
    run = tmp_path / "run"
    process = start("train", *TINY, "--epochs", 1000, "--out", run)
    process.stderr.readline()
    for command in (["resume", run], ["train", *TINY, "--quiet", "--overwrite", "--out", run]):
        result = altprop(*command, code=1)
        assert_one_sentence(result)
        assert "another" in result.err
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert summary(run)["status"] == "interrupted"


def test_an_interrupt_leaves_the_loop_of_a_shell(tmp_path):
    """As of any program that Ctrl-C ends: the shell sees 130, and its loop goes no further."""
    train = [str(a) for a in (PROGRAM, "train", *TINY, "--epochs", 1000, "--quiet", "--overwrite", "--out", tmp_path / "run")]
    shell = subprocess.Popen(["bash", "-c", 'for i in 1 2; do "$@"; echo ended $?; done', "bash", *train],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(),
                             start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    deadline = time.time() + 60
    while not (tmp_path / "run" / "metrics.jsonl").exists() and time.time() < deadline:
        time.sleep(0.01)
    os.killpg(shell.pid, signal.SIGINT)
    out, _ = shell.communicate(timeout=60)
    assert shell.returncode == -signal.SIGINT and "ended" not in out, out
    assert summary(tmp_path / "run")["status"] == "interrupted"


def test_interrupt_ends_commands_that_have_nothing_to_save(tmp_path):
    process = subprocess.Popen([PROGRAM, "check", "--net", "mlp:784-2000-2000-2000-10", "--batch", "4096"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
                               # tests that run as a background job are started with interrupts ignored
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == -signal.SIGINT


def test_names_that_are_no_utf8(tmp_path):
    folder = os.fsencode(tmp_path) + b"/r\xe4n"
    done = subprocess.run([os.fsencode(PROGRAM), b"compare", b"--rules", b"bp", *[a.encode() for a in TINY], b"--epochs", b"1",
                           b"--quiet", b"--out", folder], capture_output=True, env=environment())
    assert done.returncode == 0, done.stderr


LATIN = "caf\xe9".encode("latin-1")


@pytest.mark.parametrize("flags, parts", [
    ([b"--net", b"mlp:784-" + LATIN], ["option 'net'", "byte 12"]),
    ([b"--net", b"@net.txt"], ["net.txt'", "byte 25"]),
    ([b"--label", LATIN], ["option 'label'", "byte 4"]),
    ([b"--rule", b"backprop[" + LATIN + b"=1]"], ["option 'rule'", "byte 13"]),
    ([b"--rule", b"fa", b"--rule.init", LATIN], ["feedback.init", "byte 4"]),
    ([b"--rule", b"fa", b"--rule." + LATIN, b"1"], ["no option 'caf\\xe9'"]),
    ([b"--data", b"csv", b"--data.csv.train", LATIN + b".csv"], ["csv.train", "byte 4"]),
    ([b"--data-dir", LATIN], ["data-dir", "byte 4"]),
    ([b"--init-from", LATIN], ["init-from", "byte 4"]),
    ([b"--config", b"latin.toml"], ["latin.toml"]),
])
def test_settings_that_are_no_utf8_are_refused_before_there_is_a_folder(tmp_path, flags, parts):
    (tmp_path / "net.txt").write_bytes(b"# two layers\nmlp:784-16-" + LATIN[3:] + b"10:relu\n")
    (tmp_path / "latin.toml").write_bytes(b'label = "' + LATIN + b'"\n')
    commands = [[b"train", *[a.encode() for a in TINY]]]
    if b"--rule" not in flags and b"--label" not in flags:
        commands.append([b"compare", b"--rules", b"bp,fa", *[a.encode() for a in TINY]])
    for command in commands:
        done = subprocess.run([os.fsencode(PROGRAM), *command, b"--epochs", b"0", b"--out", b"run", *flags], cwd=tmp_path,
                              capture_output=True, env=environment())
        err = done.stderr.decode()  # what is said is UTF-8 itself
        assert done.returncode == 2 and err.count("\n") == 1 and len(err) < 700, done
        assert all(part in err for part in parts), err
        assert not (tmp_path / "run").exists()
    done = subprocess.run([os.fsencode(PROGRAM), b"compare", b"--rules", b"bp," + LATIN, b"--out", b"run"], cwd=tmp_path,
                          capture_output=True, env=environment())
    assert done.returncode == 2 and "byte 4" in done.stderr.decode() and not (tmp_path / "run").exists(), done


def test_data_in_a_folder_whose_name_is_no_utf8(tmp_path):
    """Settings hold the whole path of a run's data, which there is no way to write."""
    place = os.path.join(os.fsencode(tmp_path), LATIN)
    os.mkdir(place)
    with open(os.path.join(place, b"t.csv"), "w") as file:
        file.write("1,2,0\n3,4,1\n")
    flags = ["--data", "csv", "--data.csv.train", "t.csv", "--net", "mlp:2-2", "--epochs", "0", "--out", tmp_path / "run"]
    for command in (["train"], ["compare", "--rules", "bp"]):
        done = subprocess.run([PROGRAM, *command, *flags], cwd=place, capture_output=True, env=environment())
        err = done.stderr.decode()
        assert done.returncode == 2 and err.count("\n") == 1 and "csv.train" in err and "UTF-8" in err, done
        assert not (tmp_path / "run").exists()


def test_languages_whose_files_are_named_in_latin_1(tmp_path):
    os.mkdir(tmp_path / "names")
    for name in (b"Fran\xe7ais.txt", b"English.txt"):
        with open(os.path.join(os.fsencode(tmp_path), b"names", name), "w") as file:
            file.write("Anna\nBert\nCleo\nDora\n" * 3)
    flags = ["--data", "names", "--data-dir", tmp_path, "--net", "rnn:*-3-*", "--epochs", 1, "--quiet", "--threads", 1]
    altprop("train", *flags, "--out", tmp_path / "run")
    assert altprop("predict", tmp_path / "run", "--split", "train", "--json").json["class_names"] == ["English", "Fran\\xe7ais"]
    altprop("export", tmp_path / "run")
