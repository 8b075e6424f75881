"""How far every gradient of a neural ODE is from the exact one: studies/ode_exactness.py [--build DIR]

Runs `altprop check --ode.gradient all` (f = 16-64-16 with tanh and the time, 32 samples, float64, one thread) with every
solver, and with tolerances from 1e-2 to 1e-8, and writes studies/ode_exactness.md. About half a minute of one core.
"""
import argparse
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOLVERS = ["euler", "midpoint", "heun", "fehlberg2", "bosh3", "rk4", "rk38", "dopri5", "dopri8"]
TOLERANCES = [f"1e-{k}" for k in range(2, 9)]


def measured(program, settings, activation="tanh"):
    command = [program, "check", "--ode.gradient", "all", "--json", "--threads", "1", "--batch", "32", "--dtype", "float64",
               "--init", "normal:0.5", "--net", f"ode-mlp:*-16-64-*:{activation}:{settings}", "--data", "glyphs",
               "--data.glyphs.train", "64", "--data.glyphs.test", "8"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["methods"]
    return {row["method"]: row for row in rows if "refused" not in row}


def table(first, found, cell):
    methods = list(dict.fromkeys(method for rows in found.values() for method in rows if "graph stages" not in method))
    lines = [f"| {first} | " + " | ".join(methods) + " |", "| --- |" + " ---: |" * len(methods)]
    for name, rows in found.items():
        lines.append(f"| {name} | " + " | ".join(cell(rows[m]) if m in rows else "" for m in methods) + " |")
    return lines


def error(row):
    return f"{row['gradient_error']:.1g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    program = parser.parse_args().build / "altprop"
    fixed = {solver: measured(program, f"solver={solver},steps=8") for solver in SOLVERS}
    adaptive = {tolerance: measured(program, f"solver=dopri5,rtol={tolerance},atol={tolerance}") for tolerance in TOLERANCES}
    for tolerance, rows in adaptive.items():
        one = next(iter(rows.values()))
        rows_named = {"steps": one["accepted_steps"], "rejected": one["rejected_steps"]}
        adaptive[tolerance] = (rows, rows_named)
    lines = ["# How exact gradients of a neural ODE are", "",
             "`studies/ode_exactness.py`: |g - g_exact| / |g_exact| of the gradient of all parameters in front of, in and",
             "behind a block of f = 16-64-16 (tanh, with the time), drawn from normal:0.5, 32 samples, float64. Exact is the",
             "gradient of the solver's own steps by backprop through all of them (`naive`).", "",
             "Eight equal steps of every solver:", "", *table("solver", fixed, error), "",
             "`dopri5` by tolerance (rtol = atol). The error of `adjoint`, which solves a second equation backwards, grows with",
             "the tolerance; the other methods repeat the evaluations of the forward pass and give the same bits at all of them:", "",
             *table("tolerance (steps)", {f"{tolerance} ({facts['steps']})": rows for tolerance, (rows, facts) in adaptive.items()},
                    error)]
    (ROOT / "studies/ode_exactness.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
