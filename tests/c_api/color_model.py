#!/usr/bin/env python3
"""Makes what install_test.sh classifies: a network that names a picture's strongest colour.

usage: color_model.py FOLDER   writes color.onnx, green.ppm and labels.txt
"""
import pathlib
import sys

import onnx
from onnx import TensorProto, helper

folder = pathlib.Path(sys.argv[1])
graph = helper.make_graph(
    [helper.make_node("GlobalAveragePool", ["picture"], ["means"]),
     helper.make_node("Flatten", ["means"], ["scores"])],
    "color",
    [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["batch", 3, 16, 16])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save(model, folder / "color.onnx")
(folder / "green.ppm").write_bytes(b"P6\n40 24\n255\n" + bytes((90, 200, 60)) * 40 * 24)
(folder / "labels.txt").write_text("red\ngreen\nblue\n")
