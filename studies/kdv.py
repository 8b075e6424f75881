"""The page of studies/kdv.sh: losses of a Hamiltonian network on the equation of Korteweg and de Vries."""
import json
import pathlib
import sys


def records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def main():
    out = pathlib.Path(sys.argv[1])
    first = {method: [line["train_loss"] for line in records(out / method)] for method in ("naive", "aca", "symplectic")}
    apart = max(abs(a - b) / abs(a) for other in ("aca", "symplectic") for a, b in zip(first["naive"], first[other]))
    memory = {method: json.loads((out / method / "summary.json").read_text())["peak_memory_bytes"] for method in first}
    whole = records(out / "whole")
    summary = json.loads((out / "whole" / "summary.json").read_text())
    print(f"""# Korteweg and de Vries by the gradient of an energy

`studies/kdv.sh`: u' = D grad H(u), H a network of three convolutions with 64 channels, trained to map one snapshot to the
next (20 trajectories of 200 steps of 0.001, 50 points, four steps of `dopri8`, float64, Adam 1e-3, batches of 200).

The mean squared error of an epoch falls from {whole[0]['train_loss']:.3g} in the first to {whole[-1]['train_loss']:.3g} in the last of {len(whole)}, {whole[0]['train_loss'] / whole[-1]['train_loss']:.0f}
times ({summary['train_seconds']:.0f} s of one core that others used too); on trajectories of other solitons it is {whole[-1]['test_loss']:.3g}.

| epoch | training loss | test loss |
| ---: | ---: | ---: |""")
    for line in whole:
        if line["epoch"] in (1, 2, 5, 10, 20, 30, 40, len(whole)):
            print(f"| {line['epoch']} | {line['train_loss']:.3g} | {line['test_loss']:.3g} |")
    print(f"""
Gradient methods over the first {len(first['naive'])} iterations: the losses of `naive`, `aca` and `symplectic` differ by {apart:.1g}
at most, relative to themselves. Most bytes alive in training, data and optimizer included: {', '.join(f'`{m}` {b / 1e6:.0f} MB' for m, b in memory.items())}.""")


if __name__ == "__main__":
    main()
