#!/usr/bin/env bash
# Holomorphic equilibrium propagation (Laborieux & Zenke 2022, arXiv 2209.00530; 2023, arXiv 2309.02214) on 3,000 images of
# MNIST, 784-128-64-10, 3 epochs, 3 seeds: how many points, noise, feedback without symmetry. About 5 minutes of one core.
# Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/holomorphic_ep}"
common=(--net mlp:784-128-64-10:shifted-sigmoid --data mnist --data.train-limit 3000 --data.test-limit 2000
  --data.normalise unit --init kaiming --lr 0.01 --batch 50 --epochs "${EPOCHS:-3}" --seeds "${SEEDS:-1,2,3}"
  --threads "${THREADS:-1}")
build/altprop compare "${common[@]}" --out "$out/points" "$@" \
  --rules 'hep[hep.points=1],hep[hep.points=2],hep[hep.points=4],hep[hep.points=0]'
build/altprop compare "${common[@]}" --out "$out/noise" "$@" \
  --rules 'hep[hep.points=1,hep.radius=0.1],hep[hep.points=1,hep.radius=0.1,hep.noise=0.04],hep[hep.noise=0.04]'
separate() { echo "hep[hep.weights=separate,hep.points=0,hep.feedback-angle=$1$2]"; }
rules=()
for angle in 0 45 90; do
  for remedy in '' ,hep.homeostasis=1 ,hep.correction=true; do rules+=("$(separate $angle $remedy)"); done
done
build/altprop compare "${common[@]}" --out "$out/symmetry" "$@" --rules "$(IFS=,; echo "${rules[*]}")"
.venv/bin/python studies/holomorphic_ep.py studies/holomorphic_ep.md "$out/points" "$out/noise" "$out/symmetry"
