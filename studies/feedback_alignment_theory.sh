#!/usr/bin/env bash
# The two-layer network of Song, Xu, Lafferty 2021 (arXiv 2106.06044) with random feedback: alignment against width and
# regularisation, and error curves. About 5 minutes of one core for the linear network; the ReLU network takes minutes up to
# p = 800, hours for all widths with 50 repetitions. What is finished is not computed again, so the script can be stopped and
# started at will. RELU_WIDTHS, RELU_WIDE: widths with 50 repetitions and WIDTH:REPETITIONS pairs with fewer.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/feedback_alignment_theory}"
mkdir -p "$out"
fa2() {
  local folder=$1
  shift
  build/altprop theory fa2 --threads "${THREADS:-1}" --out "$out/$folder" $([[ -e $out/$folder/settings.json ]] && echo --resume) "$@"
}
fa2 linear --width 200,400,800,1600,3200,6400,12800 --lambda 0,0.2,0.3,0.5
fa2 linear-loss --width 3200 --lambda 0,0.2,0.3,0.5 --steps 5000
fa2 linear-cutoff --width 3200 --lambda 0.2,0.3,0.5 --lambda-cutoff 10000 --steps 20000
relu() { fa2 "$1" --psi relu --dtype float32 --lambda 0,0.02,0.05,0.2 "${@:2}"; }
relu relu --width "${RELU_WIDTHS:-200,400,800}"
for wide in ${RELU_WIDE:-1600:10 3200:4 6400:5 12800:3}; do
  relu relu --width "${wide%:*}" --repetitions "${wide#*:}"
done
relu relu-loss --width 3200 --steps 5000 --repetitions 5
.venv/bin/python studies/feedback_alignment_theory.py "$out" studies/feedback_alignment_theory.md studies/figures
