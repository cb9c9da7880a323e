"""Inference in LiteRT: python infer_litert.py THREADS SECONDS; the networks are made by TensorFlow's converter."""

import json
import os
import statistics
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
THREADS, SECONDS = int(sys.argv[1]), float(sys.argv[2])
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])

import numpy
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter


def convert(points, sine):
    rng = numpy.random.default_rng(0)
    widths = (2, 64, 64, 64, 3)
    weights = [(rng.uniform(-0.1, 0.1, (k, m)).astype("float32"), numpy.zeros(m, "float32")) for k, m in zip(widths, widths[1:])]

    @tf.function(input_signature=[tf.TensorSpec([points, 2])])
    def f(x):
        for n, (w, b) in enumerate(weights):
            x = tf.matmul(x, w) + b
            if n + 1 < len(weights):
                x = tf.sin(x) if sine else tf.nn.relu(x)
        return x

    return tf.lite.TFLiteConverter.from_concrete_functions([f.get_concrete_function()]).convert()


for sine in (True, False):
    for points in (1, 65_536):
        interpreter = Interpreter(model_content=convert(points, sine), num_threads=THREADS)
        interpreter.allocate_tensors()
        place = interpreter.get_input_details()[0]["index"]
        interpreter.set_tensor(place, numpy.random.default_rng(1).uniform(-1, 1, (points, 2)).astype("float32"))
        repeat = 2000 if points == 1 else 1
        times, until = [], time.perf_counter() + SECONDS
        interpreter.invoke()
        while time.perf_counter() < until or len(times) < 3:
            begin = time.perf_counter()
            for _ in range(repeat):
                interpreter.invoke()
            times.append(1e6 * (time.perf_counter() - begin) / repeat)
        line = {
            "peer": "litert",
            "case": f"i {'sine' if sine else 'relu'} {points}",
            "threads": THREADS,
            "median_us": statistics.median(times),
            "min_us": min(times),
        }
        print(json.dumps(line), flush=True)
