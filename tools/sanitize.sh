#!/usr/bin/env bash
# Runs what CMake's target altprop_sanitized holds: the fuzzers and the tests of the rooms that handle bytes themselves.
set -euo pipefail
build=$(cd "${1:-build}" && pwd)
# An allocation of 8 GB would be one that a damaged input asked for. libtorch keeps thread pools, operator tables and
# the like to the end of the process without freeing them, so leaks are not looked for.
export ASAN_OPTIONS="detect_leaks=0:max_allocation_size_mb=8192:allocator_may_return_null=0:strict_string_checks=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:${UBSAN_OPTIONS:-}"
shards=$(nproc)
for ((i = 0; i < shards; i++)); do
  GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$i OMP_NUM_THREADS=1 "$build/altprop_sanitized" --gtest_brief=1 &
done
failed=0
for job in $(jobs -p); do wait "$job" || failed=1; done
if ((failed)); then echo "the sanitizers or a test under them found a fault"; exit 1; fi
echo "no fault found by the address and undefined-behaviour sanitizers"
