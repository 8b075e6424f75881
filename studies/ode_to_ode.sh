#!/usr/bin/env bash
# ODEtoODE and its baselines on MNIST, then on corrupted test images: 64 values, 25 steps, five epochs, one seed each
# unless SEEDS says more. About 15 minutes of two cores a seed. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/ode_to_ode}" program="${PROGRAM:-build/altprop}" threads="${THREADS:-2}" seeds="${SEEDS:-1}"
nets=("mlp:784-64-10:relu" "mlp:784-64x2-10:relu" "mlp:784-64x10-10:relu"
  "ode-to-ode:784-64-10:relu:flow=constant" "ode-to-ode:784-64-10:relu:flow=basis,terms=1"
  "ode-to-ode:784-64-10:relu:flow=basis,terms=10" "ode-to-ode:784-64-10:relu:flow=free,gates=1,sees=both"
  "ode-to-ode:784-64-10:relu:flow=free,gates=10,sees=both" "ode-to-ode:784-64-10:relu:flow=iso"
  "ode-to-ode:784-64-10:relu:flow=gated,gates=1,sees=time" "ode-to-ode:784-64-10:relu:flow=gated,gates=10,sees=time"
  "ode-to-ode:784-64-10:relu:flow=gated,gates=10,sees=weights,width=8")
runs=()
for seed in ${seeds//,/ }; do
  for net in "${nets[@]}"; do
    run="$out/${net//[:,=*]/_}-$seed"
    runs+=("$run")
    if [ -e "$run/summary.json" ]; then continue; fi
    "$program" train --net "$net" --data mnist --optimizer adam --lr 0.001 --batch 128 --epochs 5 --probe-every 0 \
      --threads "$threads" --quiet --overwrite --seed "$seed" --out "$run"
  done
done
"$program" robustness "${runs[@]}" --json >"$out/robustness.json"
.venv/bin/python studies/ode_to_ode.py "$out/robustness.json" >studies/ode_to_ode.md
