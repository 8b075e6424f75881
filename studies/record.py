"""Writes the tables of comparisons as a page of figures: studies/record.py PAGE.md DIR[=HEADING] [DIR[=HEADING] ...]

--title TEXT       title of the page; else the network and data of the first comparison
--layers DIR,...   comparisons, by the last part of their path, of which angle and magnitude by layer are shown too
--epochs           a table over the epochs follows each: accuracy, cosines to the exact gradient, angles of feedback weights

figures/PAGE_DIR.svg is shown below the table of DIR if it exists.
"""

import argparse
import pathlib

import runs


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


def table(summary):
    run = summary["runs"][0]
    seeds = sorted({r["seed"] for r in summary["runs"]})
    lines = [
        f"{run['epochs']} epochs, optimizer {run['optimizer']}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}; "
        f"altprop {run['altprop_version']}, torch {run['torch_version']}, {run['threads']} threads.",
        "",
        "    " + summary["command"].replace(f"{pathlib.Path.cwd()}/", ""),
        "",
        "| rule | " + " | ".join(c[0] for c in COLUMNS) + " |",
        "| --- |" + " ---: |" * len(COLUMNS),
    ]
    for row in summary["table"]:
        lost = f" ({row['diverged']} of {row['runs']} diverged)" if row.get("diverged") else ""
        lines.append("| " + row["label"] + lost + " | " + " | ".join(cell(row[k], f, d) for _, k, f, d in COLUMNS) + " |")
    return lines


def some(items, most=6):
    """At most so many of them, evenly chosen, with the first and the last."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def layer_table(folder):
    """Angle and magnitude of each layer's weights after the last epoch, and the share of credit that theory expects there."""
    rows, names, told = [], None, None
    for label, seeds in runs.by_label(folder).items():
        last = [one[max(one)] for one in seeds]
        if label == "backprop" or not last or not runs.weights(last[0]):
            continue
        names = names or some([g["name"] for g in runs.weights(last[0])])
        found = {n: [g for line in last for g in runs.weights(line) if g["name"] == n] for n in names}
        cells = []
        for name in names:
            angle = runs.mean([g["angle_degrees"] for g in found[name]])
            ratio = runs.mean([g["magnitude_ratio"] for g in found[name]])
            cells.append("-" if ratio is None else ("-" if angle is None else f"{angle:.1f}°") + f", {ratio:.3g}")
        rows.append(f"| {runs.display(label)} | " + " | ".join(cells) + " |")
        states = {s["layer"]: s.get("expected") for s in last[0].get("relaxation", {}).get("states", [])}
        shares = [states.get(name.rsplit(".", 1)[0]) for name in names]
        if shares != told and any(share is not None and share < 0.9995 for share in shares):
            told = shares
            rows.append("| share expected by theory | " + " | ".join("" if s is None else f"{s:.3g}" for s in shares) + " |")
    if not rows:
        return []
    head = " | ".join(name.rsplit(".", 1)[0] for name in names)
    return ["", "Weights by layer, from the input on: angle to backprop and magnitude over backprop's, means over the seeds.", "",
            f"| rule | {head} |", "| --- |" + " ---: |" * len(names), *rows]


def over_epochs(folder):
    """Accuracy, cosines to the exact gradient and angles of the feedback weights after every epoch."""
    series = runs.by_label(folder)
    lines = [line for seeds in series.values() for one in seeds for line in one.values()]
    names = lambda key: list(dict.fromkeys(e["name"] for line in lines for e in line.get(key, []) if "bias" not in e["name"]))
    weights, pairs = names("gradient"), names("alignment")
    rows = ["| rule | epoch | test accuracy % | " + " | ".join(f"cosine of {n}" for n in weights)
            + "".join(f" | feedback of {n}, degrees" for n in pairs) + " |",
            "| --- |" + " ---: |" * (2 + len(weights) + len(pairs))]

    def text(values, factor=1.0, digits=2):
        mean, spread = runs.mean(values), runs.deviation(values)
        return "-" if mean is None else f"{mean * factor:.{digits}f}" + ("" if spread is None else f" ± {spread * factor:.{digits}f}")

    for label, seeds in series.items():
        for epoch in sorted({e for one in seeds for e in one}):
            here = [one[epoch] for one in seeds if epoch in one]
            of = lambda key, name, field: [next((e[field] for e in line.get(key, []) if e["name"] == name), None) for line in here]
            cells = [text([line.get("test_accuracy") for line in here], 100)]
            cells += [text(of("gradient", n, "cosine")) for n in weights]
            cells += [text(of("alignment", n, "angle_degrees"), 1, 1) for n in pairs]
            rows.append(f"| {label} | {epoch} | " + " | ".join(cells) + " |")
    return ["", "Over the epochs; \"-\": no gradient.", "", *rows]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("parts", nargs="+", metavar="DIR[=HEADING]")
    parser.add_argument("--title")
    parser.add_argument("--layers", default="")
    parser.add_argument("--epochs", action="store_true")
    given = parser.parse_args()
    parts = [(pathlib.Path(p), heading) for p, _, heading in (text.partition("=") for text in given.parts)]
    first = runs.summary(parts[0][0])
    lines = [f"# {given.title or first['net'] + ' on ' + first['data']}", "",
             "Angles and magnitudes are means over the parameters after the last epoch, against the exact gradient: backprop's, or "
             "the one\nthat the rule's page names; ± is the standard deviation over seeds. What a step costs is measured in\n"
             "docs/performance.md."]
    for folder, heading in parts:
        lines += ["", *([f"## {heading}", ""] if heading else []), *table(runs.summary(folder))]
        if folder.name in given.layers.split(","):
            lines += layer_table(folder)
        if given.epochs:
            lines += over_epochs(folder)
        figure = given.page.parent / "figures" / f"{given.page.stem}_{folder.name}.svg"
        if figure.exists():
            lines += ["", f"![curves over the epochs: {heading or folder.name}](figures/{figure.name})"]
    old = given.page.read_text() if given.page.exists() else ""
    notes = old[old.index("\n## Notes") :] if "\n## Notes" in old else ""  # what a person wrote below the tables stays
    given.page.write_text("\n".join(lines) + "\n" + notes)


main()
