"""Makes window_mean.onnx, which needs the plugin. usage: window_mean_model.py FOLDER"""
import pathlib
import sys

import onnx
from onnx import TensorProto, helper

x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "steps"])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
graph = helper.make_graph(
    [helper.make_node("WindowMean", ["x"], ["mean"], name="smooth", domain="example", window=3),
     helper.make_node("Relu", ["mean"], ["y"])],
    "window_mean", [x], [y])
model = helper.make_model(graph, ir_version=8, opset_imports=[
    helper.make_opsetid("", 17), helper.make_opsetid("example", 1)])
onnx.save(model, pathlib.Path(sys.argv[1]) / "window_mean.onnx")
