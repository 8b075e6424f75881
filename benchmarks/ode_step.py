"""What a step of a solver costs where f costs next to nothing: f = -z on 256 samples of 16 values, float32, 1000 equal
steps, a forward and a reverse pass; one thread. altprop beside the libraries that people use.

    pip install torchdiffeq==0.2.5 torchode==1.0.1 diffrax==0.7.2 jax==0.10.2
    taskset -c 0 python benchmarks/ode_step.py [--build build] [--seconds 2]

torchdiffeq's rk4 and altprop's have four stages, diffrax's Bosh3 three and torchode's dopri5 six; a figure is microseconds
of processor time for a step, of the fastest tenth of the passes.
"""
import argparse
import json
import pathlib
import subprocess

from ode_peers import best

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEPS = 1000


def altprop_rows(build):
    for solver in ("rk4", "dopri5"):
        net = f"chain: linear 16, ode{{scale -1}} solver={solver} steps={STEPS}, linear *"
        command = [build / "altprop", "check", "--ode.gradient", "all", "--json", "--threads", "1", "--batch", "256", "--net",
                   net, "--data", "glyphs", "--data.glyphs.train", "256", "--data.glyphs.test", "8"]
        runs = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(3)]
        for method in ("naive", "symplectic", "adjoint"):
            seconds = [row["seconds"] for run in runs for row in run["methods"] if row["method"] == method]
            yield f"altprop {solver}, {method}", min(seconds) * 1e3


def torch_rows(seconds):
    import torch
    import torchdiffeq
    torch.set_num_threads(1)
    x, times = torch.randn(256, 16, requires_grad=True), torch.tensor([0.0, 1.0])

    class Minus(torch.nn.Module):
        def forward(self, t, z):
            return -z

    def timed(solve):
        def step():
            x.grad = None
            solve(Minus(), x).sum().backward()
        return best(step, seconds)

    options = {"method": "rk4", "options": {"step_size": 1 / STEPS}}
    yield "torchdiffeq rk4, odeint", timed(lambda f, x: torchdiffeq.odeint(f, x, times, **options)[-1])
    yield "torchdiffeq rk4, odeint_adjoint", timed(
        lambda f, x: torchdiffeq.odeint_adjoint(f, x, times, adjoint_params=(), **options)[-1])
    import torchode
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=torchode.ODETerm(Minus())), torchode.FixedStepController())
    span, dt = times.reshape(1, 2).expand(256, 2), torch.full((256,), 1 / STEPS)
    yield "torchode dopri5", timed(
        lambda f, x: solver.solve(torchode.InitialValueProblem(y0=x, t_eval=span), dt0=dt).ys[:, -1])


def jax_rows(seconds):
    import os
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import diffrax
    import jax
    x = jax.random.normal(jax.random.PRNGKey(1), (256, 16))
    for name, adjoint in (("RecursiveCheckpointAdjoint", diffrax.RecursiveCheckpointAdjoint()),
                          ("BacksolveAdjoint", diffrax.BacksolveAdjoint())):
        def value(z):
            return diffrax.diffeqsolve(diffrax.ODETerm(lambda t, z, _: -z), diffrax.Bosh3(), 0.0, 1.0, 1 / STEPS, z,
                                       stepsize_controller=diffrax.ConstantStepSize(), adjoint=adjoint,
                                       max_steps=STEPS + 8).ys.sum()

        gradient = jax.jit(jax.grad(value))
        yield f"diffrax Bosh3, {name}", best(lambda: jax.block_until_ready(gradient(x)), seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--seconds", type=float, default=2)
    a = parser.parse_args()
    for rows in (lambda: altprop_rows(a.build), lambda: torch_rows(a.seconds), lambda: jax_rows(a.seconds)):
        try:
            for name, milliseconds in rows():
                print(f"{name:44} {milliseconds * 1e3 / STEPS:8.1f} us", flush=True)
        except ImportError as missing:
            print(missing)


if __name__ == "__main__":
    main()
