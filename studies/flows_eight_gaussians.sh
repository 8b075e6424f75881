#!/usr/bin/env bash
# A continuous normalising flow on the eight gaussians with the settings of FFJORD's toy runs (arXiv 1810.01367, code):
# concatsquash 64-64-64 tanh, T = 0.5 with a learnt square root, exact trace, dopri5 at 1e-5, Adam 1e-3, decay 1e-5; batches of
# 200, 2000 iterations. Then 50 iterations in float64 under each gradient method, whose likelihoods have to be the same.
# About 10 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${OUT:-runs/flows_eight_gaussians}"
program="${ALTPROP_BUILD:-build}/altprop"
common=(--data 8gaussians --net cnf:2:64x3:tanh:T=0.5 --loss likelihood --optimizer adam --lr 1e-3 --weight-decay 1e-5
  --threads "${THREADS:-1}" --probe-every 0)
"$program" train "${common[@]}" --batch 200 --epochs 20 --data.toy.train 20000 --data.toy.test 2000 --seed "${SEED:-1}" \
  --ode.gradient naive --out "$out/trained" "$@"
"$program" report "$out/trained"
for method in naive one-checkpoint aca symplectic adjoint; do
  "$program" train "${common[@]}" --batch 100 --epochs 10 --data.toy.train 500 --data.toy.test 500 --dtype float64 \
    --ode.gradient "$method" --quiet --out "$out/$method" "$@"
done
.venv/bin/python - "$out" <<'PY'
import json
import pathlib
import sys

out = pathlib.Path(sys.argv[1])
losses = {d.name: [json.loads(line)["test_loss"] for line in (d / "metrics.jsonl").read_text().splitlines()]
          for d in sorted(out.iterdir()) if (d / "metrics.jsonl").exists()}
for name, of in losses.items():
    apart = max(abs(a - b) for a, b in zip(of, losses["naive"]))
    print(f"{name:15} NLL {of[-1]:.4f} nats" + ("" if name == "trained" else f", apart from naive by at most {apart:.1e}"))
summary = json.loads((out / "trained" / "summary.json").read_text())
print(f"{summary['steps']} iterations in {summary['train_seconds']:.0f} s")
PY
