#!/usr/bin/env python3
"""What a stop by residual and the order of the states cost and change in equilibrium propagation.

One training step of the preset ep-cifar10 with 16 images, from the initial weights and after 40 batches: its time, the
steps that the phases took, and per layer the cosine of its gradient with that of all published steps.

    ALTPROP_DATA=<folder with cifar-10> .venv/bin/python studies/equilibrium_propagation_stop.py [folder for the runs]
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors.torch
import torch

PROGRAM = Path(__file__).resolve().parent.parent / "build" / "altprop"
STEPS = "ep.beta=1,ep.nudged-steps=25,ep.free-steps=250"
WAYS = {"synchronous, all steps": "ep.dynamics=synchronous",
        "synchronous, 1e-3": "ep.dynamics=synchronous,ep.tolerance=1e-3",
        "alternating, 1e-3": "ep.dynamics=alternating,ep.tolerance=1e-3"}
RATES = {"conv1": ("1", 0.25), "conv2": ("0.6", 0.15), "conv3": ("0.4", 0.1), "conv4": ("0.32", 0.08), "fc1": ("0.2", 0.05)}
DECAY = 3e-4


def train(out, way, *more):
    subprocess.run([PROGRAM, "train", "--preset", "ep-cifar10", "--rule", f"equilibrium-propagation[{STEPS},{way}]", "--batch",
                    "16", "--data.train-limit", "2000", "--data.test-limit", "16", "--probe-every", "0", "--quiet", "--out",
                    out, "--overwrite", *map(str, more)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def gradients(run):
    """Of the only step: momentum's average less the weight decay, which is of the weights before the step."""
    saved = safetensors.torch.load_file(run / "checkpoint.safetensors")
    out = {}
    for layer, (factor, rate) in RATES.items():
        average = saved[f"optimizer.weights:{factor}:Float.first0"].double()
        after = torch.cat([saved[f"net.{layer}.{kind}"].flatten() for kind in ("weight", "bias")]).double()
        out[layer] = average - DECAY * (after + rate * average)
    return out


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    train(folder / "trained", WAYS["alternating, 1e-3"], "--max-steps", 40)
    print("| | free and nudged steps | s a training step | cosine with all steps, first layer to readout |")
    print("| --- | --- | --- | --- |")
    for start, more in {"initial": [], "after 40 batches": ["--init-from", folder / "trained" / "checkpoint.safetensors"]}.items():
        full = None
        for name, way in WAYS.items():
            run = folder / f"{start} {name}".replace(" ", "-").replace(",", "")
            train(run, way, "--max-steps", 1, "--seed", 3, *more)
            record = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
            found = gradients(run)
            full = full or found
            cosines = [torch.nn.functional.cosine_similarity(found[k], full[k], dim=0).item() for k in RATES]
            taken = record["figures"]
            print(f"| {name}, {start} | {taken['free_steps']:.0f}, {taken['nudged_steps']:.0f} | {record['seconds']:.1f} | "
                  + ", ".join(f"{c:.4f}" for c in cosines) + " |", flush=True)


if __name__ == "__main__":
    main()
