"""Training steps through a neural ODE with the libraries that people use, for the work `ode` of `altprop bench`: f =
17-128-128-16 with tanh and the time as an input, batch 256, 25 steps from 0 to 1, a linear map to 10 classes behind,
cross-entropy, SGD; one thread.

    pip install torchdiffeq==0.2.5 torchode==1.0.1 diffrax==0.7.2 jax==0.10.2
    taskset -c 0 python benchmarks/ode_peers.py [--seconds 2]

torchdiffeq and diffrax take fourth-order steps of four evaluations (torchdiffeq's rk4 is the 3/8 rule; diffrax has none
that does not estimate an error, so Bosh3, three evaluations a step and one at the begin). torchode has no such method
either: it takes 16 steps of dopri5. Evaluations of f are printed where they can be counted, of forward and reverse pass
together. A figure is what the fastest tenth of the training steps take, in processor time.
"""
import argparse
import time


def best(step, seconds):
    for _ in range(3):
        step()
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.process_time()
        step()
        times.append(time.process_time() - begin)
    return sorted(times)[(len(times) - 1) // 10] * 1e3


def torch_parts():
    import torch
    from torch import nn
    torch.set_num_threads(1)
    torch.manual_seed(1)

    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(17, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(),
                                        nn.Linear(128, 16))
            self.evaluations = 0

        def forward(self, t, x):
            self.evaluations += 1
            t = torch.as_tensor(t, dtype=x.dtype).reshape(-1, 1).expand(len(x), 1)
            return self.layers(torch.cat((x, t), 1))

    field, out = Field(), nn.Linear(16, 10)
    optimizer = torch.optim.SGD([*field.parameters(), *out.parameters()], lr=1e-4)
    x, y = torch.randn(256, 16), torch.randint(0, 10, (256,))

    def step_of(solve):
        def step():
            optimizer.zero_grad()
            nn.functional.cross_entropy(out(solve(field, x)), y).backward()
            optimizer.step()
        return step
    return torch, field, step_of


def torchdiffeq_rows():
    import torchdiffeq
    torch, field, step_of = torch_parts()
    times = torch.tensor([0.0, 1.0])
    options = {"method": "rk4", "options": {"step_size": 1 / 25}}
    yield "torchdiffeq odeint", step_of(lambda f, x: torchdiffeq.odeint(f, x, times, **options)[-1]), field
    adjoint = torchdiffeq.odeint_adjoint
    yield "torchdiffeq odeint_adjoint", step_of(lambda f, x: adjoint(f, x, times, **options)[-1]), field


def torchode_rows():
    import torchode
    torch, field, step_of = torch_parts()
    span = torch.tensor([[0.0, 1.0]]).expand(256, 2)
    term = torchode.ODETerm(field)
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), torchode.FixedStepController())
    dt = torch.full((256,), 1 / 16)

    def solve(f, x):
        return solver.solve(torchode.InitialValueProblem(y0=x, t_eval=span), dt0=dt).ys[:, -1]
    yield "torchode, 16 steps of dopri5", step_of(solve), field


def diffrax_rows():
    import os
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import diffrax
    import jax
    import jax.numpy as jnp
    keys = jax.random.split(jax.random.PRNGKey(1), 8)
    sizes = [(17, 128), (128, 128), (128, 16), (16, 10)]
    weights = [(jax.random.normal(k, s) / s[0] ** 0.5, jnp.zeros(s[1])) for k, s in zip(keys, sizes)]
    x, y = jax.random.normal(keys[4], (256, 16)), jax.random.randint(keys[5], (256,), 0, 10)

    def field(t, z, w):
        z = jnp.concatenate((z, jnp.full((len(z), 1), t)), 1)
        for i, (matrix, bias) in enumerate(w):
            z = z @ matrix + bias
            z = jnp.tanh(z) if i < 2 else z
        return z

    for name, adjoint in (("RecursiveCheckpointAdjoint", diffrax.RecursiveCheckpointAdjoint()),
                          ("BacksolveAdjoint", diffrax.BacksolveAdjoint())):
        def loss(w):
            solved = diffrax.diffeqsolve(diffrax.ODETerm(field), diffrax.Bosh3(), 0.0, 1.0, 1 / 25, x, w[:3],
                                         stepsize_controller=diffrax.ConstantStepSize(), adjoint=adjoint, max_steps=32)
            scores = solved.ys[-1] @ w[3][0] + w[3][1]
            return -jnp.mean(jax.nn.log_softmax(scores)[jnp.arange(256), y])

        train = jax.jit(lambda w: jax.tree.map(lambda p, g: p - 1e-4 * g, w, jax.grad(loss)(w)))
        state = [weights]

        def step():
            state[0] = jax.block_until_ready(train(state[0]))
        yield f"diffrax {name}, 3 stages", step, None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2)
    seconds = parser.parse_args().seconds
    for rows in (torchdiffeq_rows, torchode_rows, diffrax_rows):
        try:
            for name, step, counted in rows():
                took = best(step, seconds)
                note = ""
                if counted:
                    counted.evaluations = 0
                    step()
                    note = f"   {counted.evaluations} evaluations"
                print(f"{name:44} {took:8.1f} ms{note}", flush=True)
        except ImportError as missing:
            print(f"{rows.__name__}: {missing}")


if __name__ == "__main__":
    main()
