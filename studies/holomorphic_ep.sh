#!/usr/bin/env bash
# Holomorphic equilibrium propagation (Laborieux & Zenke 2022, arXiv 2209.00530; 2023, arXiv 2309.02214) on 1,500 images of
# MNIST, 784-128-64-10, 2 epochs, 3 seeds: feedback without symmetry, then how many points, without and with noise. About 2
# minutes of one core. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/holomorphic_ep}"
common=(--net mlp:784-128-64-10:shifted-sigmoid --data mnist --data.train-limit 1500 --data.test-limit 1000
  --data.normalise unit --init kaiming --lr 0.01 --batch 15 --epochs "${EPOCHS:-2}" --seeds "${SEEDS:-1,2,3}"
  --probe-every 2 --probe-batch 64 --threads "${THREADS:-1}")
separate() { echo "hep[hep.damping=0.5,hep.points=0,hep.weights=separate,hep.feedback-angle=$1${2:-}]"; }
rules=()
for angle in 0 45 90; do
  for remedy in '' ,hep.homeostasis=10; do rules+=("$(separate $angle $remedy)"); done
done
rules+=("$(separate 90 ,hep.correction=true)")
build/altprop compare "${common[@]}" --out "$out/symmetry" "$@" --rules "$(IFS=,; echo "${rules[*]}")"
tied() { echo "hep[hep.damping=0.5,$1]"; }
build/altprop compare "${common[@]}" --out "$out/points" "$@" \
  --rules "$(tied hep.points=1,hep.radius=0.1),$(tied hep.points=1,hep.radius=0.1,hep.noise=0.04),$(tied hep.points=2),$(tied hep.points=4),$(tied hep.noise=0.04)"
.venv/bin/python studies/holomorphic_ep.py studies/holomorphic_ep.md "$out/symmetry" "$out/points"
