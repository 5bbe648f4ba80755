"""Reductions, running sums, extremes and softmax."""
import numpy as np

from case import Case, operator
from draw import FLOATS, NUMBERS

AS_INPUT = {"ReduceSum": 13}  # since when axes are an input; 18 for the others


@operator("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
          "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", since=1)
def reduce(d, name):
    dtype = d.dtype(NUMBERS + ("bool",))
    shape = d.shape(empty=0.02)
    low, high = (0.2, 2) if name in ("ReduceLogSum", "ReduceProd") else (-4, 4)
    x = d.array(dtype, shape, low, high, 0.1 if name in ("ReduceMax", "ReduceMin") else 0)
    attributes = d.some(keepdims=d.int(0, 1))
    axes = d.axes(len(shape), 1)
    if d.opset < 11:
        axes = [a % len(shape) for a in axes]
    inputs, constants = [x], ()
    if d.opset < AS_INPUT.get(name, 18):
        if axes and d.maybe(0.8):
            attributes["axes"] = axes
    else:
        if d.maybe(0.8):
            inputs.append(np.array(axes if d.maybe(0.9) else [], np.int64))
            constants = (1,) if d.maybe() else ()
        attributes |= d.some(noop_with_empty_axes=d.int(0, 1))
    return Case(inputs, attributes, constants=constants)


@operator("ArgMax", "ArgMin", since=1)
def arg_extreme(d, name):
    shape = d.shape(1, empty=0.02)
    axis = d.axis(len(shape)) if d.opset >= 11 else d.int(0, len(shape) - 1)
    if shape[axis] == 0:
        shape[axis] = 1
    attributes = d.some(axis=axis, keepdims=d.int(0, 1))
    if "axis" not in attributes:
        shape[0] = max(1, shape[0])
    if d.opset >= 12:
        attributes |= d.some(select_last_index=d.int(0, 1))
    return Case([d.array(d.dtype(NUMBERS), shape, -3, 3)], attributes)


@operator("CumSum", since=11)
@operator("CumProd", since=26)
def running(d, name):
    shape = d.shape(1)
    dtype = d.dtype(NUMBERS)
    axis = np.array(d.axis(len(shape)), d.pick([np.int32, np.int64]))
    x = d.array(dtype, shape, -2, 2)
    return Case([x, axis], d.some(exclusive=d.int(0, 1), reverse=d.int(0, 1)),
                constants=(1,) if d.maybe() else (),
                rtol={"float16": 2e-2, "bfloat16": 6e-2}.get(dtype))


@operator("TopK", since=1)
def top_k(d):
    shape = d.shape(1, empty=0.02)
    axis = d.axis(len(shape)) if d.opset >= 11 else d.int(0, len(shape) - 1)
    k = d.int(0 if d.opset >= 10 else 1, max(1, shape[axis])) if shape[axis] else 0
    dtype = d.dtype(NUMBERS)
    count = int(np.prod(shape))
    distinct = d.random.permutation(count).reshape(shape)  # ties go to the lower index
    x = distinct.astype(d.array(dtype, []).dtype) if count < 100 or dtype in FLOATS[:2] else \
        d.array(dtype, shape, -3, 3)
    if d.opset < 10:
        k = max(k, 1)
        return Case([np.ones(1, x.dtype) if 0 in shape else x],
                    {"k": 1 if 0 in shape else k, "axis": 0 if 0 in shape else axis}, outputs=2)
    attributes = {"axis": axis} | (d.some(largest=d.int(0, 1)) if d.opset >= 11 else {})
    if d.opset >= 11 and d.maybe():
        attributes["sorted"] = 1
    return Case([x, np.array([k], np.int64)], attributes, outputs=2,
                constants=(1,) if d.maybe() else ())


@operator("Softmax", "LogSoftmax", "Hardmax", since=1)
def softmax(d, name):
    shape = d.shape(1)
    axis = d.int(-len(shape) if d.opset >= 11 else 0, len(shape) - 1)
    attributes = {"axis": axis} if d.opset < 13 else d.some(axis=axis)
    return Case([d.array(d.dtype(FLOATS), shape, -9, 9)], attributes)
