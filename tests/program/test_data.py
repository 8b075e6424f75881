"""The user's own files, as the program reads them."""
import gzip
import os
import signal
import socket
import time

import numpy as np
from program import altprop, assert_one_sentence, start

QUICK = ["--quiet", "--json", "--threads", "1", "--rule", "backprop"]


def fit(tmp_path, *args, code=0):
    return altprop("train", *QUICK, *args, "--out", tmp_path / ("run" if code == 0 else "refused"), code=code)


def csv(tmp_path, train, test=None, *args, code=0, net="mlp:*-*", epochs=60):
    (tmp_path / "train.csv").write_text(train)
    files = ["--data", "csv", "--data.csv.train", tmp_path / "train.csv"]
    if test is not None:
        (tmp_path / "test.csv").write_text(test)
        files += ["--data.csv.test", tmp_path / "test.csv"]
    return fit(tmp_path, *files, "--net", net, "--epochs", epochs, "--batch", 2, "--lr", 0.3, *args, code=code)


def test_seconds_since_1970_can_be_learnt(tmp_path):
    table = "1700000000,0\n1700000001,0\n1700000002,1\n1700000003,1\n"
    assert csv(tmp_path, table, table).json["test_accuracy"] == 1
    refused = csv(tmp_path, table, table, "--data.normalise", "none", code=1)
    assert_one_sentence(refused)
    assert "float32 cannot tell apart" in refused.err


def test_columns_of_a_test_file_are_found_by_name(tmp_path):
    rows = [(i % 7, 100 - 3 * (i % 5), int(i % 7 > 3)) for i in range(35)]
    train = "a,b,y\n" + "".join(f"{a},{b},{y}\n" for a, b, y in rows)
    test = "y,b,a\n" + "".join(f"{y},{b},{a}\n" for a, b, y in rows)
    assert csv(tmp_path, train, test).json["test_accuracy"] == 1


def test_labels_with_gaps_make_no_outputs_that_nobody_has(tmp_path):
    table = "0,0,100\n5,0,2000\n0,5,30000\n"
    csv(tmp_path, table, table)
    predictions = altprop("predict", tmp_path / "run").out.splitlines()
    assert predictions[0] == "id,target,prediction,score,y.100,y.2000,y.30000", predictions


def test_arrays_with_their_channels_last(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 255, (8, 32, 32, 3), dtype=np.uint8))
    np.save(tmp_path / "y.npy", np.arange(8) % 2)
    files = ["--data", "npy", "--data.npy.train-x", tmp_path / "x.npy", "--data.npy.train-y", tmp_path / "y.npy"]
    files += ["--net", "chain: conv 4 k=3, relu, gap, linear *", "--epochs", 1]
    refused = fit(tmp_path, *files, code=2)
    assert_one_sentence(refused)
    assert "npy.layout" in refused.err
    fit(tmp_path, *files, "--data.npy.layout", "channels-last")


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    refused = fit(tmp_path, "--data", "csv", "--data.csv.train", tmp_path / "pipe", "--net", "mlp:*-*", code=1)
    assert_one_sentence(refused)
    assert "is a pipe" in refused.err and time.monotonic() - began < 20


def test_a_bomb_is_refused(tmp_path):
    with gzip.open(tmp_path / "t.csv.gz", "wb") as file:
        for _ in range(100):
            file.write(b"0,0,0\n" * 200000)
    refused = fit(tmp_path, "--data", "csv", "--data.csv.train", tmp_path / "t.csv.gz", "--net", "mlp:*-*", code=1)
    assert_one_sentence(refused)
    assert "t.csv.gz" in refused.err and "inflates" in refused.err


def test_ctrl_c_stops_a_download_that_waits(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, but never answers
        get = start("data", "get", "mnist", "--data-dir", tmp_path,
                    "--mirror", f"http://127.0.0.1:{server.getsockname()[1]}/")
        connection, _ = server.accept()
        with connection:
            time.sleep(0.5)
            get.send_signal(signal.SIGINT)
            began = time.monotonic()
            _, err = get.communicate(timeout=30)
    assert get.returncode == -signal.SIGINT and "was stopped" in err, err
    assert time.monotonic() - began < 10
