#!/usr/bin/env bash
# MNIST on neuromorphic cores: networks of five and of thirty cores trained on 50,000 images, the epoch that is best on the
# 10,000 others, then drawn 20 times as ensembles of 1 to 64 members, all 10,000 test images. About 20 minutes of one core.
# Needs ALTPROP_DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/truenorth_mnist}" program="${PROGRAM:-build/altprop}"
for cores in ${CORES:-5 30}; do
  run="$out/$cores"
  if [ ! -e "$run/summary.json" ]; then
    "$program" train --preset "truenorth-mnist-$cores" --validation 10000 --epochs "${EPOCHS:-10}" --threads "${THREADS:-1}" \
      --probe-every 0 --quiet --overwrite --out "$run"
  fi
  "$program" deploy "$run" --members 1,4,16,64 --draws "${DRAWS:-20}"
done
