"""The table of studies/ode_to_ode.sh: accuracies of networks on corrupted MNIST, from `altprop robustness --json`."""
import json
import pathlib
import re
import statistics
import sys


def title(net):
    if net.startswith("mlp"):
        depth = re.search(r"784-64(?:x(\d+))?-10", net)[1] or "1"
        return f"dense, {depth} hidden"
    return re.search(r"flow=(.*)$", net)[1].replace(",", ", ")


def main():
    found = json.load(open(sys.argv[1]))
    nets = {}
    for run in found["runs"]:
        config = (pathlib.Path(run["folder"]) / "config.toml").read_text()
        nets.setdefault(re.search(r'^net = "(.*)"$', config, re.M)[1], []).append(run)
    seeds = len(next(iter(nets.values())))
    print(f"""# ODEtoODE on corrupted MNIST

`studies/ode_to_ode.sh`: networks 784-64-10 whose 64 values flow over 25 Euler steps (T = 1, ReLU), and dense networks of
the same width, trained on clean MNIST for five epochs (Adam 1e-3, batch 128) and tested on the 10,000 test images as they
are and under corruptions ([docs/robustness.md](../docs/robustness.md)). Accuracies in percent, {seeds} seed{'s' if seeds > 1 else ''}.
""")
    print("| corruption | " + " | ".join(title(net) for net in nets) + " |")
    print("| --- |" + " ---: |" * len(nets))
    names = [one["name"] for one in found["corruptions"]]

    def cell(runs, names):
        values = [100 * statistics.mean(run["accuracy"][name] for name in names) for run in runs]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.1f}{spread}"

    for name in names:
        print(f"| {name} | " + " | ".join(cell(runs, [name]) for runs in nets.values()) + " |")
    print("| mean of corrupted | " + " | ".join(cell(runs, names[1:]) for runs in nets.values()) + " |")


if __name__ == "__main__":
    main()
