"""How long threads spin before they sleep: the program's default, which the environment overrides."""
import os
import subprocess
import time

import pytest
from program import PROGRAM, TINY


def environment_of_a_run(out, **variables):
    """What a training process has in its environment while it trains."""
    kept = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    process = subprocess.Popen([PROGRAM, "train", *TINY, "--epochs", "1000", "--quiet", "--out", out],
                               env={**kept, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (out / "metrics.jsonl").exists() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        with open(f"/proc/{process.pid}/environ", "rb") as file:
            return dict(line.split(b"=", 1) for line in file.read().split(b"\0") if b"=" in line)
    finally:
        process.kill()
        process.wait()


def test_threads_spin_shortly(tmp_path):
    assert environment_of_a_run(tmp_path / "run")[b"GOMP_SPINCOUNT"] == b"3000"


@pytest.mark.parametrize("name, value", [("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "7")])
def test_the_environment_decides(tmp_path, name, value):
    seen = environment_of_a_run(tmp_path / "run", **{name: value})
    assert seen[name.encode()] == value.encode()
    assert name == "GOMP_SPINCOUNT" or b"GOMP_SPINCOUNT" not in seen


def test_arguments_and_exit_code_pass():
    done = subprocess.run([PROGRAM, "list", "no such list"], capture_output=True, text=True)
    assert done.returncode in (1, 2) and "no such list" in done.stderr
