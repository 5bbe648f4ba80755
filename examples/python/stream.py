#!/usr/bin/env python3
"""Runs a network that has a state over a stream, without copies:   stream.py [MODEL.onnx]

The model maps (input [1, samples], state) to (output, stateN), as Silero VAD does (which also takes
the sample rate, sr); without one, a small one with random weights is built.
RUNTIME=onnxruntime runs the same with onnxruntime."""
import importlib
import os
import sys

import numpy as np

ort = importlib.import_module(os.environ.get("RUNTIME", "treadle"))  # import treadle as ort

RATE, SAMPLES, HIDDEN = 16000, 512, 128
MODEL = """<ir_version: 8, opset_import: ["": 17]>
stream (float[1, samples] input, float[2, 1, 128] state)
    => (float[1, 1] output, float[2, 1, 128] stateN) {
  axis = Constant<value_ints = [0]>()
  x = Unsqueeze(input, axis)
  halves = Constant<value_ints = [1, 1]>()
  first, second = Split<axis = 0>(state, halves)
  all, h = GRU<hidden_size = 128>(x, w, r, "", "", first)
  filtered = Mul(second, decay)
  c = Add(filtered, h)
  stateN = Concat<axis = 0>(h, c)
  score = MatMul(c, last)
  squeezed = Squeeze(score, axis)
  output = Sigmoid(squeezed)
}"""


def small_model():
    import onnx.parser
    from onnx import numpy_helper

    model = onnx.parser.parse_model(MODEL)
    rng = np.random.default_rng(2)
    shapes = {"w": [1, 3 * HIDDEN, SAMPLES], "r": [1, 3 * HIDDEN, HIDDEN], "last": [HIDDEN, 1]}
    weights = {n: rng.normal(size=s).astype(np.float32) / 16 for n, s in shapes.items()}
    weights["decay"] = np.array([0.9], np.float32)
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    return model.SerializeToString()


def sound(seconds):
    """A tone that comes and goes, in noise."""
    t = np.arange(int(RATE * seconds)) / RATE
    noise = np.random.default_rng(3).normal(size=t.size) * 0.02
    tone = 0.3 * np.sin(2 * np.pi * 220 * t) * (np.sin(2 * np.pi * t) > 0)
    return (tone + noise).astype(np.float32)


def main(model=None):
    session = ort.InferenceSession(model or small_model(), providers=["CPUExecutionProvider"])
    chunk = np.empty((1, SAMPLES), np.float32)
    state = ort.OrtValue.ortvalue_from_numpy(np.zeros((2, 1, HIDDEN), np.float32), "cpu", 0)
    binding = session.io_binding()
    if len(session.get_inputs()) == 3:
        binding.bind_cpu_input("sr", np.array(RATE))
    binding.bind_input("input", "cpu", 0, np.float32, chunk.shape, chunk.ctypes.data)
    stream = sound(2)
    for start in range(0, stream.size - SAMPLES + 1, SAMPLES):
        chunk[0] = stream[start:start + SAMPLES]
        binding.bind_ortvalue_input("state", state)
        binding.bind_output("output", "cpu")
        binding.bind_output("stateN", "cpu")
        session.run_with_iobinding(binding)
        output, state = binding.get_outputs()
        print(f"{start / RATE:5.2f} s  {output.numpy().item():.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
