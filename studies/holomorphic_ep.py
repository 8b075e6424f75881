"""Writes what runs of holomorphic_ep.sh measured as a page: studies/holomorphic_ep.py PAGE.md DIR=HEADING ..."""

import json
import pathlib
import statistics
import sys

COLUMNS = [
    ("cosine of credits, first layer", "credit_cosine_fc1", 4),
    ("second layer", "credit_cosine_fc2", 4),
    ("free residual", "free_residual", 4),
    ("nudged residual", "nudged_residual", 4),
    ("asymmetry", "asymmetry", 4),
    ("symmetry score", "symmetry_score", 3),
]


def cell(values, digits):
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def table(folder):
    summary = json.loads((folder / "summary.json").read_text())
    lines = ["    " + summary["command"], "",
             "| rule | test accuracy % | angle to the exact gradient | " + " | ".join(c[0] for c in COLUMNS) + " |",
             "| --- |" + " ---: |" * (2 + len(COLUMNS))]
    for row in summary["table"]:
        runs = [run for run in summary["runs"] if run["label"] == row["label"]]
        last = [json.loads((folder / run["folder"] / "metrics.jsonl").read_text().splitlines()[-1]) for run in runs]
        figures = [[m["figures"][key] for m in last if key in m.get("figures", {})] for _, key, _ in COLUMNS]
        angles = [statistics.mean(g["angle_degrees"] for g in m["gradient"]) for m in last]
        cells = [cell([100 * m["test_accuracy"] for m in last], 2), cell(angles, 1) + "°"]
        cells += [cell(values, digits) for values, (_, _, digits) in zip(figures, COLUMNS)]
        lines.append("| " + row["label"] + " | " + " | ".join(cells) + " |")
    return lines


def main():
    page = pathlib.Path(sys.argv[1])
    lines = ["# Holomorphic equilibrium propagation", "",
             "Mean and standard deviation over seeds, after the last epoch. Credits are compared with the exact ones at the",
             "state that the free phase reached, every hundredth step; the angle is that of gradients, mean over parameters,",
             "to the exact gradient at the equilibrium itself. Residuals are the largest move in a last step of the epoch;",
             "asymmetry is `|J - J^T|^2 / 2n`. Written by `studies/holomorphic_ep.py`."]
    for folder, _, heading in (text.partition("=") for text in sys.argv[2:]):
        lines += ["", f"## {heading}", "", *table(pathlib.Path(folder))]
    old = page.read_text() if page.exists() else ""
    notes = old[old.index("\n## Notes") :] if "\n## Notes" in old else ""  # what a person wrote below the tables stays
    page.write_text("\n".join(lines) + "\n" + notes)


main()
