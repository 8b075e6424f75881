#!/usr/bin/env bash
# Holomorphic equilibrium propagation (Laborieux & Zenke 2022, arXiv 2209.00530; 2023, arXiv 2309.02214) on MNIST, 3 seeds:
# 784-128-64-10 on 1,500 images, 2 epochs: feedback without symmetry, then how many points, without and with noise; the points
# again on 10,000 images, 3 epochs; and a small convolutional network on 2,500 images. About 15 minutes of one core. Needs
# ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/holomorphic_ep}"
source studies/part.sh
data=(--data mnist --data.test-limit 1000 --data.normalise unit --init kaiming)
dense=(--net mlp:784-128-64-10:shifted-sigmoid "${data[@]}" --probe-batch 64)
short=("${dense[@]}" --data.train-limit 1500 --lr 0.01 --batch 15 --epochs 2 --probe-every 2)
separate() { echo "hep[hep.damping=0.5,hep.points=0,hep.weights=separate,hep.feedback-angle=$1${2:-}]"; }
rules=()
for angle in 0 45 90; do
  for remedy in '' ,hep.homeostasis=10; do rules+=("$(separate $angle $remedy)"); done
done
rules+=("$(separate 90 ,hep.correction=true)")
part symmetry "${short[@]}" --rules "$(IFS=,; echo "${rules[*]}")"
tied() { echo "hep[hep.damping=0.5,$1]"; }
part points "${short[@]}" \
  --rules "$(tied hep.points=1,hep.radius=0.1),$(tied hep.points=1,hep.radius=0.1,hep.noise=0.04),$(tied hep.points=2),$(tied hep.points=4),$(tied hep.noise=0.04)"
part longer "${dense[@]}" --data.train-limit 10000 --lr 0.01 --batch 50 --epochs 3 \
  --rules "backprop,$(tied hep.points=0),$(tied hep.points=2),$(tied hep.points=4)"
part conv --net 'chain: conv 16 k=5, dsilu, softmaxpool 2, conv 32 k=5, dsilu, softmaxpool 2, flatten, linear 10' "${data[@]}" \
  --data.train-limit 2500 --lr 0.2 --batch 50 --epochs 2 --probe-batch 32 \
  --rules "backprop,$(tied hep.points=0),$(tied hep.points=2)"
[[ -z ${PARTS:-} ]] || exit 0 # the page is of all parts
.venv/bin/python studies/holomorphic_ep.py studies/holomorphic_ep.md \
  "$out/symmetry=Feedback without symmetry" "$out/points=Points and noise" "$out/longer=10,000 images" "$out/conv=Convolutional network"
