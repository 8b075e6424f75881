"""The bias of equilibrium propagation's estimators over beta: studies/equilibrium_propagation_bias.py PAGE.md FIGURES [CHECKPOINT]

Runs `altprop check` (float64) over beta and writes the relative errors as a table and a plot: a dense network with smooth units
on the embedded data, where theory says beta, beta squared and, for N points on a circle, beta to the N; and the convolutional
network of equilibrium_propagation.sh on MNIST, whose clamps and max poolings bend; the latter if a checkpoint of it is given, at
its initial weights and at those.
"""

import json
import math
import os
import pathlib
import subprocess
import sys

BETAS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
FEW = (1.0, 0.5, 0.1, 0.01, 0.001)
ESTIMATORS = {  # label: estimator, sign of beta
    "one-sided": ("one-sided", 1),
    "one-sided, -beta": ("one-sided", -1),
    "symmetric": ("symmetric", 1),
}
CIRCLES = {f"{points} points": points for points in (4, 6, 8)}
SETTLED = {"ep.free-steps": 400, "ep.nudged-steps": 400}
ROUNDING = 1e-12  # errors below say nothing about beta
DENSE = ["--net", "mlp:784-64-10:shifted-sigmoid:out=shifted-sigmoid", "--loss", "squared-error", "--init", "kaiming"]
CONV = ["--net", "chain: conv 16 k=5, hard-sigmoid, maxpool 2, conv 32 k=5, hard-sigmoid, maxpool 2, flatten, linear 10",
        "--data", "mnist", "--data.normalise", "unit", "--init", "kaiming", "--batch", "10"]
COLORS = ("#c2410c", "#7c3aed", "#0f766e", "#1d4ed8", "#a16207", "#be185d")
MARKERS = 2 * ("M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0", "M-3.5,-3.5h7v7h-7z", "M0,-4.5L4,3.5L-4,3.5z")


def errors(settings, rule, options):
    """Relative error and cosine over all weight matrices: the worst of them."""
    values = ",".join(f"{name}={value}" for name, value in options.items())
    command = [os.environ.get("ALTPROP", "build/altprop"), "check", "--json", "--threads", "1", "--rule", f"{rule}[{values}]", *settings]
    layers = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["layers"]
    layers = [layer for layer in layers if layer["name"].endswith("weight")]
    worst = lambda key, pick: pick(layer[key] for layer in layers) if all(layer[key] is not None for layer in layers) else None
    return {"error": worst("relative_error", max), "cosine": worst("cosine", min)}


def study(settings, options, betas, circles):
    found = {label: {beta: errors(settings, "ep", {**options, "ep.estimator": estimator, "ep.beta": sign * beta}) for beta in betas}
             for label, (estimator, sign) in ESTIMATORS.items()}
    steps = {name.replace("ep.", "hep."): value for name, value in options.items()}
    for label, points in circles.items():
        found[label] = {beta: errors(settings, "hep", {**steps, "hep.tolerance": 0, "hep.points": points, "hep.radius": beta})
                        for beta in betas}
    return found


def table(found, betas):
    text = lambda entry: "-" if entry["error"] is None else f"{entry['error']:.2e}, {entry['cosine']:.4f}"
    lines = ["| beta | " + " | ".join(found) + " |", "| ---: |" + " --- |" * len(found)]
    return lines + [f"| {beta} | " + " | ".join(text(series[beta]) for series in found.values()) + " |" for beta in betas]


def slopes(found):
    """Slope of log error over log beta between the two smallest beta whose errors are no rounding."""
    out = []
    for label, series in found.items():
        low, high = sorted((beta, entry["error"]) for beta, entry in series.items() if (entry["error"] or 0) > ROUNDING)[:2]
        out.append(f"{label} {math.log(high[1] / low[1]) / math.log(high[0] / low[0]):.2f}")
    return "Slopes of the logarithms at the smallest beta above rounding: " + ", ".join(out) + "."


def plot(found, title):
    """Relative error over beta, both logarithmic."""
    width, height, left, top, right, bottom = 560, 340, 62, 34, 150, 46
    values = [e["error"] for series in found.values() for e in series.values() if e["error"]]
    floor, ceiling = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    x = lambda beta: left + (math.log10(beta) + 3) / 3 * (width - left - right)
    y = lambda error: top + (ceiling - math.log10(error)) / (ceiling - floor) * (height - top - bottom)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           f'<text x="14" y="18" font-weight="600">{title}</text>']
    for power in range(floor, ceiling + 1, 1 if ceiling - floor < 8 else 2):
        at = y(10.0**power)
        out.append(f'<path d="M{left},{at:.1f}H{width - right}" stroke="#e5e7eb"/>'
                   f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">1e{power}</text>')
    for power in range(-3, 1):
        at = x(10.0**power)
        out.append(f'<path d="M{at:.1f},{top}V{height - bottom}" stroke="#e5e7eb"/>'
                   f'<text x="{at:.1f}" y="{height - bottom + 17}" text-anchor="middle">{10.0**power:g}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">beta</text>'
               f'<text transform="translate(14,{(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">relative error</text>')
    for (label, series), color, marker in zip(found.items(), COLORS, MARKERS):
        points = [(x(beta), y(e["error"])) for beta, e in series.items() if (e["error"] or 0) > ROUNDING]
        out.append(f'<path fill="none" stroke="{color}" stroke-width="1.8" d="M' + "L".join(f"{a:.1f},{b:.1f}" for a, b in points) + '"/>')
        out += [f'<path transform="translate({a:.1f},{b:.1f})" fill="{color}" d="{marker}"/>' for a, b in points]
        row = top + 14 + 20 * list(found).index(label)
        out.append(f'<path transform="translate({width - right + 16},{row})" fill="{color}" d="{marker}"/>'
                   f'<text x="{width - right + 26}" y="{row + 4}">{label}</text>')
    return "\n".join(out) + "\n</svg>\n"


def main():
    page, figures = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    short = {"ep.free-steps": 20, "ep.nudged-steps": 6}
    parts = [("dense", "Smooth units: 784-64-10, shifted sigmoids, 400 steps a phase, glyphs", DENSE, SETTLED, BETAS, CIRCLES)]
    if len(sys.argv) > 3:
        trained = [*CONV, "--init-from", sys.argv[3]]
        parts += [("conv", "Clamps and max pooling: 1-16-32, initial weights, 400 steps a phase, MNIST", CONV, SETTLED, FEW, {}),
                  ("trained", "The same after training, 20 free and 6 nudged steps", trained, short, FEW, {})]
    lines = ["# Bias of the estimators of equilibrium propagation", "",
             "Largest relative error and least cosine over the weight matrices, against the implicit gradient at the free",
             "equilibrium; `altprop check`, float64. Made with `studies/equilibrium_propagation.sh`."]
    for name, title, settings, options, betas, circles in parts:
        print(title, flush=True)
        found = study(settings, options, betas, circles)
        lines += ["", f"## {title}", "", *table(found, betas), "", *([slopes(found), ""] if circles else []),
                  f"![relative error over beta](figures/equilibrium_propagation_{name}.svg)"]
        (figures / f"equilibrium_propagation_{name}.svg").write_text(plot(found, title))
    old = page.read_text() if page.exists() else ""
    notes = old[old.index("\n## Notes") :] if "\n## Notes" in old else ""  # what a person wrote stays
    page.write_text("\n".join(lines) + "\n" + notes)


main()
