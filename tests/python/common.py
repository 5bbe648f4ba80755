"""What the tests of the Python module share: the module, and small models."""
import os
import pathlib
import sys

import numpy as np
from onnx import helper, parser

MODULE = pathlib.Path(os.environ["TREADLE_BUILD"]) / "python"
if not MODULE.exists():
    print("skipped: this build has no Python module")
    sys.exit(77)
sys.path.insert(0, str(MODULE))
import treadle  # noqa: E402


def model_of(text):
    return parser.parse_model('<ir_version: 10, opset_import: ["": 21]>' + text)


def identity(dtype, shape):
    info = [helper.make_tensor_value_info(n, dtype, shape) for n in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "g", info[:1], info[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)


ADD = model_of("add (float[N, 3] x, float[N, 3] b) => (float[N, 3] y) { y = Add(x, b) }")
SLOW = model_of("""slow (int64 n, float[400, 400] x) => (float[400, 400] y) {
  c = Constant<value = bool {1}>()
  y = Loop(n, c, x)<body = body (int64 i, bool go, float[400, 400] a)
                          => (bool go2, float[400, 400] b) {
    go2 = Identity(go)
    p = MatMul(a, a)
    b = Clip(p)
  }>
}""")
# What the tests of training train: a line over two inputs, and a batch for it.
LINE = model_of("""line (float[N, 2] x) => (float[N, 1] y)
    <float[2, 1] w = {0.5, -1.0}, float[1] b = {0.25}> {
  product = MatMul(x, w)
  y = Add(product, b)
}""")
LINE_X = np.array([[1, 2], [-1, 0.5], [0.25, -2], [0.5, 1]], np.float32)
LINE_T = np.array([[1], [0], [-1], [0.5]], np.float32)


def line(**settings):
    """A trainer of it."""
    return treadle.train.Trainer(LINE, rate=0.05, **settings)
