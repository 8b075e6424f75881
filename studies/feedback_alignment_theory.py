"""Writes measured alignments beside the published ones: studies/feedback_alignment_theory.py RUNS PAGE.md FIGURES

RUNS holds the folders that feedback_alignment_theory.sh makes; FIGURES receives their plots.
"""

import json
import pathlib
import shutil
import sys

WIDTHS = (200, 400, 800, 1600, 3200, 6400, 12800)
# Song, Xu, Lafferty 2021, arXiv 2106.06044: mean and standard deviation of cos(b, beta) over 50 repetitions, from the raw
# data of their figures (version 6 in github.com/ChristophorusX/align_neurips_simulations). Lambda: (mean, std) by width.
PUBLISHED = {
    "linear": {
        0: ((0.206, 0.067), (0.119, 0.047), (0.059, 0.032), (0.031, 0.025), (0.012, 0.018), (0.009, 0.012), (0.004, 0.009)),
        0.2: ((0.790, 0.026), (0.774, 0.029), (0.757, 0.031), (0.738, 0.032), (0.713, 0.039), (0.657, 0.085), (0.551, 0.132)),
        0.3: ((0.867, 0.019), (0.861, 0.013), (0.854, 0.020), (0.836, 0.022), (0.818, 0.021), (0.799, 0.030), (0.770, 0.048)),
        0.5: ((0.920, 0.014), (0.920, 0.012), (0.913, 0.008), (0.904, 0.011), (0.895, 0.011), (0.882, 0.014), (0.866, 0.017)),
    },
    "relu": {
        0: ((0.220, 0.051), (0.136, 0.043), (0.073, 0.027), (0.043, 0.022), (0.022, 0.019), (0.009, 0.013), (0.006, 0.008)),
        0.02: ((0.401, 0.057), (0.381, 0.045), (0.411, 0.041), (0.443, 0.039), (0.493, 0.027), (0.507, 0.034), (0.513, 0.031)),
        0.05: ((0.682, 0.047), (0.671, 0.043), (0.687, 0.034), (0.710, 0.028), (0.719, 0.026), (0.719, 0.022), (0.721, 0.028)),
        0.2: ((0.858, 0.061), (0.857, 0.048), (0.860, 0.044), (0.852, 0.047), (0.846, 0.040), (0.840, 0.041), (0.846, 0.042)),
    },
}


def alignment_table(summary):
    cells = {(c["lambda"], c["p"]): c for c in summary["cells"]}
    lines = [
        "| λ | p | repetitions | measured | published | difference / spread | steps | final loss |",
        "| --- | ---: | ---: | --- | --- | ---: | --- | ---: |",
    ]
    inside = done = 0
    for decay, row in PUBLISHED[summary["psi"]].items():
        for width, (mean, std) in zip(WIDTHS, row):
            cell = cells.get((decay, width))
            if cell is None or cell["alignment"] is None:
                lines.append(f"| {decay} | {width} | - | not computed | {mean:.3f} ± {std:.3f} | | | |")
                continue
            a, steps = cell["alignment"], cell["steps"]
            off = (a["mean"] - mean) / std
            done, inside = done + 1, inside + (abs(off) <= 1)
            lines.append(
                f"| {decay} | {width} | {cell['repetitions']} | {a['mean']:.3f} ± {a['std']:.3f} | {mean:.3f} ± {std:.3f} | {off:+.2f} | "
                f"{steps['min']:.0f} to {steps['max']:.0f} | {cell['loss']['mean']:.1e} |"
            )
    lines += ["", f"{inside} of {done} cells lie within the published spread; {len(WIDTHS) * 4 - done} of {len(WIDTHS) * 4} are missing."]
    return lines


def rate_table(summary):
    lines = [
        "| p | smallest eigenvalue of E G, γ | of G at the start | rate of the error / η | rate / γ | bound held in |",
        "| ---: | --- | --- | --- | ---: | ---: |",
    ]
    text = lambda s: f"{s['mean']:.1f} ± {s['std']:.1f}"
    for cell in summary["cells"]:
        if cell["lambda"] == 0 and cell["rate"] is not None:
            ratios = [r / g for r, g in zip(cell["rate"]["values"], cell["gamma"]["values"])]
            lines.append(
                f"| {cell['p']} | {text(cell['gamma'])} | {text(cell['gamma_start'])} | {text(cell['rate'])} | "
                f"{sum(ratios) / len(ratios):.2f} | {100 * cell['bound_held']:.0f} % |"
            )
    return lines


def heading(summary, title):
    return [
        f"## {title}: {summary['psi']}, data {summary['data']}, η = {summary['eta']}, {summary['dtype']}",
        "",
        f"n = {summary['samples']}, d = {summary['inputs']}, seed {summary['seed']}; altprop {summary['altprop_version']}.",
        "",
    ]


def loss_table(summary):
    lines = [
        "| λ | p | repetitions | steps | loss at the start | at half | at the end | cos(b, β) at the end |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for cell in summary["cells"]:
        loss = cell["curve"]["loss_mean"]
        a = cell["alignment"]
        lines.append(
            f"| {cell['lambda']:g} | {cell['p']} | {cell['repetitions']} | {cell['steps']['max']:.0f} | {loss[0]:.1e} | "
            f"{loss[len(loss) // 2]:.1e} | {loss[-1]:.1e} | {a['mean']:.3f} ± {a['std']:.3f} |"
        )
    return lines


def main():
    runs, page, figures = map(pathlib.Path, sys.argv[1:4])
    figures.mkdir(exist_ok=True)
    summary_of = lambda name: json.loads((runs / name / "summary.json").read_text())

    def figure(name, plot, what):
        psi = name.split("-")[0]
        file = f"two_layer_{name.replace('-', '_')}_alignment.svg" if plot == "alignment" else f"two_layer_{name.replace('-', '_')}.svg"
        shutil.copyfile(runs / name / f"{plot}.svg", figures / file)
        return ["", f"![{what}, {psi}](figures/{file})", ""]

    lines = [
        "# Alignment and error of the two-layer network with random feedback",
        "",
        "Made with `studies/feedback_alignment_theory.sh`; model, stopping rule and forms are in [docs/theory.md](../docs/theory.md).",
        "Published: G. Song, R. Xu, J. Lafferty, 2021, arXiv 2106.06044, the raw data of its alignment figures, 50 repetitions.",
        "A difference / spread of 1 is one standard deviation of the published repetitions.",
        "",
    ]
    for name in ("linear", "relu"):
        summary = summary_of(name)
        lines += heading(summary, "Alignment")
        lines += ["cos(b, β), mean ± standard deviation over the repetitions.", "", *alignment_table(summary)]
        lines += figure(name, "alignment", "alignment against width")
        lines += ["Error without decay, up to the width's number of steps:", "", *rate_table(summary), ""]
    for name, title in (("linear-loss", "Loss"), ("relu-loss", "Loss"), ("linear-cutoff", "Decay that ends")):
        summary = summary_of(name)
        lines += heading(summary, title)
        if summary["lambda-cutoff"]:
            lines += [f"β decays in the first {summary['lambda-cutoff']} steps only.", ""]
        lines += loss_table(summary)
        lines += figure(name, "loss", "loss against step")
    old = page.read_text() if page.exists() else ""
    notes = old[old.index("\n## Notes") :] if "\n## Notes" in old else ""  # what a person wrote stays
    page.write_text("\n".join(lines).rstrip() + "\n" + notes)


main()
