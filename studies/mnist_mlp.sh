#!/usr/bin/env bash
# MNIST, 784-512-512-10 ReLU, 3 epochs, 3 seeds, every rule at the settings of the product-feedback-alignment experiments
# (Li & Benna 2024, arXiv 2405.20594: SGD .01 with momentum .9, batch 64). Rules with learnt feedback use a stronger decay in
# their first epoch. Then random feedback at a fifth of the rate, and rules that relax. About 10 minutes on 2 cores. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/mnist_mlp}"
common=(--net mlp:784-512-512-10:relu --data mnist --epochs 3 --batch 64 --seeds "${SEEDS:-1,2,3}"
  --optimizer momentum --lr 0.01 --weight-decay 1e-4 --threads "${THREADS:-2}")
build/altprop compare "${common[@]}" \
  --rules 'backprop,uniform-sign,batchwise-random-sign,fixed-random-sign,kolen-pollack[kp.align-decay=0.03],weight-mirror,product-feedback-alignment[pfa.align-decay=0.03],product-feedback-alignment[pfa.expand=ortho,pfa.align-decay=0.03],feedback-alignment,direct-feedback-alignment,last-layer-only' \
  --out "$out/all" "$@"
build/altprop compare "${common[@]}" --rules 'feedback-alignment[lr=0.002],direct-feedback-alignment[lr=0.002]' \
  --out "$out/random_feedback" "$@"
build/altprop compare "${common[@]}" \
  --rules 'activation-relaxation,predictive-coding,predictive-coding[pc.steps=20],predictive-coding[pc.mode=strict]' \
  --out "$out/relaxation" "$@"
.venv/bin/python studies/record.py studies/mnist_mlp.md "$out/all" "$out/random_feedback" "$out/relaxation"
