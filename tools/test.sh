#!/usr/bin/env bash
# Runs the C++ tests and then the files of the program's tests, in as many processes as there are cores; ends with one line
# of counts.
# Where there is a GPU, everything runs a second time on it. Says how long each part took.
set -uo pipefail
build=$(cd "${1:-build}" && pwd)
cd "$(dirname "$0")/.."
shards=$(nproc)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

took() { echo "$1: $((SECONDS - begun)) s"; begun=$SECONDS; }
begun=$SECONDS

crashed=0
run_all() {  # on the device in $1
  export ALTPROP_TEST_DEVICE=$1
  for ((i = 0; i < shards; i++)); do
    GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$i OMP_NUM_THREADS=1 \
      "$build/altprop_tests" --gtest_brief=1 --gtest_output="json:$logs/$1-shard$i.json" >"$logs/$1-shard$i.log" 2>&1 &
  done
  for job in $(jobs -p); do wait "$job" || true; done
  for ((i = 0; i < shards; i++)); do
    grep -vE '^$|^\[==========\]|^\[  PASSED  \]' "$logs/$1-shard$i.log"
    [[ -s "$logs/$1-shard$i.json" ]] || { echo "shard $i on $1 ended before its tests did"; crashed=1; }
  done
  took "C++ tests on $1"
  export ALTPROP_BUILD=$build
  # The largest first, so that the last ones are short.
  find tests -name 'test_*.py' -printf '%s %p\n' | sort -rn | cut -d' ' -f2- |
    xargs -P "$shards" -I{} tools/test_file.sh {} "$logs/$1"
  took "tests of the program and of Python on $1"
}

run_all cpu
tools/kernels.sh "$build" || crashed=1
took "kernels"
devices=cpu
if .venv/bin/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  run_all cuda
  devices="cpu cuda"
fi

.venv/bin/python - "$logs" "$crashed" $devices <<'PY'
import glob, json, sys, xml.etree.ElementTree as xml
logs, crashed, devices = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
passed = skipped = 0
failed = crashed  # also if a choice of kernels failed
for path in glob.glob(logs + "/*-shard*.json"):
    for suite in json.load(open(path))["testsuites"]:
        for test in suite["testsuite"]:
            if test.get("failures"):
                failed += 1
                print("FAILED", test["classname"] + "." + test["name"])
            elif test.get("result") == "SKIPPED":
                skipped += 1
            elif test.get("status") == "RUN":
                passed += 1
for device in devices:
    for file in glob.glob("tests/**/test_*.py", recursive=True):
        try:
            for suite in xml.parse(f"{logs}/{device}-{file.replace('/', '-')}.xml").getroot().iter("testsuite"):
                count = {k: int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped")}
                failed += count["failures"] + count["errors"]
                skipped += count["skipped"]
                passed += count["tests"] - count["failures"] - count["errors"] - count["skipped"]
        except (OSError, xml.ParseError):
            failed += 1
            print(f"FAILED {file} did not run to its end on {device}")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
PY
