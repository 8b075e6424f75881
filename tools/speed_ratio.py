#!/usr/bin/env python3
"""Says whether a change has made training slower: two builds of the program, measured in turn.

    tools/speed_ratio.py OLD NEW [--rounds 20] [--threads 1,2] [--works mlp,lenet] [--rules backprop,...]

OLD and NEW are programs (`build/altprop`). In every round both run `altprop bench` on the same works, first one and
then the other, and in the next round the other way round, so that what else the machine does hits both alike. Per row
it prints the geometric mean of new over old with the bounds of its 95 % confidence interval; a row is slower if the
lower bound is above 1.03, and then the exit code is 1.
"""
import argparse
import json
import math
import statistics
import subprocess
import sys

# Two-sided 95 % quantiles of Student's t by degrees of freedom; beyond the last the normal's.
STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 10: 2.23, 12: 2.18,
           14: 2.14, 16: 2.12, 19: 2.09, 24: 2.06, 29: 2.05, 59: 2.00}
SLOWER = 1.03


def student(freedom):
    return next((STUDENT[n] for n in sorted(STUDENT, reverse=True) if n <= freedom), 12.71) if freedom else math.inf


def measure(program, work, rules, threads, seconds):
    command = [program, "bench", "--work", work, "--rounds", "1", "--seconds", str(seconds), "--threads", str(threads),
               "--python", "none", "--no-limit", "--json", *(["--rules", rules] if rules else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    return {(row["work"], row["rule"], row["optimizer"]): row["step_ms"] for row in json.loads(done.stdout)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--works", default="mlp", help="names of `altprop bench`, separated by commas")
    parser.add_argument("--rules", default="", help="default: all")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each rule and round")
    a = parser.parse_args()
    slower = 0
    print(f"{'work':12} {'rule':34} {'optimizer':10} {'threads':>7} {'new/old':>8} {'95 % of it':>17}")
    for threads in a.threads.split(","):
        for work in a.works.split(","):
            logs = {}
            for turn in range(a.rounds):
                order = [a.old, a.new] if turn % 2 == 0 else [a.new, a.old]
                found = {program: measure(program, work, a.rules, threads, a.seconds) for program in order}
                for key in found[a.old].keys() & found[a.new].keys():
                    logs.setdefault(key, []).append(math.log(found[a.new][key] / found[a.old][key]))
            for key, values in sorted(logs.items()):
                mean = statistics.mean(values)
                half = student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf
                low, high = math.exp(mean - half), math.exp(mean + half)
                mark = "  slower" if low > SLOWER else ""
                slower += bool(mark)
                print(f"{key[0]:12} {key[1][:34]:34} {key[2]:10} {threads:>7} {math.exp(mean):8.3f} "
                      f"{low:8.3f} {high:8.3f}{mark}", flush=True)
    sys.exit(1 if slower else 0)


if __name__ == "__main__":
    main()
