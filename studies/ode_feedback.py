"""The page of ode_feedback.sh: accuracies, and angles of credit inside of the block, from the records of a comparison."""
import json
import pathlib
import statistics
import sys

folder = pathlib.Path(sys.argv[1])
summary = json.loads((folder / "summary.json").read_text())
labels = list(dict.fromkeys(run["label"] for run in summary["runs"]))


def records(run):
    return [json.loads(line) for line in (folder / run["folder"] / "metrics.jsonl").read_text().splitlines()]


def mean(values, digits=1):
    values = list(values)
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def angles(label, epoch, name):
    """(step, stage) -> angle of each seed"""
    out = {}
    for run in summary["runs"]:
        if run["label"] == label:
            for row in records(run)[epoch]["ode_credit"]:
                if row["name"].endswith(name):
                    out.setdefault((row["step"], row["stage"]), []).append(row["angle_degrees"])
    return out


print("""# Feedback pathways inside of a neural ODE

`studies/ode_feedback.sh`. A linear map to 32 values, an ODE block of four steps of `rk4` with f = 33-64-32 (tanh, the
time appended), a linear map to the classes; MNIST, 5 epochs, batch 64, momentum 0.9, learning rate 0.01, three seeds.
Every evaluation of f sends signals of its own, whose credit has crossed the rule's feedback in all evaluations behind
it. We know of no measurement like this one elsewhere.

| rule | test accuracy % | angle of the whole gradient |
| --- | --- | --- |""")
for label in labels:
    runs = [run for run in summary["runs"] if run["label"] == label]
    whole = [run.get("angle_degrees") for run in summary["table"] if run["label"] == label][0]
    print(f"| {label} | {mean(100 * run['test_accuracy'] for run in runs)} | {whole['mean']:.1f} |")
names = sorted({row["name"] for row in records(next(r for r in summary["runs"] if r["label"] != "backprop"))[0]["ode_credit"]})
last = len(records(summary["runs"][0])) - 1
for label in labels:
    if label == "backprop":
        continue
    for name in names:
        for epoch in (0, last):
            found = angles(label, epoch, name)
            stages = sorted({stage for _, stage in found})
            print(f"\nAngle in degrees of `{label}`'s credit of the output of `{name}` to the exact one, after epoch "
                  f"{epoch + 1}:\n")
            print("| step | " + " | ".join(f"stage {stage + 1}" for stage in stages) + " |")
            print("| --- |" + " --- |" * len(stages))
            for step in sorted({step for step, _ in found}):
                print(f"| {step + 1} | " + " | ".join(mean(found[step, stage]) for stage in stages) + " |")
