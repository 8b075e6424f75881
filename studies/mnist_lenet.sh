#!/usr/bin/env bash
# MNIST, LeNet-5, 2 epochs, 3 seeds, every rule of the feedback pathways at the settings of studies/mnist_mlp.sh, but: random
# feedback at a tenth of the rate, weight mirror and orthogonal product feedback at a fifth; learnt feedback with less decay in
# its first epoch, as the activity of a network without norms dies at 0.03. About 5 minutes on 2 cores. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
build/altprop compare --net lenet-mnist --data mnist --epochs 2 --batch 64 --seeds "${SEEDS:-1,2,3}" \
  --optimizer momentum --lr 0.01 --weight-decay 1e-4 --threads "${THREADS:-2}" \
  --rules 'backprop,uniform-sign,batchwise-random-sign,fixed-random-sign,kolen-pollack[kp.align-decay=0.005],weight-mirror[lr=0.002],product-feedback-alignment[pfa.align-decay=0.005],product-feedback-alignment[pfa.expand=ortho,pfa.align-decay=0.005,lr=0.002],feedback-alignment[lr=0.001],direct-feedback-alignment[lr=0.001],last-layer-only' \
  --out "${OUT:-runs/mnist_lenet}" "$@"
.venv/bin/python studies/record.py studies/mnist_lenet.md "${OUT:-runs/mnist_lenet}"
