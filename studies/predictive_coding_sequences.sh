#!/usr/bin/env bash
# Predictive coding through time: an LSTM on the first 200,000 characters of tinyshakespeare and a plain recurrent network on
# names, as in Millidge, Tschantz, Buckley 2020 (arXiv 2006.04182) but smaller. Three seeds, one for the LSTM. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/predictive_coding_sequences}"
source studies/part.sh
mkdir -p "$out"
head -c 200000 "$ALTPROP_DATA/tinyshakespeare/input.txt" >"$out/text.txt"
pc=predictive-coding
SEEDS=1 part text --net 'lstm:*-128-*' --data text --data.text.file "$PWD/$out/text.txt" --optimizer adam --lr 0.003 --epochs 2 \
  --rules "backprop,$pc[pc.eta=1,pc.steps=150],$pc[pc.steps=20],$pc[pc.steps=5]"
part names --net 'rnn:*-256-*' --data names --optimizer adam --lr 0.001 --epochs 2 \
  --rules "backprop,$pc[pc.eta=1,pc.steps=19],$pc[pc.steps=20]"
