"""Bytes against time of every gradient method of a neural ODE, from 10 to 10,000 steps: studies/ode_memory.py [--build DIR]

Runs `altprop check --ode.gradient all` (rk4, f = 16-64-16 with tanh, 32 samples, float64, one thread) and writes
studies/figures/ode_memory.svg and the table studies/ode_memory.md. About two minutes of one core.
"""
import argparse
import html
import json
import math
import pathlib
import subprocess

from curves import COLOURS, STYLE

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEPS = [10, 30, 100, 300, 1000, 3000, 10000]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 785, 420, 70, 215, 40, 50


def measured(program, steps):
    net = f"chain: linear 16, ode{{linear 64, tanh, linear 16}} solver=rk4 steps={steps}, linear *"
    command = [program, "check", "--ode.gradient", "all", "--json", "--threads", "1", "--batch", "32", "--net", net,
               "--data", "glyphs", "--data.glyphs.train", "64", "--data.glyphs.test", "8"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["methods"]
    return {row["method"]: row for row in rows if "refused" not in row}


def written(amount):
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"


def figure(found, methods):
    points = [(row["seconds"] * 1e3, row["peak_bytes"]) for rows in found.values() for row in rows.values()]
    (left, right), (low, high) = [(math.floor(math.log10(min(v))), math.ceil(math.log10(max(v)))) for v in zip(*points)]

    def place(ms, amount):
        x = LEFT + (math.log10(ms) - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (math.log10(amount) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           STYLE, f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
           f'<text x="{LEFT}" y="22" font-size="14">Most bytes alive against time of a forward and a reverse pass, '
           f'{STEPS[0]} to {STEPS[-1]:,} steps</text>']
    for power in range(left, right + 1):
        x, y = place(10 ** power, 10 ** low)
        out += [f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{y}"/>',
                f'<text x="{x}" y="{y + 18}" text-anchor="middle">{10 ** power:g} ms</text>']
    for power in range(low, high + 1):
        x, y = place(10 ** left, 10 ** power)
        out += [f'<line class="grid" x1="{x}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>',
                f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{written(10 ** power)}</text>']
    for i, method in enumerate(methods):
        colour, line = COLOURS[i % len(COLOURS)], [place(found[n][method]["seconds"] * 1e3, found[n][method]["peak_bytes"])
                                                   for n in STEPS]
        path = " ".join(f"{x},{y}" for x, y in line)
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
        out += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in line]
        y = TOP + 20 + 20 * i
        out += [f'<line x1="{WIDTH - RIGHT + 12}" y1="{y}" x2="{WIDTH - RIGHT + 36}" y2="{y}" stroke="{colour}" '
                f'stroke-width="2"/>', f'<text x="{WIDTH - RIGHT + 42}" y="{y + 4}">{html.escape(method)}</text>']
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    program = parser.parse_args().build / "altprop"
    found = {n: measured(program, n) for n in STEPS}
    methods = list(found[STEPS[0]])
    (ROOT / "studies/figures/ode_memory.svg").write_text(figure(found, methods))
    lines = ["# What gradients of a neural ODE cost", "",
             "`studies/ode_memory.py`: most bytes alive and time of a forward and a reverse pass through `rk4` steps of f =",
             "16-64-16 (tanh), 32 samples, float64, one thread (a state has 4 kB, an evaluation keeps about 21 kB).", "",
             "![bytes against time](figures/ode_memory.svg)", "",
             "| steps | " + " | ".join(methods) + " |", "| ---: |" + " ---: |" * len(methods)]
    for n in STEPS:
        cells = [f"{written(found[n][m]['peak_bytes'])}, {found[n][m]['seconds'] * 1e3:.3g} ms" for m in methods]
        lines.append(f"| {n:,} | " + " | ".join(cells) + " |")
    (ROOT / "studies/ode_memory.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
