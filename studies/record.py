"""Writes the tables of comparisons as a page of figures: studies/record.py PAGE.md DIR [DIR ...]"""

import json
import pathlib
import sys


def cell(value, factor=1.0, digits=2):
    if value is None:
        return "-"
    text = f"{value['mean'] * factor:.{digits}f}"
    return text + (f" ± {value['std'] * factor:.{digits}f}" if value["n"] > 1 else "")


COLUMNS = [
    ("test accuracy %", "test_accuracy", 100, 2),
    ("test loss", "test_loss", 1, 4),
    ("angle to BP, degrees", "angle_degrees", 1, 1),
    ("magnitude / BP", "magnitude_ratio", 1, 2),
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


def main():
    page = pathlib.Path(sys.argv[1])
    tables = [table(pathlib.Path(folder)) for folder in sys.argv[2:]]
    lines = [tables[0][0], "", "Angles and magnitudes are means over the parameters after the last epoch; ± is the standard "
             "deviation over seeds. What a\nstep costs is measured in docs/performance.md."]
    for _, one in tables:
        lines += ["", *one]
    old = page.read_text() if page.exists() else ""
    notes = old[old.index("\n## ") :] if "\n## " in old else ""  # what a person wrote below the tables stays
    page.write_text("\n".join(lines) + "\n" + notes)


main()
