#!/usr/bin/env bash
# Predictive coding: the settings of Rosenbaum 2022 (arXiv 2106.13082) with a convolutional network on MNIST, those of Millidge,
# Tschantz, Buckley 2020 (arXiv 2006.04182) on 10,000 images of CIFAR-10, values in front of sigmoids as in the example of the
# ngc-learn library, and twenty layers. Three seeds. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/predictive_coding}"
source studies/part.sh
pc=predictive-coding
strict=pc.mode=strict,pc.steps=20
epc=pc.mode=epc,pc.steps=5
conv=(--preset predictive-coding-mnist-fixed --epochs 2)
part conv "${conv[@]}" --rules "backprop,$pc,$pc[pc.eta=1,pc.steps=4]"
part moving "${conv[@]}" --rules "$pc[$strict],$pc[pc.mode=zil],$pc[$epc]"
part cifar10 --preset predictive-coding-cifar10 --data.train-limit 10000 --epochs 5 --rules "backprop,$pc"
part sigmoid --preset predictive-coding-mnist-sigmoid --epochs 5 --rules "backprop,$pc"
deep=(--net 'mlp:784-128x19-10:tanh' --data mnist --data.test-limit 1000 --optimizer adam --lr 3e-4 --epochs 1 --max-steps 200)
many="$pc[pc.mode=epc,pc.steps=20]"
small="$pc[$epc,pc.beta=0.01]"
part deep "${deep[@]}" --loss squared-error \
  --rules "backprop,$pc[$strict],$pc[$epc],$pc[$epc,pc.eta=0.03],$pc[$epc,pc.eta=0.02],$many,$pc[$epc,pc.beta=0.1],$small"
part deep_entropy "${deep[@]}" --loss cross-entropy \
  --rules "backprop,$pc[$strict],$pc[$epc],$pc[$epc,pc.eta=0.02],$small"
[[ -z ${PARTS:-} ]] || exit 0 # the page is of all parts
.venv/bin/python studies/record.py studies/predictive_coding.md --title 'Predictive coding' --layers conv,moving,deep \
  "$out/conv=Frozen predictions, MNIST" "$out/moving=Moving values, MNIST" \
  "$out/deep=Twenty layers, squared error" "$out/deep_entropy=Twenty layers, cross-entropy" \
  "$out/cifar10=Frozen predictions, CIFAR-10, 10,000 images" "$out/sigmoid=Values in front of sigmoids, MNIST"
