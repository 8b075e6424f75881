#!/usr/bin/env bash
# Activation relaxation as in Millidge, Tschantz, Seth, Buckley 2020 (arXiv 2009.05359 and 2010.06219): MNIST and Fashion-MNIST
# with 784-300-300-100-10, learnt and fixed backward weights, relaxation without derivatives, a frozen pass that is partly given
# up, and a convolutional network on 10,000 images of CIFAR-10. Three seeds. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/activation_relaxation}"
source studies/part.sh
ar=activation-relaxation
learned=ar.feedback=learned,feedback.init=normal:0.05
fixed=ar.feedback=fixed,feedback.init=normal:0.05
plain=ar.derivative-in-relaxation=false
simpler="$ar[$learned],$ar[$fixed],$ar[$plain],$ar[$learned,$plain],$ar[$fixed,$plain]"
mnist=(--preset activation-relaxation-mnist)
part mnist "${mnist[@]}" --epochs 5 --rules "backprop,$ar,$ar[ar.init=zero],$simpler"
part fashion --preset activation-relaxation-fashion --epochs 5 --rules "backprop,$ar,$simpler"
part entropy "${mnist[@]}" --loss cross-entropy --lr 0.032 --epochs 5 --rules "backprop,$ar,$simpler"
part loop "${mnist[@]}" --data.train-limit 10000 --epochs 1 --rules "$ar,$ar[ar.engine=loop]"
part long "${mnist[@]}" --epochs 15 --rules "backprop,$ar,$ar[ar.init=zero]"
current="$ar[ar.derivative-x=current],$ar[ar.derivative-w=current],$ar[ar.derivative-x=current,ar.derivative-w=current]"
part frozen "${mnist[@]}" --net mlp:784-300-300-100-10:tanh --data.train-limit 10000 --epochs 2 \
  --rules "backprop,$ar,$ar[ar.plasticity-pre=current],$current"
conv='conv 6 k=5 bias=false, tanh, maxpool 2, conv 16 k=5 bias=false, tanh, flatten'
everywhere=$plain,ar.derivative-in-plasticity=false
part cifar10 "${mnist[@]}" --net "chain: $conv, linear 120, tanh, linear 120, tanh, linear 10" --data cifar-10 \
  --data.normalise symmetric --data.train-limit 10000 --lr-of conv=2 --epochs 2 \
  --rules "backprop,$ar,$ar[ar.init=zero],$ar[$plain],$ar[$everywhere],$ar[$learned],$ar[$learned,$everywhere]"
[[ -z ${PARTS:-} ]] || exit 0 # the page is of all parts
curves() { .venv/bin/python studies/curves.py "$out/$1" "studies/figures/activation_relaxation_$1.svg" "${@:2}"; }
curves mnist --least 86 --title 'MNIST, 784-300-300-100-10, squared error; mean and deviation of 3 seeds'
curves entropy --least 86 --panels accuracy,angle:fc1 --title 'MNIST, 784-300-300-100-10, cross-entropy; mean and deviation of 3 seeds'
curves long --panels angle:fc1,magnitude:fc1 --leave backprop --title 'MNIST, 784-300-300-100-10, squared error, first layer; mean and deviation of 3 seeds'
.venv/bin/python studies/record.py studies/activation_relaxation.md --title 'Activation relaxation' \
  --layers mnist,entropy,frozen,cifar10 \
  "$out/mnist=MNIST, squared error" "$out/fashion=Fashion-MNIST, squared error" "$out/entropy=MNIST, cross-entropy" \
  "$out/loop=The loop against its closed form" "$out/long=The share of activity that stays" \
  "$out/frozen=A pass that is not frozen" "$out/cifar10=CIFAR-10, convolutional, 10,000 images"
