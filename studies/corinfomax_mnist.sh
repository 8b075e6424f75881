#!/usr/bin/env bash
# CorInfoMax on 10,000 images of MNIST, 784-500-10, the settings of Bozkurt, Pehlevan, Erdogan 2023, arXiv 2306.04810, for 3
# epochs: lateral matrices as published, left out, exact, and with a shorter memory, down to one (lambda 0.99) at which the
# published update does not stay definite; backprop with Adam beside them. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/corinfomax_mnist}"
common=(--preset corinfomax-mnist --data.train-limit 10000 --epochs 3 --seeds "${SEEDS:-1,2,3}" --threads "${THREADS:-1}")
build/altprop compare "${common[@]}" --out "$out" \
  --rules "backprop[optimizer=adam,lr=0.001,schedule=constant],corinfomax,corinfomax[cim.lateral=off],corinfomax[cim.lateral=exact],corinfomax[cim.lambda=0.999],corinfomax[cim.lambda=0.99],corinfomax[cim.lambda=0.99,cim.lateral=exact]" "$@"
.venv/bin/python studies/record.py studies/corinfomax_mnist.md "$out"
