#!/usr/bin/env bash
# Equilibrium propagation on CIFAR-10 for what two cores can spend: the four convolutions of Laborieux et al. 2021 (arXiv
# 2006.03824) with a quarter of their channels (32-64-128-128), on 5,000 images for 4 epochs, one seed. Their whole recipe is
# the preset ep-cifar10. Beside it backpropagation through the last steps of the same dynamics, and backprop of the feed-forward
# network. About 30 minutes of one core. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/equilibrium_propagation_cifar10}"
source studies/part.sh
net='chain: conv 32 k=3 p=1, half-hard-sigmoid, maxpool 2, conv 64 k=3 p=1, half-hard-sigmoid, maxpool 2,
  conv 128 k=3 p=1, half-hard-sigmoid, maxpool 2, conv 128 k=3, half-hard-sigmoid, maxpool 2, flatten, linear 10'
ep=ep.free-steps=40,ep.nudged-steps=10,ep.dynamics=alternating
SEEDS="${SEEDS:-1}" part small --preset ep-cifar10 --net "$net" --data.train-limit 5000 --data.test-limit 1000 --batch 50 \
  --epochs 4 --probe-batch 32 --rules "backprop,ep[$ep],ep[$ep,ep.estimator=bptt]"
.venv/bin/python studies/record.py --epochs studies/equilibrium_propagation_cifar10.md "$out/small"
