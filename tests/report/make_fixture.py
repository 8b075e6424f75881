#!/usr/bin/env python3
"""Writes made-up but plausible records, as `altprop train` and `altprop compare` would, to look at the report.

    make_fixture.py DIR [--kind compare|train|hostile] [--epochs 10] [--seeds 3] [--rules 6] [--layers 4]

'hostile' is a comparison with missing fields, NaN, a cut line, a diverged and an interrupted run and labels that try
to be HTML.
"""
import argparse
import json
import math
import random
from pathlib import Path

PARAMETERS = 784 * 256 + 256 * 256 + 256 * 128 + 128 * 10

# label: final accuracy, final angle of the update, angle of the feedback, learning speed, time, memory
RULES = {
    "backprop": (0.9812, 0, None, 1.0, 1.0, 1.0),
    "feedback-alignment": (0.9688, 58, 62, 0.7, 1.04, 1.21),
    "direct-feedback-alignment": (0.9641, 66, 71, 0.65, 0.93, 1.13),
    "uniform-sign": (0.9779, 34, 37, 0.9, 1.07, 1.22),
    "kolen-pollack[kp.form=explicit]": (0.9806, 4, 3, 0.95, 1.12, 1.21),
    "product-feedback-alignment[pfa.expand=ortho,pfa.align-decay=0.005]": (0.9801, 6, 5, 0.9, 1.31, 1.47),
    "weight-mirror": (0.9795, 17, 15, 0.85, 1.58, 1.24),
    "fixed-random-sign": (0.9702, 45, 48, 0.7, 1.05, 1.35),
    "target-propagation": (0.9633, 52, None, 0.6, 2.21, 1.30),
    "forward-gradient[fg.samples=8]": (0.9120, 84, None, 0.35, 3.90, 0.71),
    "batchwise-random-sign": (0.9580, 49, 52, 0.6, 2.62, 1.60),
    "last-layer-only": (0.8731, 90, None, 0.85, 0.55, 0.80),
    "predictive-coding": (0.9799, 0, None, 1.0, 1.02, 1.1),
    "direct-kolen-pollack": (0.9703, 40, 29, 0.75, 0.99, 1.15),
}
LAWFUL = ("kolen-pollack", "product")  # rules with an exact law for the feedback's approach


def layer_names(layers):
    return [f"fc{i + 1}" for i in range(layers)] if layers < 10 else ["conv1"] + [
        f"stage{1 + 3 * i // layers}.block{i // 2}.conv{1 + i % 2}" for i in range(layers - 2)] + ["fc"]


def relaxation(names, steps=(1, 2, 3, 5, 8, 13, 20)):
    """As a linear relaxation with step size .2 settles, a state per layer but the last."""
    def state(depth, name):
        hops = len(names) - 1 - depth
        arrived = [1 - sum(math.comb(t, j) * 0.2 ** j * 0.8 ** (t - j) for j in range(min(hops, t + 1))) for t in steps]
        return {"name": f"{name}.relu", "layer": name, "hops": hops, "expected": arrived[-1], "steps_needed": 40 * hops,
                "scale": arrived, "cosine": [1.0 if a else None for a in arrived],
                "apart": [0.01 * a for a in arrived], "residual": [1 - a for a in arrived], "energy": [0.5 * a * a for a in arrived]}
    return {"compared_with": "fixed point", "steps": list(steps), "states": [state(*one) for one in enumerate(names[:-1])]}


def metrics(rng, label, spec, epochs, layers):
    accuracy, angle, feedback, speed, time, _ = spec
    names = layer_names(layers)
    bias = [rng.gauss(0, 1) for _ in names]
    lift = rng.gauss(0, 0.0011)
    for epoch in range(epochs + 1):
        progress = 1 - math.exp(-speed * 0.9 * epoch)
        test = 0.1 + rng.gauss(0, 0.008) if epoch == 0 else (
            accuracy + lift - 0.16 * math.exp(-speed * 0.75 * epoch) + rng.gauss(0, 0.0009))
        loss = 2.31 * (1 - progress) + (1 - accuracy) * 3.1 + rng.gauss(0, 0.002)
        record = {
            "epoch": epoch, "step": epoch * 469,
            "train_loss": 2.31 * (1 - progress) + (1 - accuracy) * 1.3 * (0.82 ** epoch + 0.25),
            "train_accuracy": min(0.9999, test + 0.006 * progress), "test_loss": loss + 0.002 * epoch,
            "test_accuracy": test, "validation_loss": loss + 0.004 * epoch, "validation_accuracy": test - 0.002,
            "learning_rate": 0.05, "seconds": 4.1 * time + rng.gauss(0, 0.1),
            "samples_per_second": 14600 / time, "gradient": [], "alignment": [],
        }
        if label == "backprop":
            for name in names:
                for part in ("weight", "bias"):
                    record["gradient"].append({"name": f"{name}.{part}", "cosine": 1.0, "angle_degrees": 0.0,
                                               "magnitude_ratio": 1.0})
            yield record
            continue
        if label == "predictive-coding":
            record["relaxation"] = relaxation(names)
        for depth, name in enumerate(names):
            last = depth == layers - 1
            share = 0 if last else 1.15 - 0.88 * depth / layers
            now = angle * share + (90 - angle) * share * (1 - progress) ** 0.8 + (0 if last else bias[depth])
            now = min(118, now)
            ratio = 1.0 if last else 2 ** ((4 * depth / layers - 2.1) * (angle / 38) + rng.gauss(0, 0.05))
            for part, factor in (("weight", 1.0), ("bias", 0.93)):
                if label == "last-layer-only" and not last:  # no update has no direction
                    record["gradient"].append({"name": f"{name}.{part}", "cosine": None, "angle_degrees": None,
                                               "magnitude_ratio": 0.0})
                    continue
                degrees = max(0.0, now * factor)
                record["gradient"].append({"name": f"{name}.{part}", "cosine": math.cos(math.radians(degrees)),
                                           "angle_degrees": degrees, "magnitude_ratio": ratio})
            if feedback is not None and depth:
                left = math.exp(-speed * (0.4 + 0.48 * depth / layers) * epoch)
                degrees = feedback + (90 - feedback) * left + rng.gauss(0, 0.6)
                entry = {"name": name, "angle_degrees": degrees, "norm_ratio": 1 + 0.4 * math.exp(-epoch / 3)}
                if label.startswith(LAWFUL):
                    entry["predicted_factor"] = 0.62 ** (epoch * (1 + 0.4 * depth / layers))
                    entry["measured_factor"] = entry["predicted_factor"] * (1 + rng.gauss(0, 1e-4))
                record["alignment"].append(entry)
        yield record


def summary(rng, label, spec, seed, epochs, records):
    _, _, _, _, time, memory = spec
    rule, _, rest = label.partition("[")
    options = dict(pair.split("=") for pair in rest.rstrip("]").split(",") if pair)
    last = records[-1]
    step = 0.00874 * time
    return {
        "rule": rule, "label": label, "net": "mlp:784-256-256-128-10", "data": "fashion-mnist", "seed": seed,
        "epochs": epochs, "test_accuracy": last["test_accuracy"], "test_loss": last["test_loss"],
        "train_seconds": epochs * 4.1 * time, "samples_per_second": 14600 / time,
        "peak_memory_bytes": int(312e6 * memory), "altprop_version": "0.1.0", "torch_version": "2.6.0",
        "loss": "cross-entropy", "optimizer": "momentum", "learning_rate": 0.05, "batch": 128, "device": "cpu",
        "dtype": "float32", "threads": 2, "parameters": PARAMETERS, "rule_options": options,
        "settings": {"lr": 0.05, "momentum": 0.9, "weight-decay": 0.0005 if "kolen" in label else 0.0,
                     "init": "kaiming", "epochs": epochs, "probe-batch": 512, "probe-every": 1, "shuffle": True,
                     "milestones": [],
                     "data-options": {}, "rule-options": options, "rule": rule, "seed": seed},
        "warnings": ["memory is the process's peak, which includes the data set"] if seed == 0 else [],
        "step_seconds": step, "time_relative_to_backprop": time + rng.gauss(0, 0.015) * (label != "backprop"),
        "memory_relative_to_backprop": memory, "peak_memory_above_data_bytes": int(12e6 * memory),
        "step_flops": 2 * 128 * PARAMETERS * 2.6 * (0.5 + time / 2), "flops_relative_to_backprop": 0.5 + time / 2,
        "status": "done",
    }


def make_hostile(top, curves):
    """Spoils a comparison in every way the report must bear."""
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    for run in top["runs"]:
        if run["label"] == "feedback-alignment":
            run["label"] = nasty
            run["warnings"] = [nasty, {"not": "text"}]
    diverged = top["runs"][-1]
    diverged.update(status="diverged", test_accuracy=None, test_loss=None)
    cut = next(run for run in top["runs"] if run["label"] == "uniform-sign")
    cut.update(status="interrupted", epochs=2)
    for record in curves[diverged["folder"]][-2:]:
        record.update(train_loss=None, test_loss=None, test_accuracy=None, gradient=[{"name": "fc1.weight"}, 7])
        record["relaxation"] = {"states": [7, {"name": "a", "scale": "x"}], "steps": [None, 1], "remarks": [nasty, 7, {}]}
    for key in ("test_loss", "rule_options", "settings", "time_relative_to_backprop", "warnings", "status"):
        top["runs"][0].pop(key)
    curves[top["runs"][1]["folder"]][2]["gradient"] = "damaged"
    curves[top["runs"][2]["folder"]] = None


def write_curve(folder, records, cut):
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "metrics.jsonl").write_text(text[:-40] if cut else text)


def make(folder, kind="compare", epochs=10, seeds=3, rules=6, layers=4):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)
    if kind == "train":
        label = "kolen-pollack[kp.form=explicit]"
        records = list(metrics(rng, label, RULES[label], epochs, layers))
        write_curve(folder, records, cut=False)
        (folder / "summary.json").write_text(json.dumps(summary(rng, label, RULES[label], 0, epochs, records)))
        return
    runs, curves = [], {}
    for label in list(RULES)[:rules]:
        for seed in range(seeds):
            records = list(metrics(rng, label, RULES[label], epochs, layers))
            name = f"{label.replace('[', '-').replace(']', '').replace('=', '-')}-s{seed}"
            runs.append({**summary(rng, label, RULES[label], seed, epochs, records), "folder": name})
            curves[name] = records
    names = ",".join(list(RULES)[:rules])
    top = {"command": f"altprop compare --net mlp:784-256-256-128-10 --data fashion-mnist --rules {names} "
                      f"--seeds {seeds} --epochs {epochs}", "net": "mlp:784-256-256-128-10", "data": "fashion-mnist",
           "epochs": epochs, "runs": runs}
    if kind == "hostile":
        make_hostile(top, curves)
    for index, (name, records) in enumerate(curves.items()):
        if records is not None:
            write_curve(folder / name, records, cut=kind == "hostile" and index == 4)
    (folder / "summary.json").write_text(json.dumps(top))


def make_with(folder, fields):
    """A run of three epochs whose records have further fields. @param fields of an epoch"""
    make(folder, kind="train", epochs=3)
    path = folder / "metrics.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**r, **fields(r["epoch"])}) + "\n" for r in records))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--kind", choices=("compare", "train", "hostile"), default="compare")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rules", type=int, default=6)
    parser.add_argument("--layers", type=int, default=4)
    args = parser.parse_args()
    make(args.folder, args.kind, args.epochs, args.seeds, args.rules, args.layers)
