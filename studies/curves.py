"""Draws curves over the epochs of a comparison as one SVG: studies/curves.py DIR OUT.svg [--panels LIST] [--title TEXT]

--panels  accuracy, loss, train-loss, angle, magnitude, or angle:LAYER and magnitude:LAYER of one layer's weights; separated
          by commas (accuracy,angle). Angle and magnitude without a layer are means over the weights.
--least   smallest accuracy that is drawn, in percent: a rule that does not learn would flatten the others
--leave   labels to leave out, as the figure shows them, separated by ';'

A line is the mean over the seeds, its band one standard deviation.
"""

import argparse
import html
import math
import pathlib

import runs

WIDTH, PLOT, GAP, TOP, LEFT, HEIGHT = 760, 306, 62, 56, 52, 220
# Colours with enough contrast on white and on black; dashes tell lines apart without them.
COLOURS = ["#7a7a7a", "#0072b2", "#d55e00", "#009e73", "#b0449b", "#b38600", "#2a9fd6", "#d03a4e"]
DASHES = ["", "", "7 3", "2 3", "9 3 2 3", "5 2", "1 2", "12 4"]
STYLE = """<style>
text { fill: #24292f; } .grid { stroke: #d8dee4; } .axis { stroke: #57606a; } .page { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .grid { stroke: #30363d; } .axis { stroke: #8b949e; } .page { fill: #0d1117; }
}
</style>"""
TITLES = {"accuracy": "test accuracy, %", "loss": "test loss", "train-loss": "training loss", "angle": "angle to the exact gradient, degrees",
          "magnitude": "magnitude over backprop's"}


def value(line, panel):
    name, _, layer = panel.partition(":")
    if name == "accuracy":
        return None if line.get("test_accuracy") is None else 100 * line["test_accuracy"]
    if name in ("loss", "train-loss"):
        return line.get("test_loss" if name == "loss" else "train_loss")
    key = {"angle": "angle_degrees", "magnitude": "magnitude_ratio"}[name]
    return runs.mean([g[key] for g in runs.weights(line) if not layer or g["name"] == layer + ".weight"])


def series(seeds, panel):
    """[(epoch, mean, deviation)] from epoch 1 on, of epochs that every seed has."""
    out = []
    for epoch in sorted(set.intersection(*(set(one) for one in seeds))):
        values = [value(one[epoch], panel) for one in seeds]
        if epoch > 0 and None not in values:
            out.append((epoch, runs.mean(values), runs.deviation(values) or 0))
    return out


def ticks(low, high, count=5):
    raw = (high - low) / count or 1
    step = 10 ** math.floor(math.log10(raw))
    step *= next(f for f in (1, 2, 5, 10) if f * step >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def draw_panel(panel, lines, left, least):
    name, _, layer = panel.partition(":")
    curves = [(look, series(seeds, panel)) for look, seeds in lines]
    points = [p for _, curve in curves for p in curve]
    low, high = min(m - d for _, m, d in points), max(m + d for _, m, d in points)
    if name == "accuracy":
        low, high = max(low, least or 0), min(high, 100)
    if name == "angle":
        low, high = 0, max(high, 1)
    margin = 0.04 * (high - low or 1)
    high += margin
    low -= 0 if name == "angle" else margin
    first, last = min(p[0] for p in points), max(p[0] for p in points)
    x = lambda e: left + (e - first) / (last - first or 1) * PLOT
    y = lambda v: TOP + HEIGHT - (min(max(v, low - 2 * margin), high + margin) - low) / (high - low) * HEIGHT
    clip = f"clip{left}"
    out = [f'<clipPath id="{clip}"><rect x="{left}" y="{TOP}" width="{PLOT}" height="{HEIGHT}"/></clipPath>',
           f'<text x="{left}" y="{TOP - 12}" font-weight="bold">{TITLES[name]}{f", {layer}" if layer else ""}</text>']
    for tick in ticks(low, high):
        out.append(f'<line class="grid" x1="{left}" x2="{left + PLOT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
                   f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in (t for t in ticks(first, last) if t == int(t)):
        out.append(f'<line class="axis" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP + HEIGHT}" y2="{TOP + HEIGHT + 4}"/>'
                   f'<text x="{x(tick):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{tick:g}</text>')
    out.append(f'<text x="{left + PLOT / 2}" y="{TOP + HEIGHT + 34}" text-anchor="middle">epoch</text>'
               f'<line class="axis" x1="{left}" x2="{left + PLOT}" y1="{TOP + HEIGHT}" y2="{TOP + HEIGHT}"/>')
    for (colour, dash), curve in curves:
        if any(d > 0 for _, _, d in curve):
            band = [f"{x(e):.1f},{y(m + d):.1f}" for e, m, d in curve] + [f"{x(e):.1f},{y(m - d):.1f}" for e, m, d in reversed(curve)]
            out.append(f'<polygon points="{" ".join(band)}" fill="{colour}" opacity="0.15" clip-path="url(#{clip})"/>')
        path = " ".join(f"{x(e):.1f},{y(m):.1f}" for e, m, _ in curve)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" '
                   f'clip-path="url(#{clip})"/>')
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--panels", default="accuracy,angle")
    parser.add_argument("--title", default="")
    parser.add_argument("--least", type=float)
    parser.add_argument("--leave", default="")
    given = parser.parse_args()
    labels = {runs.display(label): seeds for label, seeds in runs.by_label(given.folder).items() if seeds}
    labels = {label: seeds for label, seeds in labels.items() if label not in given.leave.split(";")}
    looks = list(zip(COLOURS, DASHES))[: len(labels)]
    panels = given.panels.split(",")
    rows = -(-len(panels) // 2)
    body = []
    for i, panel in enumerate(panels):
        part = draw_panel(panel, list(zip(looks, labels.values())), LEFT + i % 2 * (PLOT + GAP), given.least)
        body += [f'<g transform="translate(0 {i // 2 * (HEIGHT + 82)})">', *part, "</g>"]
    legend = TOP + rows * (HEIGHT + 82) - 22
    for i, (label, (colour, dash)) in enumerate(zip(labels, looks)):
        at = legend + 18 * i
        body.append(f'<line x1="{LEFT}" x2="{LEFT + 34}" y1="{at}" y2="{at}" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
                    f'<text x="{LEFT + 42}" y="{at + 4}">{html.escape(label)}</text>')
    height = legend + 18 * len(labels)
    title = html.escape(given.title or given.folder.name)
    given.out.write_text("\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{title}</title>", STYLE, f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        f'<text x="{LEFT}" y="16" font-size="13">{title}</text>', *body, "</svg>\n"]))


if __name__ == "__main__":
    main()
