#!/usr/bin/env python3
"""Makes the models of operators_test.c: each uses operators of domain 'test'.

usage: operators_models.py FOLDER
"""
import pathlib
import sys

import onnx
from onnx import TensorProto, helper

folder = pathlib.Path(sys.argv[1])
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("test", 1)]


def info(name, shape=("N", 3), dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def node(kind, inputs, outputs, domain="test", **attributes):
    return helper.make_node(kind, inputs, outputs, name=kind.lower(), domain=domain, **attributes)


def save(name, nodes, inputs, outputs, initializers=(), functions=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=OPSETS, ir_version=8, functions=functions)
    onnx.save(model, folder / f"{name}.onnx")


def branch(nodes, output):
    return helper.make_graph(nodes, "branch", [], [info(output, None)])


X, Y = info("x"), info("y", None)
SCALE = node("Scale", ["x"], ["y"], factor=2.5)
save("scale", [node("Relu", ["x"], ["r"], ""), node("Scale", ["r"], ["y"], factor=2.5)], [X], [Y])
save("default", [node("Scale", ["x"], ["y"])], [X], [Y])
save("grow", [node("Grow", ["x"], ["g"]), node("Relu", ["g"], ["y"], "")], [X], [Y])
save("late", [node("Late", ["x"], ["l"]), node("Relu", ["l"], ["y"], "")], [X], [Y])
constant = helper.make_tensor("c", TensorProto.FLOAT, [3], [1, 2, 3])
save("constant", [node("Scale", ["c"], ["s"], factor=2.0), node("Add", ["x", "s"], ["y"], "")],
     [X], [Y], [constant])
choice = helper.make_node(
    "If", ["flag"], ["y"], then_branch=branch([node("Scale", ["x"], ["t"], factor=2.5)], "t"),
    else_branch=branch([node("Identity", ["x"], ["e"], "")], "e"))
save("body", [choice], [X, info("flag", [], TensorProto.BOOL)], [Y])
function = helper.make_function("test", "Twice", ["a"], ["b"], [
    helper.make_node("Scale", ["a"], ["b"], domain="test", factor=2.0)], OPSETS)
save("function", [node("Twice", ["x"], ["y"])], [X], [Y], functions=[function])
save("text", [node("Shout", ["x"], ["y"])], [info("x", ["N"], TensorProto.STRING)],
     [info("y", None, TensorProto.STRING)])
save("wrong", [node("Wrong", ["x"], ["y"], how="none")], [X], [Y])
for how in ("fail", "silent", "rank", "dtype", "nothing", "index", "kind", "outside", "load",
            "dim", "status"):
    save(f"wrong_{how}", [node("Wrong", ["x"], ["y"], how=how)], [X], [Y])
save("wrong_length", [node("Wrong", ["x"], ["y"], how="length")], [X], [info("y", None, TensorProto.STRING)])
save("attribute", [node("Scale", ["x"], ["y"], fraction=2.0)], [X], [Y])
