#!/usr/bin/env bash
# Equilibrium propagation, 3 seeds: a dense network (784-256-10, shifted sigmoids) on 10,000 images of MNIST against the exact
# gradient at rest; a small convolutional network (1-16-32, 5x5, max pooling, softmax readout) on 2,500 images of MNIST and of
# Fashion-MNIST with the estimators, separate weights for the way back, and on the other side backpropagation through the last 6
# steps of the free phase and backprop of the feed-forward network. Then the bias of the estimators over beta. About 60 minutes
# of one core. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/equilibrium_propagation}"
source studies/part.sh
dense=ep.dynamics=synchronous,ep.beta=0.1,ep.free-steps=30
part mlp --data mnist --data.train-limit 10000 --data.test-limit 2000 --data.normalise unit --loss squared-error --init kaiming \
  --net mlp:784-256-10:shifted-sigmoid:out=shifted-sigmoid --optimizer sgd --lr 0.4 --lr-of fc2=0.5 --batch 50 --epochs 5 \
  --rules "ep[$dense],ep[$dense,ep.estimator=one-sided],ep[$dense,ep.estimator=implicit]"
conv=(--net 'chain: conv 16 k=5, hard-sigmoid, maxpool 2, conv 32 k=5, hard-sigmoid, maxpool 2, flatten, linear 10'
  --data.train-limit 2500 --data.test-limit 1000 --data.normalise unit --init kaiming --batch 50
  --optimizer momentum --lr 0.1 --lr-of conv2=0.5,fc=0.2 --weight-decay 1e-3 --epochs 3)
ep=ep.nudged-steps=6
part mnist --data mnist "${conv[@]}" --rules "backprop,ep[$ep,ep.estimator=bptt],ep[$ep],ep[$ep,ep.estimator=one-sided],ep[$ep,ep.estimator=random-sign],ep[$ep,ep.weights=same-update],ep[$ep,ep.weights=separate]"
part fashion --data fashion-mnist "${conv[@]}" --rules "backprop,ep[$ep,ep.estimator=bptt],ep[$ep]"
[[ -z ${PARTS:-} ]] || exit 0 # the page is of all parts
.venv/bin/python studies/curves.py "$out/mnist" studies/figures/equilibrium_propagation_mnist.svg --least 70 \
  --panels accuracy,angle:conv1 --title 'MNIST, 1-16-32, 2,500 images; mean and deviation of 3 seeds'
.venv/bin/python studies/record.py --epochs studies/equilibrium_propagation.md --title 'Equilibrium propagation' \
  "$out/mlp=Dense, MNIST" "$out/mnist=Convolutional, MNIST" "$out/fashion=Convolutional, Fashion-MNIST"
.venv/bin/python studies/equilibrium_propagation_bias.py studies/equilibrium_propagation_bias.md studies/figures \
  "$out/mnist/ep_${ep}_-seed1/checkpoint.safetensors"
