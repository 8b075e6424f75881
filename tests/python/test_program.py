"""The command `altprop` of an installed package becomes the program."""
import os
import subprocess
import sys

from package import BUILD

BEGIN = "import sys, pathlib, altprop.program as p; p.PROGRAM = pathlib.Path(sys.argv.pop(1)); sys.exit(p.main())"


def begun(program, *arguments):
    return subprocess.run([sys.executable, "-c", BEGIN, str(program), *arguments], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(BUILD / "python")}, timeout=120)


def test_it_is_the_program():
    direct = subprocess.run([BUILD / "altprop", "--version"], capture_output=True, text=True, check=True)
    assert begun(BUILD / "altprop", "--version").stdout == direct.stdout != ""


def test_the_exit_code_is_the_programs():
    done = begun(BUILD / "altprop", "nonsense")
    assert done.returncode == 2 and "no command 'nonsense'" in done.stderr and "Traceback" not in done.stderr


def test_a_missing_or_damaged_program_is_told_in_a_sentence(tmp_path):
    damaged = tmp_path / "altprop"
    for what in ("is missing", "cannot be run"):
        done = begun(damaged, "--version")
        assert done.returncode == 1 and what in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        damaged.write_text("no program")
