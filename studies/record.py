"""Writes the tables of comparisons as a page of figures: studies/record.py [--epochs] PAGE.md DIR [DIR ...]

With --epochs a table over the epochs follows each: accuracy, cosines to the exact gradient, angle of the feedback weights.
"""

import json
import pathlib
import statistics
import sys


def cell(value, factor=1.0, digits=2):
    if value is None:
        return "-"
    text = f"{value['mean'] * factor:.{digits}f}"
    return text + (f" ± {value['std'] * factor:.{digits}f}" if value["n"] > 1 else "")


COLUMNS = [
    ("test accuracy %", "test_accuracy", 100, 2),
    ("test loss", "test_loss", 1, 4),
    ("angle to the exact gradient, degrees", "angle_degrees", 1, 1),
    ("magnitude / exact", "magnitude_ratio", 1, 2),
    ("memory / BP", "memory_relative_to_backprop", 1, 2),
]


def table(folder):
    summary = json.loads((folder / "summary.json").read_text())
    run = summary["runs"][0]
    seeds = sorted({r["seed"] for r in summary["runs"]})
    lines = [
        f"{run['epochs']} epochs, optimizer {run['optimizer']}, seeds {', '.join(map(str, seeds))}; "
        f"altprop {run['altprop_version']}, torch {run['torch_version']}, {run['threads']} threads.",
        "",
        "    " + summary["command"],
        "",
        "| rule | " + " | ".join(c[0] for c in COLUMNS) + " |",
        "| --- |" + " ---: |" * len(COLUMNS),
    ]
    for row in summary["table"]:
        lines.append("| " + row["label"] + " | " + " | ".join(cell(row[k], f, d) for _, k, f, d in COLUMNS) + " |")
    return f"# {summary['net']} on {summary['data']}", lines


def mean_of(values, factor=1.0, digits=2):
    values = [v for v in values if v is not None]
    if not values:
        return "-"
    deviation = f" ± {statistics.stdev(values) * factor:.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values) * factor:.{digits}f}{deviation}"


def over_epochs(folder):
    summary = json.loads((folder / "summary.json").read_text())
    series = {}  # label -> epoch -> records of its seeds
    for run in summary["runs"]:
        if run["status"] == "interrupted":
            continue
        for line in (folder / run["folder"] / "metrics.jsonl").read_text().splitlines():
            record = json.loads(line)
            series.setdefault(run["label"], {}).setdefault(record["epoch"], []).append(record)
    records = [r for epochs in series.values() for seeds in epochs.values() for r in seeds]
    names = lambda key: list(dict.fromkeys(e["name"] for r in records for e in r.get(key, []) if "bias" not in e["name"]))
    weights, pairs = names("gradient"), names("alignment")
    pick = lambda record, key, name, field: next((e[field] for e in record.get(key, []) if e["name"] == name), None)
    lines = ["| rule | epoch | test accuracy % | " + " | ".join(f"cosine of {n}" for n in weights)
             + "".join(f" | feedback of {n}, degrees" for n in pairs) + " |",
             "| --- |" + " ---: |" * (2 + len(weights) + len(pairs))]
    for label, epochs in series.items():
        for epoch, seeds in sorted(epochs.items()):
            cells = [mean_of([r.get("test_accuracy") for r in seeds], 100)]
            cells += [mean_of([pick(r, "gradient", n, "cosine") for r in seeds]) for n in weights]
            cells += [mean_of([pick(r, "alignment", n, "angle_degrees") for r in seeds], 1, 1) for n in pairs]
            lines.append(f"| {label} | {epoch} | " + " | ".join(cells) + " |")
    return lines


def main():
    arguments = [a for a in sys.argv[1:] if a != "--epochs"]
    page, folders = pathlib.Path(arguments[0]), [pathlib.Path(folder) for folder in arguments[1:]]
    tables = [table(folder) for folder in folders]
    lines = [tables[0][0], "", "Angles and magnitudes are means over the parameters after the last epoch, against the exact "
             "gradient: backprop's, or the\none that the rule's page names; ± is the standard deviation over seeds. What a step "
             "costs is measured in\ndocs/performance.md."]
    for folder, (title, one) in zip(folders, tables):
        if len({title for title, _ in tables}) > 1:
            lines += ["", f"### {title[2:]}"]
        lines += ["", *one]
        if "--epochs" in sys.argv:
            lines += ["", "Over the epochs; \"-\": no gradient.", "", *over_epochs(folder)]
    old = page.read_text() if page.exists() else ""
    notes = old[old.index("\n## ") :] if "\n## " in old else ""  # what a person wrote below the tables stays
    page.write_text("\n".join(lines) + "\n" + notes)


main()
