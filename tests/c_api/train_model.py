#!/usr/bin/env python3
"""Makes what train_test.c trains: a line over two inputs.

usage: train_model.py FOLDER   writes line.onnx
"""
import pathlib
import sys

import onnx
from onnx import TensorProto, helper

graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["product"], "product"),
     helper.make_node("Add", ["product", "b"], ["y"], "sum")],
    "line",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
    [helper.make_tensor("w", TensorProto.FLOAT, [2, 1], [0.5, -1]),
     helper.make_tensor("b", TensorProto.FLOAT, [1], [0.25])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save(model, pathlib.Path(sys.argv[1]) / "line.onnx")
