"""Unary, binary and variadic operators."""
import math

import numpy as np

from case import Case, operator
from draw import ALL, FLOATS, INTEGERS, NUMBERS

# name: (interval of the elements, attributes by draw)
UNARY = {
    "Acos": ((-1, 1), None), "Acosh": ((1, 9), None), "Asin": ((-1, 1), None),
    "Asinh": ((-9, 9), None), "Atan": ((-9, 9), None), "Atanh": ((-0.99, 0.99), None),
    "Cos": ((-9, 9), None), "Cosh": ((-4, 4), None), "Sin": ((-9, 9), None),
    "Sinh": ((-4, 4), None), "Tan": ((-1.4, 1.4), None), "Tanh": ((-4, 4), None),
    "Ceil": ((-9, 9), None), "Floor": ((-9, 9), None), "Round": ((-9, 9), None),
    "Abs": ((-9, 9), None), "Neg": ((-9, 9), None), "Sign": ((-9, 9), None),
    "Erf": ((-3, 3), None), "Exp": ((-4, 4), None), "Log": ((0.01, 9), None),
    "Sqrt": ((0, 9), None), "Reciprocal": ((0.1, 9), None), "Relu": ((-9, 9), None),
    "Sigmoid": ((-9, 9), None), "Softplus": ((-9, 9), None), "Softsign": ((-9, 9), None),
    "HardSwish": ((-5, 5), None), "Mish": ((-5, 5), None), "Identity": ((-9, 9), None),
    "Elu": ((-5, 5), lambda d: d.some(alpha=d.float(-1, 2))),
    "Celu": ((-5, 5), lambda d: d.some(alpha=d.float(0.2, 2))),
    "Selu": ((-5, 5), lambda d: d.some(alpha=d.float(0.5, 2), gamma=d.float(0.5, 2))),
    "HardSigmoid": ((-5, 5), lambda d: d.some(alpha=d.float(0, 1), beta=d.float(-1, 1))),
    "LeakyRelu": ((-5, 5), lambda d: d.some(alpha=d.float(-1, 1))),
    "ThresholdedRelu": ((-5, 5), lambda d: d.some(alpha=d.float(0, 2))),
    "Shrink": ((-5, 5), lambda d: d.some(bias=d.float(-1, 1), lambd=d.float(0, 2))),
    "Gelu": ((-5, 5), lambda d: d.some(approximate=d.pick(["none", "tanh"]))),
    "Swish": ((-5, 5), lambda d: d.some(alpha=d.float(-2, 2))),
}

ERF = np.vectorize(math.erf, otypes=[np.float64])


@operator(*UNARY, since=6)
def unary(d, name):
    (low, high), attributes = UNARY[name]
    of = "V" if name == "Identity" and d.opset >= 14 else "T"
    dtype = d.dtype(ALL if name == "Identity" else NUMBERS, of)
    edges = 0 if name == "Shrink" and dtype in INTEGERS else 0.3
    x = d.array(dtype, d.shape(), low, high, edges)
    case = Case([x], attributes(d) if attributes else {})
    if name == "Gelu" and dtype == "double" and case.attributes.get("approximate") != "tanh":
        case.numpy = lambda: [x / 2 * (1 + ERF(x / np.sqrt(2.0)))]  # oracles compute in float
    return case


@operator("Not")
def logical_not(d):
    return Case([d.array("bool", d.shape())])


@operator("BitwiseNot", since=18)
def bitwise_not(d):
    return Case([d.array(d.dtype(INTEGERS), d.shape(), -1e9, 1e9, 0.3)])


@operator("IsNaN", since=9)
def is_nan(d):
    return Case([d.array(d.dtype(FLOATS, "T1"), d.shape(), edges=0.9)])


@operator("IsInf", since=10)
def is_inf(d):
    signs = {k: d.int(0, 1) for k in ("detect_negative", "detect_positive")}
    return Case([d.array(d.dtype(FLOATS, "T1"), d.shape(), edges=0.9)], d.some(**signs))


@operator("Clip", since=6)
def clip(d):
    dtype = d.dtype(NUMBERS)
    x = d.array(dtype, d.shape(), -9, 9, 0.2)
    low, high = sorted((d.int(-5, 5), d.int(-5, 5)))
    if d.opset < 11:
        return Case([x], d.some(min=float(low), max=float(high)))
    bounds = [d.array(dtype, [], v, v) if d.maybe(0.7) else None for v in (low, high)]
    given = [i for i in (1, 2) if bounds[i - 1] is not None]
    return Case([x, *bounds], constants=tuple(i for i in given if d.maybe()))


@operator("Add", "Sub", "Mul", "Div", since=7)
def arithmetic(d, name):
    dtype = d.dtype(NUMBERS)
    a, b = d.broadcast(2)
    x, y = d.array(dtype, a, -9, 9, 0.2), d.array(dtype, b, -9, 9, 0.2)
    if name == "Div" and dtype in INTEGERS:
        y = np.where(y == 0, np.ones_like(y), y)
        if dtype.startswith("int"):  # MIN / -1: docs/edge_semantics.md
            x = np.where(x == np.iinfo(x.dtype).min, np.ones_like(x), x)
    return Case([x, y])


@operator("Mod", since=10)
def mod(d):
    dtype = d.dtype(NUMBERS)
    fmod = int(dtype in FLOATS or d.maybe())
    a, b = d.broadcast(2)
    y = d.array(dtype, b, 1, 9)
    if dtype in FLOATS or dtype.startswith("int"):
        y = (y * np.where(d.random.random(y.shape) < 0.5, -1, 1)).astype(y.dtype)
    return Case([d.array(dtype, a, -99, 99), y], {"fmod": fmod} if fmod or d.maybe() else {})


@operator("Pow", since=7)
def power(d):
    dtype = d.dtype(NUMBERS)
    exponents = dtype if d.opset < 12 else d.dtype(NUMBERS, "T1")
    a, b = d.broadcast(2)
    x = d.array(dtype, a, 0.1 if dtype in FLOATS else 0, 4)
    return Case([x, d.array(exponents, b, 0 if dtype in INTEGERS else -3, 3)],
                rtol=1e-2 if "bfloat16" in (dtype, exponents) else None)


@operator("And", "Or", "Xor", since=7)
def logical(d, name):
    return Case([d.array("bool", s) for s in d.broadcast(2)])


@operator("Equal", "Less", "Greater", since=7)
@operator("LessOrEqual", "GreaterOrEqual", since=12)
def comparison(d, name):
    dtype = d.dtype(ALL)
    return Case([d.array(dtype, s, -2, 2, 0.3) for s in d.broadcast(2)])


@operator("BitwiseAnd", "BitwiseOr", "BitwiseXor", since=18)
def bitwise(d, name):
    dtype = d.dtype(INTEGERS)
    return Case([d.array(dtype, s, -1e9, 1e9, 0.3) for s in d.broadcast(2)])


@operator("BitShift", since=11)
def bit_shift(d):
    dtype = d.dtype(INTEGERS)
    bits = int(dtype.lstrip("uint"))
    a, b = d.broadcast(2)
    x, count = d.array(dtype, a, -99, 99, 0.3), d.array(dtype, b, 0, bits - 1)
    return Case([x, count], {"direction": d.pick(["LEFT", "RIGHT"])})


@operator("PRelu", since=7)
def prelu(d):
    dtype = d.dtype(NUMBERS)
    x = d.shape()
    return Case([d.array(dtype, x, -5, 5, 0.2), d.array(dtype, d.broadcast_to(x), -2, 2)])


@operator("Where", since=9)
def where(d):
    dtype = d.dtype(ALL)
    a, b, c = d.broadcast(3)
    return Case([d.array("bool", a), d.array(dtype, b), d.array(dtype, c)])


@operator("Max", "Min", since=8)
@operator("Mean", "Sum", since=8)
def variadic(d, name):
    dtype = d.dtype(NUMBERS)
    return Case([d.array(dtype, s, -9, 9, 0.2) for s in d.broadcast(d.int(1, 4))])


@operator("SwiGLU", since=28)
def swiglu(d):
    dtype, shape = d.dtype(FLOATS), d.shape()
    return Case([d.array(dtype, shape, -5, 5) for _ in "AB"], d.some(alpha=d.float(-2, 2)))
