"""Writes the table of a comparison as a page of figures: studies/record.py DIR PAGE.md"""

import json
import pathlib
import sys


def cell(value, factor=1.0, digits=2):
    if value is None:
        return "-"
    text = f"{value['mean'] * factor:.{digits}f}"
    return text + (f" ± {value['std'] * factor:.{digits}f}" if value["n"] > 1 else "")


def main():
    folder, page = map(pathlib.Path, sys.argv[1:3])
    summary = json.loads((folder / "summary.json").read_text())
    run = summary["runs"][0]
    seeds = sorted({r["seed"] for r in summary["runs"]})
    columns = [
        ("test accuracy %", "test_accuracy", 100, 2),
        ("test loss", "test_loss", 1, 4),
        ("angle to BP, degrees", "angle_degrees", 1, 1),
        ("magnitude / BP", "magnitude_ratio", 1, 2),
        ("time / BP", "time_relative_to_backprop", 1, 2),
        ("memory / BP", "memory_relative_to_backprop", 1, 2),
    ]
    lines = [
        f"# {summary['net']} on {summary['data']}",
        "",
        f"{run['epochs']} epochs, seeds {', '.join(map(str, seeds))}; altprop {run['altprop_version']}, "
        f"torch {run['torch_version']}, {run['threads']} threads. Angles and magnitudes are means over the parameters after the "
        "last epoch; ± is the standard deviation over seeds.",
        "",
        "    " + summary["command"],
        "",
        "| rule | " + " | ".join(c[0] for c in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for row in summary["table"]:
        lines.append("| " + row["label"] + " | " + " | ".join(cell(row[k], f, d) for _, k, f, d in columns) + " |")
    old = page.read_text() if page.exists() else ""
    notes = old[old.index("\n## ") :] if "\n## " in old else ""  # what a person wrote below the table stays
    page.write_text("\n".join(lines) + "\n" + notes)


main()
