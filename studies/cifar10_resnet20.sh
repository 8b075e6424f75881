#!/usr/bin/env bash
# CIFAR-10, ResNet-20 with the settings of the BioTorch benchmark (Sanfiz & Akrout 2021, arXiv 2108.13446: SGD with momentum .9,
# decay 1e-4, batch 128, flip and 4-pixel crop), 2 epochs instead of 250, one seed, every rule of the feedback pathways. About
# 90 minutes of one core. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
build/altprop compare --net resnet-20 --data cifar-10 --validation 5000 --epochs "${EPOCHS:-2}" --batch 128 --seeds "${SEEDS:-1}" \
  --optimizer momentum --lr 0.1 --weight-decay 1e-4 --crop 4 --flip true --threads "${THREADS:-2}" \
  --rules 'backprop,uniform-sign,batchwise-random-sign,fixed-random-sign,kolen-pollack[kp.align-decay=0.005],weight-mirror,product-feedback-alignment[pfa.align-decay=0.005],product-feedback-alignment[pfa.expand=ortho,pfa.align-decay=0.005],feedback-alignment,direct-feedback-alignment[lr=0.001],last-layer-only' \
  --out "${OUT:-runs/cifar10_resnet20}" "$@"
.venv/bin/python studies/record.py studies/cifar10_resnet20.md "${OUT:-runs/cifar10_resnet20}"
