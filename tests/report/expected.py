"""What the report has to draw, worked out from the records alone: the marks of every figure, by label."""
import json
import math
from collections import Counter


def read(folder):
    """[(label, [(summary, {epoch: record})])] in the order of the records."""
    top = json.loads((folder / "summary.json").read_text())
    runs = top.get("runs", [{**top, "folder": "."}])
    groups = {}
    for run in runs:
        path = folder / run["folder"] / "metrics.jsonl"
        records = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            records[record["epoch"]] = record
        groups.setdefault(run["label"], []).append((run, records))
    return list(groups.items())


def known(value):
    return isinstance(value, (int, float)) and math.isfinite(value)


def entries(record, part):
    found = record.get(part)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def epochs_with(runs, has):
    return sorted({epoch for _, records in runs for epoch, record in records.items() if has(record)})


def thinned(items, limit=40):
    return items[::-1][::math.ceil(len(items) / limit)] if items else []


def listed(part, name, key):
    return lambda record: any(entry["name"] == name and known(entry.get(key)) for entry in entries(record, part))


def weight(name, key):
    return listed("gradient", name, key)


def aligned(layer, key):
    return listed("alignment", layer, key)


def lines(groups, has, name=lambda label: label):
    counts = {name(label): len(epochs_with(runs, has)) for label, runs in groups}
    return {label: n for label, n in counts.items() if n}


def layers_of(groups, part):
    seen = {}
    for _, runs in groups:
        for _, records in runs:
            for record in records.values():
                for entry in entries(record, part):
                    seen[entry["name"]] = True
    return list(seen)


def classes(groups):
    """Accuracy of the classes that have samples, and all counts; summed over a rule's runs that came to their end."""
    out, accuracies = {}, 0
    for label, runs in groups:
        tables = [run["confusion"]["counts"] for run, _ in runs if isinstance(run.get("confusion"), dict)]
        if tables:
            rows = [[sum(counts) for counts in zip(*rows)] for rows in zip(*tables)]
            accuracies += sum(sum(row) > 0 for row in rows)
            out[f"confusion:{label}"] = {"": len(rows) ** 2}
    return {"class-accuracy": {"": accuracies}, **out} if out else {}


def figures(folder):
    """{figure: {label: marks}}; a line counts its points, a map has no labels."""
    groups = read(folder)
    several = len(groups) > 1
    out = {}
    for quantity in ("accuracy", "loss"):
        sets = {"test": "test", "train": "training", "validation": "validation"}
        for key in sets:
            has = lambda record, key=key: known(record.get(f"{key}_{quantity}"))
            if several:
                out[f"{key}_{quantity}"] = lines(groups, has)
            else:
                out.setdefault(quantity, {}).update(lines(groups, has, lambda _, key=key: sets[key]))
    weights = [name for name in layers_of(groups, "gradient") if name.endswith(".weight")]
    for name, key in (("angles", "angle_degrees"), ("ratios", "magnitude_ratio")):
        tilted = [group for group in groups if not (several and group[0].startswith("backprop"))]
        has = [weight(one, key) for one in weights]
        out[f"{name}-mean"] = lines(groups, lambda record: has and all(one(record) for one in has))
        if several:
            out[f"{name}-end"] = {"": sum(bool(epochs_with(runs, one)) for _, runs in tilted for one in has)}
        for label, runs in tilted:
            columns = thinned(epochs_with(runs, lambda record: any(one(record) for one in has)))
            out[f"{name}-map:{label}"] = {"": sum(epoch in epochs_with(runs, one) for one in has for epoch in columns)}
    out.update(feedback(groups, several))
    out.update(relaxation(groups))
    if several:
        ended = lambda run: run.get("status") not in ("diverged", "interrupted")
        out["ranking"] = dict(Counter(label for label, runs in groups for run, _ in runs if ended(run)))
        for cost, key in (("time", "time"), ("memory", "memory"), ("flops", "flops")):
            out[f"cost-{cost}"] = {label: 1 for label, runs in groups
                                   if any(known(run.get(f"{key}_relative_to_backprop")) for run, _ in runs)}
    return {name: marks for name, marks in out.items() if sum(marks.values())}


def relaxation(groups):
    """The curves of the last probe; a logarithmic scale has no place for zeros."""
    out = {}
    for label, runs in groups:
        last = {}
        for _, records in runs:
            seen = [r["relaxation"] for _, r in sorted(records.items()) if isinstance(r.get("relaxation"), dict)]
            for state in entries(seen[-1], "states") if seen else []:
                for key in ("scale", "cosine", "apart", "residual", "energy"):
                    series = state.get(key) if isinstance(state.get(key), list) else []
                    marks = {step for step, value in zip(seen[-1]["steps"], series)
                             if known(value) and (value or key in ("scale", "cosine"))}
                    last.setdefault(key, {}).setdefault(state.get("layer") or state["name"], set()).update(marks)
        for key, states in last.items():
            out[f"relaxation-{key}:{label}"] = {name: len(marks) for name, marks in states.items() if marks}
    return out


def feedback(groups, several):
    out, pairs = {}, Counter()
    for layer in layers_of(groups, "alignment"):
        if several:
            out[f"alignment:{layer}"] = lines(groups, aligned(layer, "angle_degrees"))
        else:
            out.setdefault("alignment", {})[layer] = len(epochs_with(groups[0][1], aligned(layer, "angle_degrees")))
        law = lines(groups, aligned(layer, "predicted_factor"), lambda label: f"{label}, predicted")
        law.update(lines(groups, aligned(layer, "measured_factor"), lambda label: f"{label}, measured"))
        out[f"factor:{layer}"] = law
    for label, runs in groups:
        for _, records in runs:
            for record in records.values():
                pairs[label] += sum(known(e.get("predicted_factor")) and known(e.get("measured_factor"))
                                    for e in entries(record, "alignment"))
    out["law"] = dict(+pairs)
    out.update(classes(groups))
    return out
