#!/usr/bin/env python3
"""ONNX's own backend test runner, driven through treadle.backend: node, simple, pytorch-*."""
import os
import pathlib
import sys
import unittest

import onnx
import onnx.backend.test
from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

MODULE = pathlib.Path(os.environ["TREADLE_BUILD"]) / "python"
if not MODULE.exists():
    print("skipped: this build has no Python module")
    sys.exit(77)
sys.path.insert(0, str(MODULE))
import treadle.backend  # noqa: E402

SKIPS = pathlib.Path(os.environ["TREADLE_SOURCE"]) / "tests/onnx/skips.txt"


def exclude(runner):
    """What tests/onnx/skips.txt excuses, and what would be downloaded."""
    runner.exclude("test_(bvlc|densenet|inception|resnet|shufflenet|squeezenet|vgg|zfnet).*_cpu$")
    runner.exclude("test_loop16_seq_none_cpu$")  # the runner takes len() of a rank-0 element
    runner.exclude("test_gradient_of_.*")        # ai.onnx.preview.training.Gradient: no row yet
    for line in SKIPS.read_text().splitlines():
        name = line.partition(":")[0]
        if line.startswith("test_"):
            runner.exclude(f"{name.rstrip('*')}{'' if name.endswith('*') else '_cpu$'}")


def missing_operators():
    lines = SKIPS.read_text().splitlines()
    return {line.split()[1].rstrip(":") for line in lines if line.startswith("operator ")}


def lacks_row(model, missing):
    names = {f"{n.domain.removeprefix('ai.onnx.')}.{n.op_type}" if n.domain else n.op_type
             for n in model.graph.node}
    return bool(names & missing)


class Backend(treadle.backend.TreadleBackend):
    missing = missing_operators()

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        if lacks_row(model, cls.missing):
            raise BackendIsNotSupposedToImplementIt("no such operator yet")
        return super().prepare(model, device, **kwargs)


runner = onnx.backend.test.BackendTest(Backend, __name__)
exclude(runner)
globals().update(runner.test_cases)

if __name__ == "__main__":
    unittest.main(verbosity=0)
