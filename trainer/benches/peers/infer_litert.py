"""One point and a batch in LiteRT, the networks of `rwf bench --inference`: python infer_litert.py CASES THREADS SECONDS."""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.insert(0, os.path.dirname(__file__))
import json
import statistics
import time

import numpy
import tensorflow
from ai_edge_litert.interpreter import Interpreter

BATCH, CALLS = 65_536, 1000
CASES = {"siren": ((2, 64, 64, 64, 3), True), "relu": ((2, 32, 32, 3), False)}
THREADS, SECONDS = int(sys.argv[2]), float(sys.argv[3])
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def convert(widths, sine, rng):
    """The network at a start like ours, omega0 folded into its weights, as LiteRT's file."""
    layers = []
    for n, (k, m) in enumerate(zip(widths, widths[1:])):
        limit = 30 / k if sine and n == 0 else (6 / k) ** 0.5
        layers.append((rng.uniform(-limit, limit, (k, m)).astype("float32"), numpy.zeros(m, "float32")))

    @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, widths[0]], tensorflow.float32)])
    def network(x):
        for n, (w, b) in enumerate(layers):
            x = tensorflow.linalg.matmul(x, w) + b
            if n + 1 < len(layers):
                x = tensorflow.sin(x) if sine else tensorflow.nn.relu(x)
        return x

    module = tensorflow.Module()
    module.network = network
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()], module)
    return converter.convert()


def clock(model, points, calls):
    """Nanoseconds a point, median and least; an interpreter's own call only, its input is there already."""
    interpreter = Interpreter(model_content=model, num_threads=THREADS)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, [points, 2])
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, numpy.random.default_rng(0).uniform(-1, 1, (points, 2)).astype("float32"))
    invoke = interpreter._interpreter.Invoke  # without Python's checks around it
    times, until = [], time.perf_counter() + SECONDS
    while time.perf_counter() < until or len(times) < 5:
        begin = time.perf_counter()
        for _ in range(calls):
            invoke()
        times.append(1e9 * (time.perf_counter() - begin) / (points * calls))
    return statistics.median(times), min(times)


for name in sys.argv[1].split(","):
    widths, sine = CASES[name]
    model = convert(widths, sine, numpy.random.default_rng(0))
    for path, points, calls in (("one point", 1, CALLS), ("batch", BATCH, 1)):
        median, least = clock(model, points, calls)
        line = {"peer": "litert", "case": name, "path": path, "threads": THREADS, "median_ns": median, "min_ns": least}
        print(json.dumps(line), flush=True)
