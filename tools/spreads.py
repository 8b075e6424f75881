#!/usr/bin/env python3
"""How far bounds on learning are from what is learnt, in standard deviations over seeds.

Repeats the tests that learn something with other seeds and prints for each figure its mean, standard deviation, worst
seed and bound. A bound should be three deviations or more from the worst seed's side of the mean, and far from what a
broken rule gives; a margin below three is marked. Under other kernels or threads:

    ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=1 tools/spreads.py

usage: tools/spreads.py [--build DIR] [--seeds N] [--filter GOOGLETEST_FILTER]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILTER = ("Contract/EveryRule.LearnsGlyphs/*:Proof*:LearnedFeedbackTeacher.*:FeedbackLearning.Teacher*:CoresLearn.*:"
          "SpikingNetworks.*:EventRecordings.*")


def found_in(report):
    """(test, figure) -> (value, "at least" or "at most", bound)"""
    out = {}
    for suite in report["testsuites"]:
        for test in suite["testsuite"]:
            for key, text in test.items():
                if key.startswith("learnt_"):
                    value, at, side, bound = text.split()
                    out[f"{suite['name']}.{test['name']}", key[7:]] = float(value), f"{at} {side}", float(bound)
    return out


def run(program, selected, seed):
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        subprocess.run([program, f"--gtest_filter={selected}", f"--gtest_output=json:{report.name}", "--gtest_brief=1"],
                       env={**os.environ, "ALTPROP_TEST_SEED": str(seed)}, stdout=subprocess.DEVNULL)
        return found_in(json.load(report))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    parser.add_argument("--seeds", default=8, type=int)
    parser.add_argument("--filter", default=FILTER)
    args = parser.parse_args()
    runs = [run(args.build / "altprop_tests", args.filter, seed) for seed in range(args.seeds)]
    print(f"{'figure':70} {'mean':>9} {'deviation':>9} {'worst':>9} {'bound':>9} {'margin':>7}")
    for key in runs[0]:
        values = [found[key][0] for found in runs if key in found]
        _, side, bound = runs[0][key]
        sign = 1 if side == "at least" else -1
        worst = min(values, key=lambda v: sign * v)
        deviation = statistics.stdev(values) if len(values) > 1 else 0
        margin = sign * (statistics.mean(values) - bound) / deviation if deviation else float("inf")
        mark = " <- less than three deviations" if margin < 3 else ""
        print(f"{key[0] + ' ' + key[1]:70} {statistics.mean(values):9.4f} {deviation:9.4f} {worst:9.4f} {bound:9.4f} "
              f"{margin:7.1f}{mark}")


if __name__ == "__main__":
    main()
