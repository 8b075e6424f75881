#!/usr/bin/env bash
# tools/test_file.sh FILE PREFIX: one file of the program's tests, for tools/test.sh. Says how it went in a line, and all of
# it where a test failed; PREFIX-FILE.xml has the results.
set -uo pipefail
cd "$(dirname "$0")/.."
name=$2-${1//\//-}
if .venv/bin/python -m pytest -q -p no:cacheprovider --junit-xml="$name.xml" "$1" >"$name.log" 2>&1; then
  echo "$1: $(tail -1 "$name.log")"
else
  cat "$name.log"
fi
