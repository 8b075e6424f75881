#!/usr/bin/env bash
# Equilibrium propagation on CIFAR-10 for what two cores can spend: two convolutions (32-64, 5x5, max pooling, softmax readout)
# on 5,000 images for 4 epochs, one seed; the published recipe of four convolutions is the preset ep-cifar10. Beside it
# backpropagation through the last steps of the same dynamics, and backprop of the feed-forward network. About 20 minutes of one
# core. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/equilibrium_propagation_cifar10}"
source studies/part.sh
ep=ep.nudged-steps=6
SEEDS="${SEEDS:-1}" part small --data cifar-10 --data.train-limit 5000 --data.test-limit 1000 --data.normalise unit \
  --net 'chain: conv 32 k=5, hard-sigmoid, maxpool 2, conv 64 k=5, hard-sigmoid, maxpool 2, flatten, linear 10' \
  --init kaiming --batch 50 --optimizer momentum --lr 0.1 --lr-of conv2=0.5,fc=0.2 --weight-decay 1e-3 --epochs 4 \
  --probe-every 5 --probe-batch 32 --rules "backprop,ep[$ep],ep[$ep,ep.estimator=bptt]"
.venv/bin/python studies/record.py --epochs studies/equilibrium_propagation_cifar10.md "$out/small"
