#!/usr/bin/env bash
# CorInfoMax on MNIST, 784-500-10, the settings of Bozkurt, Pehlevan, Erdogan 2023, arXiv 2306.04810, for 3 epochs. With 60,000
# images: as published, and with the lateral matrices left out. With 10,000: lateral matrices as published, left out, exact, and
# with a shorter memory, down to one (lambda 0.99) at which the published update does not stay definite. Backprop with Adam
# beside them. About 9 minutes of one core. Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/corinfomax_mnist}"
common=(--preset corinfomax-mnist --epochs 3 --seeds "${SEEDS:-1,2,3}" --threads "${THREADS:-1}")
backprop="backprop[optimizer=adam,lr=0.001,schedule=constant]"
build/altprop compare "${common[@]}" --out "${out}_60k" --rules "$backprop,corinfomax,corinfomax[cim.lateral=off]" "$@"
build/altprop compare "${common[@]}" --data.train-limit 10000 --out "${out}_10k" \
  --rules "$backprop,corinfomax,corinfomax[cim.lateral=off],corinfomax[cim.lateral=exact],corinfomax[cim.lambda=0.999],corinfomax[cim.lambda=0.99],corinfomax[cim.lambda=0.99,cim.lateral=exact]" "$@"
.venv/bin/python studies/record.py --epochs studies/corinfomax_mnist.md "${out}_60k" "${out}_10k"
