#!/usr/bin/env bash
# MNIST by first spike times: 784-800-10 units that fire once (relpsp-event) and, beside it, the same net of ReLUs by
# backprop, five epochs each, one seed unless SEEDS says more. About 10 minutes of one core a seed. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/relpsp_mnist}" program="${PROGRAM:-build/altprop}" data="${DATA:-mnist}" epochs="${EPOCHS:-5}"
for seed in ${SEEDS:-1}; do
  for net in relpsp relu; do
    run="$out/$net-$data-$seed"
    if [ -e "$run/summary.json" ]; then continue; fi
    if [ "$net" = relpsp ]; then
      settings=(--preset relpsp-mnist)
    else
      settings=(--net mlp:784-800-10:relu --optimizer adam --lr 0.001 --batch 64)
    fi
    "$program" train "${settings[@]}" --data "$data" --epochs "$epochs" --seed "$seed" --threads "${THREADS:-1}" --quiet \
      --overwrite --out "$run"
  done
done
