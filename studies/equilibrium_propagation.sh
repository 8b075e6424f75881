#!/usr/bin/env bash
# Equilibrium propagation in a small convolutional network (1-16-32, 5x5, max pooling, softmax readout) on 2,500 images of MNIST
# and of Fashion-MNIST, 3 seeds: the estimators, separate weights for the way back, and on the other side the exact gradients:
# backpropagation through the last 6 steps of the free phase, and backprop of the feed-forward network. Then the bias of the
# estimators over beta. About 20 minutes of one core. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/equilibrium_propagation}"
common=(--net 'chain: conv 16 k=5, hard-sigmoid, maxpool 2, conv 32 k=5, hard-sigmoid, maxpool 2, flatten, linear 10'
  --data.train-limit 2500 --data.test-limit 1000 --data.normalise unit --init kaiming --batch 50
  --optimizer momentum --lr 0.1 --lr-of conv2=0.5,fc=0.2 --weight-decay 1e-3 --epochs 3 --seeds "${SEEDS:-1,2,3}"
  --threads "${THREADS:-1}")
ep=ep.nudged-steps=6
build/altprop compare --data mnist "${common[@]}" --out "$out/mnist" --rules "backprop,ep[$ep,ep.estimator=bptt],ep[$ep],ep[$ep,ep.estimator=one-sided],ep[$ep,ep.estimator=random-sign],ep[$ep,ep.weights=same-update],ep[$ep,ep.weights=separate]" "$@"
build/altprop compare --data fashion-mnist "${common[@]}" --out "$out/fashion" --rules "backprop,ep[$ep,ep.estimator=bptt],ep[$ep]" "$@"
.venv/bin/python studies/record.py --epochs studies/equilibrium_propagation.md "$out/mnist" "$out/fashion"
.venv/bin/python studies/equilibrium_propagation_bias.py studies/equilibrium_propagation_bias.md studies/figures \
  "$out/mnist/ep_${ep}_-seed1/checkpoint.pt"
