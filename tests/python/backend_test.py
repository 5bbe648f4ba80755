#!/usr/bin/env python3
"""ONNX's own backend test runner, driven through treadle.backend: node, simple, pytorch-*."""
import os
import pathlib
import unittest

import onnx.backend.test

from common import treadle
import treadle.backend

SKIPS = pathlib.Path(os.environ["TREADLE_SOURCE"]) / "tests/onnx/skips.txt"


def exclude(runner):
    """What tests/onnx/skips.txt excuses, and what would be downloaded."""
    runner.exclude("test_(bvlc|densenet|inception|resnet|shufflenet|squeezenet|vgg|zfnet).*_cpu$")
    runner.exclude("test_loop16_seq_none_cpu$")  # the runner takes len() of a rank-0 element
    for line in SKIPS.read_text().splitlines():
        name = line.partition(":")[0]
        if line.startswith("test_"):
            runner.exclude(f"{name.rstrip('*')}{'' if name.endswith('*') else '_cpu$'}")


runner = onnx.backend.test.BackendTest(treadle.backend.TreadleBackend, __name__)
exclude(runner)
globals().update(runner.test_cases)

if __name__ == "__main__":
    unittest.main(verbosity=0)
