#!/usr/bin/env bash
# CIFAR-10, LeNet of the BioTorch benchmark (Sanfiz & Akrout 2021, arXiv 2108.13446), its optimizers, flip and 4-pixel crop,
# 45,000 / 5,000 / 10,000 split; a few epochs instead of 250. SGD at the published learning rates and, for the rules that need
# another one within a few epochs, at that; then Adam at the published rates. About 50 minutes on 2 cores for one seed.
# Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/cifar10_lenet}"
common=(--net lenet-cifar --data cifar-10 --validation 5000 --epochs "${EPOCHS:-5}" --batch 128 --seeds "${SEEDS:-1}"
  --weight-decay 1e-4 --crop 4 --flip true --threads "${THREADS:-2}")
pathways='uniform-sign,batchwise-random-sign,fixed-random-sign'
build/altprop compare "${common[@]}" --optimizer momentum --lr 0.1 --out "$out/sgd" \
  --rules "backprop,$pathways,kolen-pollack[kp.align-decay=0.005],weight-mirror[lr=0.02],product-feedback-alignment[pfa.align-decay=0.005],product-feedback-alignment[pfa.expand=ortho,pfa.align-decay=0.005],feedback-alignment[lr=0.001],feedback-alignment[lr=0.01],direct-feedback-alignment[lr=0.0001],direct-feedback-alignment[dfa.place=activation,lr=0.001],last-layer-only" "$@"
build/altprop compare "${common[@]}" --optimizer adam --lr 0.001 --out "$out/adam" \
  --rules "backprop,$pathways,feedback-alignment[lr=0.0001],direct-feedback-alignment[lr=0.0001],last-layer-only" "$@"
.venv/bin/python studies/record.py studies/cifar10_lenet.md "$out/sgd" "$out/adam"
