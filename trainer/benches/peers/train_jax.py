"""A training step in JAX, jitted whole: python train_jax.py CASES THREADS SECONDS [cuda]."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
import cases
import jets

ALL, THREADS, SECONDS = cases.arguments()
os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if THREADS > 1 else 'false'}"
os.environ["JAX_PLATFORMS"] = "cuda" if "cuda" in sys.argv else "cpu"

import jax
import jax.numpy as jnp
import numpy

# Exact f32, as ours: on a GPU the default rounds factors to TF32, as PyTorch's does not.
jax.config.update("jax_default_matmul_precision", "float32")


def forward(layers, x, sine):
    for n, (v, s, b) in enumerate(layers):
        x = x @ (jnp.exp(s) * v) + b
        if n + 1 < len(layers):
            x = jnp.sin(cases.OMEGA * x) if sine else jax.nn.relu(x)
    return x


for case in ALL:
    rng = numpy.random.default_rng(0)
    layers = jax.tree.map(jnp.asarray, cases.start(case, rng))
    x, y = map(jnp.asarray, cases.data(case, rng))

    def loss(layers, case=case):
        if case.letter == "d":
            return jets.loss(layers, x, jnp)
        return jnp.mean((forward(layers, x, case.sine) - y) ** 2)

    @jax.jit
    def step(layers, m, v, t):
        value, g = jax.value_and_grad(loss)(layers)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate, root = 1e-4 / (1 - 0.9**t), 1 / (1 - 0.999**t) ** 0.5
        move = lambda w, m, v: w - rate * m / (jnp.sqrt(v) * root + 1e-8)
        return jax.tree.map(move, layers, m, v), m, v, t + 1, value

    zeros = jax.tree.map(jnp.zeros_like, layers)
    state = [layers, zeros, zeros, jnp.float32(1), None]

    def once():
        state[:] = step(*state[:4])
        state[4].block_until_ready()

    cases.report("jax", case, THREADS, SECONDS, once)
