"""Reads the records of comparisons, for the scripts beside it."""

import json
import math
import re

SHORT = {"activation-relaxation": "ar", "predictive-coding": "pc", "backprop": "backprop"}


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def epochs(folder, run):
    """Lines of metrics.jsonl by epoch; of an epoch that occurs twice (a resumed run) the later one counts."""
    lines = [json.loads(line) for line in (folder / run["folder"] / "metrics.jsonl").read_text().splitlines()]
    return {line["epoch"]: line for line in lines}


def by_label(folder):
    """Label -> runs of its seeds, each as its epochs; runs that diverged are left out."""
    out = {}
    for run in summary(folder)["runs"]:
        out.setdefault(run["label"], [])
        if run["status"] == "done":
            out[run["label"]].append(epochs(folder, run))
    return out


def weights(line):
    """What a line of metrics.jsonl says of the gradients of weights: biases are left out."""
    return [g for g in line.get("gradient", []) if not g["name"].endswith("bias")]


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def deviation(values):
    values = [v for v in values if v is not None]
    if len(values) < 2:
        return None
    m = mean(values)
    return math.sqrt(sum((v - m) ** 2 for v in values) / (len(values) - 1))


def display(label):
    """'activation-relaxation[ar.eta=1,feedback.init=zero]' -> 'ar[eta=1, init=zero]', which the page's command tells in full."""
    name, _, options = label.partition("[")
    options = re.sub(r"(^|,)[a-z0-9]+\.", r"\1", options.rstrip("]")).replace(",", ", ")
    return SHORT.get(name, name) + (f"[{options}]" if options else "")
