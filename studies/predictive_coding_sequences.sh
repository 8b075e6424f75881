#!/usr/bin/env bash
# Predictive coding through time, in the manner of Millidge, Tschantz, Buckley 2020 (arXiv 2006.04182) but smaller: an LSTM on
# the first 200,000 characters of tinyshakespeare for an epoch, a plain recurrent network on names for 100 updates. Three seeds.
# About 10 minutes of one core. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/predictive_coding_sequences}"
source studies/part.sh
mkdir -p "$out"
head -c 200000 "$ALTPROP_DATA/tinyshakespeare/input.txt" >"$out/text.txt"
pc=predictive-coding
part text --net 'lstm:*-128-*' --data text --data.text.file "$PWD/$out/text.txt" --optimizer adam --lr 0.003 --epochs 1 \
  --rules "backprop,$pc[pc.eta=1,pc.steps=150],$pc,$pc[pc.steps=20],$pc[pc.steps=5],$pc[pc.mode=strict,pc.steps=20]"
part names --net 'rnn:*-256-*' --data names --optimizer adam --lr 0.001 --epochs 1 --max-steps 100 \
  --rules "backprop,$pc[pc.eta=1,pc.steps=19],$pc,$pc[pc.steps=20]"
[[ -z ${PARTS:-} ]] || exit 0 # the page is of all parts
.venv/bin/python studies/record.py studies/predictive_coding_sequences.md --title 'Predictive coding through time' \
  "$out/text=LSTM on text" "$out/names=Plain recurrent network on names"
