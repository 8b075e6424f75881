"""Installs the library into a temporary prefix and builds a foreign project against it."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ALTPROP_BUILD", ROOT / "build"))


def run(*command, **kwargs):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_another_project_finds_the_installed_library(tmp_path):
    prefix = tmp_path / "prefix"
    run("cmake", "--install", BUILD, "--prefix", prefix)
    assert (prefix / "bin" / "altprop").exists()
    assert "altprop" in run(prefix / "bin" / "altprop", "--version", cwd=tmp_path)
    user = tmp_path / "user"
    run("cmake", "-S", ROOT / "tests" / "install", "-B", user, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_CXX_FLAGS=-O0")
    run("cmake", "--build", user)
    out = run(user / "user", cwd=tmp_path)
    assert "rules" in out
