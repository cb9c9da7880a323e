"""The cases of `rwf bench`, and how a peer is timed: the same networks, points and optimizer, one JSON line a case."""

import json
import os
import statistics
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    letter: str
    widths: tuple
    sine: bool
    points: int
    frequencies: int = 0


CASES = [
    Case("a", (1, 128, 128, 128, 1), False, 256),
    Case("b", (2, 256, 256, 256, 256, 3), False, 16_384, frequencies=256),
    Case("c", (2, 256, 256, 256, 3), True, 65_536),
    Case("d", (2, 128, 128, 128, 128, 1), False, 4096),
    Case("e", (2, 64, 64, 64, 3), True, 65_536),
]
OMEGA = 30.0
MU, SIGMA = 1.0, 0.1


def arguments():
    """Letters, threads and seconds a case, from the command line; pins this process to as many cores as threads."""
    letters, threads, seconds = sys.argv[1].split(","), int(sys.argv[2]), float(sys.argv[3])
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    return [c for c in CASES if c.letter in letters], threads, seconds


def start(case, rng):
    """Factors (v, s, b) of every layer by numpy: Glorot's or SIREN's W0, then W0 = exp(s) * v."""
    widths = (2 * case.frequencies,) + case.widths[1:] if case.frequencies else case.widths
    layers = []
    for n, (k, m) in enumerate(zip(widths, widths[1:])):
        if case.sine:
            limit = 1 / k if n == 0 else (6 / k) ** 0.5 / OMEGA
            w = rng.uniform(-limit, limit, (k, m))
        else:
            w = rng.normal(0, (2 / (k + m)) ** 0.5, (k, m))
        s = rng.normal(MU, SIGMA, m)
        layers.append(((w / _exp(s)).astype("float32"), s.astype("float32"), 0 * s.astype("float32")))
    return layers


def _exp(s):
    import numpy

    return numpy.exp(s)


def data(case, rng):
    """Points, or their Fourier features, and values."""
    import numpy

    x = rng.uniform(-1, 1, (case.points, case.widths[0])).astype("float32")
    y = rng.uniform(-1, 1, (case.points, case.widths[-1])).astype("float32")
    if case.frequencies:
        turns = 2 * numpy.pi * x @ rng.normal(0, 10, (x.shape[1], case.frequencies))
        x = numpy.concatenate([numpy.sin(turns), numpy.cos(turns)], 1).astype("float32")
    return x, y


def report(peer, case, threads, seconds, step, warm=3):
    """Calls `step`, which ends when its result is there, for about `seconds`."""
    for _ in range(warm):
        step()
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        begin = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - begin))
    line = {
        "peer": peer,
        "case": case.letter,
        "threads": threads,
        "median_ms": statistics.median(times),
        "min_ms": min(times),
        "steps": len(times),
    }
    print(json.dumps(line), flush=True)
