#!/usr/bin/env bash
# A Hamiltonian network that learns the equation of Korteweg and de Vries: 20 trajectories of 200 steps, 64 hidden
# channels, 1000 iterations through four steps of dopri8; and the first 20 iterations by three gradient methods. About
# half an hour of one core.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/kdv}" program="${PROGRAM:-build/altprop}"
net='chain: ode{energy{circular-pad 1, conv1d 64 k=3, tanh, conv1d 64 k=1, tanh, conv1d 1 k=1 bias=false} by=D dx=0.2} solver=dopri8 T=0.001 steps=4, flatten'
train() {
  "$program" train --preset hnn-kdv --net "$net" --data.pde.train 20 --data.pde.test 4 --data.pde.steps 200 --threads 1 \
    --probe-every 0 --quiet --overwrite "$@"
}
for method in naive aca symplectic; do
  train --ode.gradient "$method" --epochs 20 --batch 200 --data.train-limit 200 --out "$out/$method"
done
train --epochs 50 --max-steps 1000 --out "$out/whole"
.venv/bin/python studies/kdv.py "$out" >studies/kdv.md
