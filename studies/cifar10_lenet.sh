#!/usr/bin/env bash
# CIFAR-10, LeNet of the BioTorch benchmark (Sanfiz & Akrout 2021, arXiv 2108.13446), its optimizer and learning rates per rule, flip and
# 4-pixel crop, 45,000 / 5,000 / 10,000 split; a few epochs instead of 250. About 40 minutes on 2 cores. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
build/altprop compare --net lenet-cifar --data cifar-10 --validation 5000 --epochs "${EPOCHS:-5}" --batch 128 --seeds "${SEEDS:-1,2,3}" \
  --optimizer momentum --lr 0.1 --weight-decay 1e-4 --crop 4 --flip true --threads "${THREADS:-2}" \
  --rules 'backprop,uniform-sign,batchwise-random-sign,fixed-random-sign,kolen-pollack[kp.align-decay=0.005],weight-mirror,product-feedback-alignment[pfa.align-decay=0.005],product-feedback-alignment[pfa.expand=ortho,pfa.align-decay=0.005],feedback-alignment[lr=0.001],direct-feedback-alignment[lr=0.0001],last-layer-only[lr=0.01]' \
  --out "${OUT:-runs/cifar10_lenet}" "$@"
.venv/bin/python studies/record.py "${OUT:-runs/cifar10_lenet}" studies/cifar10_lenet.md
