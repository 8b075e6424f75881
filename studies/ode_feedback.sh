#!/usr/bin/env bash
# Feedback pathways inside of a neural ODE: a block of four steps of rk4 on MNIST, trained by backprop, feedback alignment
# and Kolen-Pollack; angle of the credit to the exact one by step and stage. Three seeds, about 3 minutes of one core.
# Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/ode_feedback}"
build/altprop compare --rules backprop,fa,kp --seeds 1,2,3 --net 'ode-mlp:784-32-64-10:tanh:solver=rk4,steps=4' \
  --data mnist --optimizer momentum --lr 0.01 --epochs 5 --threads 1 --quiet --overwrite --out "$out"
.venv/bin/python studies/ode_feedback.py "$out" >studies/ode_feedback.md
