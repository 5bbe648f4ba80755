"""Operators that make tensors of sizes and attributes."""
import numpy as np
from onnx import helper

import draw
from case import Case, operator
from draw import ALL, FLOATS, INTEGERS, NUMBERS
from operators.movement import at_random


@operator("OneHot", since=9)
def one_hot(d):
    shape = d.shape(1 if d.maybe(0.9) else 0, 4, limit=60)
    depth = d.int(1, 6)
    kind = d.dtype(("int64", "int32", "float"), "T1")
    index = d.random.integers(-depth - 1 if d.opset >= 11 else 0, depth + 1, tuple(shape))
    rank = len(shape) + 1
    axis = d.some(axis=d.int(-rank if d.opset >= 11 else -1, rank - 1))
    values = d.array(d.dtype(NUMBERS + ("bool", "string"), "T3"), [2])
    depths = np.array(depth if d.maybe() else [depth], d.pick([np.int64, np.int32, np.float32]))
    return Case([np.asarray(index).astype(draw.numpy_dtype(kind)), depths, values], axis,
                constants=at_random(d, 1))


@operator("EyeLike", since=9)
def eye_like(d):
    x = d.array(d.dtype(NUMBERS + ("bool",), "T1"), [d.dim(), d.dim()])
    code = draw.onnx_code(draw.numpy_dtype(d.dtype(("float", "double", "int32", "int64"), "T2")))
    return Case([x], {"dtype": code} | d.some(k=d.int(-4, 4)))


@operator("Range", since=11)
def range_(d):
    dtype = d.dtype(FLOATS + INTEGERS)
    step = d.pick([1, 2, -1, 3, -2])
    return Case([np.asarray(v).astype(draw.numpy_dtype(dtype))
                 for v in (d.int(-9, 9), d.int(-9, 9), step)],
                constants=(0, 1, 2) if d.maybe() else ())


@operator("ConstantOfShape", since=9)
def constant_of_shape(d):
    dtype = d.dtype(FLOATS[:3] + INTEGERS + ("bool",), "T2")
    value = helper.make_tensor("v", draw.onnx_code(draw.numpy_dtype(dtype)), [1], [d.int(0, 9)])
    return Case([np.array(d.shape(), np.int64)], d.some(value=value), constants=at_random(d, 0))


@operator("Constant", since=1)
def constant(d):
    dtype = d.dtype(ALL[:3] + INTEGERS + ("bool", "string"))
    x = d.array(dtype, d.shape())
    values = {"value": helper.make_tensor("v", draw.onnx_code(x.dtype), x.shape,
                                          x.reshape(-1).tolist())}
    if d.opset >= 12 and d.maybe():
        n = d.int(1, 5)
        values = d.pick([{"value_float": d.float(-2, 2)}, {"value_int": d.int(-9, 9)},
                         {"value_string": d.pick(draw.WORDS[1:])},
                         {"value_floats": [d.float(-2, 2) for _ in range(n)]},
                         {"value_ints": [d.int(-9, 9) for _ in range(n)]},
                         {"value_strings": [d.pick(draw.WORDS[1:]) for _ in range(n)]}])
    return Case([], values)
