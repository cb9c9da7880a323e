"""A training step in PyTorch, compiled: python train_torch.py CASES THREADS SECONDS [eager] [cuda]."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
import cases
import jets

ALL, THREADS, SECONDS = cases.arguments()

import numpy
import torch

torch.set_num_threads(THREADS)
EAGER = "eager" in sys.argv
DEVICE = "cuda" if "cuda" in sys.argv else "cpu"


def forward(layers, x, sine):
    for n, (v, s, b) in enumerate(layers):
        x = torch.addmm(b, x, torch.exp(s) * v)
        if n + 1 < len(layers):
            x = torch.sin(cases.OMEGA * x) if sine else torch.relu(x)
    return x


for case in ALL:
    rng = numpy.random.default_rng(0)
    torch._dynamo.reset()
    layers = [[torch.tensor(t, device=DEVICE, requires_grad=True) for t in layer] for layer in cases.start(case, rng)]
    x, y = (torch.tensor(t, device=DEVICE) for t in cases.data(case, rng))
    flat = [t for layer in layers for t in layer]
    adam = torch.optim.Adam(flat, lr=1e-4, fused=True)

    def loss(case=case):
        if case.letter == "d":
            return jets.loss(layers, x, torch)
        return torch.mean((forward(layers, x, case.sine) - y) ** 2)

    run = loss if EAGER else torch.compile(loss, mode="max-autotune" if DEVICE == "cuda" else "default")

    def once():
        adam.zero_grad(set_to_none=True)
        value = run()
        value.backward()
        adam.step()
        value.item()

    cases.report("torch" + (" eager" if EAGER else " compiled"), case, THREADS, SECONDS, once)
