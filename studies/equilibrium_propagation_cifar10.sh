#!/usr/bin/env bash
# Equilibrium propagation on CIFAR-10 for what two cores can spend: two convolutions (32-64, 5x5, max pooling, softmax readout)
# on 5,000 images for 3 epochs, one seed, with the data and the estimator of the preset ep-cifar10, which is the published recipe
# of four convolutions. Beside it backpropagation through the last steps of the same dynamics, and backprop of the feed-forward
# network. About 10 minutes of one core. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/equilibrium_propagation_cifar10}"
source studies/part.sh
ep=ep.free-steps=20,ep.nudged-steps=6,ep.beta=0.5,ep.dynamics=alternating
SEEDS="${SEEDS:-1}" part small --preset ep-cifar10 --data.train-limit 5000 --data.test-limit 1000 --batch 50 \
  --net 'chain: conv 32 k=5, hard-sigmoid, maxpool 2, conv 64 k=5, hard-sigmoid, maxpool 2, flatten, linear 10' \
  --lr 0.1 --lr-of conv2=0.5,fc=0.2 --epochs 3 --probe-every 3 --probe-batch 32 \
  --rules "backprop,ep[$ep],ep[$ep,ep.estimator=bptt]"
[[ -z ${PARTS:-} ]] || exit 0 # the page is of all parts
.venv/bin/python studies/record.py studies/equilibrium_propagation_cifar10.md --title 'Equilibrium propagation, CIFAR-10' "$out/small"
