"""Sequences, optionals and control flow."""
import numpy as np
from onnx import TensorProto, helper

import draw
from case import Case, operator, type_of
from draw import ALL, COMMON, INTEGERS

KINDS = COMMON + INTEGERS + ("bool", "string")


def sequence(d, low=0, dtype=None, same=False):
    """A sequence of tensors, and its type."""
    dtype = dtype or d.pick(KINDS)
    shape = d.shape(0, 3)
    items = [d.array(dtype, shape if same else d.shape(0, 3)) for _ in range(d.int(low, 4))]
    return items, sequence_type(dtype)


def sequence_type(dtype):
    element = helper.make_tensor_type_proto(draw.onnx_code(draw.numpy_dtype(dtype)), None)
    return helper.make_sequence_type_proto(element)


def position(d, low, high):
    return np.array(d.int(low, high), d.pick([np.int32, np.int64]))


@operator("SequenceConstruct", since=11)
def sequence_construct(d):
    dtype = d.pick(KINDS)
    return Case([d.array(dtype, d.shape(0, 3)) for _ in range(d.int(1, 4))])


@operator("SequenceAt", since=11)
def sequence_at(d):
    items, kind = sequence(d, 1)
    return Case([items, position(d, -len(items), len(items) - 1)], types={0: kind})


@operator("SequenceErase", since=11)
def sequence_erase(d):
    items, kind = sequence(d, 1)
    at = [position(d, -len(items), len(items) - 1)] if d.maybe(0.8) else []

    def erased():
        left = list(items)
        del left[int(at[0]) if at else -1]
        return [left]

    return Case([items, *at], types={0: kind}, numpy=erased)


@operator("SequenceInsert", since=11)
def sequence_insert(d):
    dtype = d.pick(KINDS)
    items, kind = sequence(d, 0, dtype)
    at = [position(d, -len(items), len(items))] if d.maybe(0.8) else []
    return Case([items, d.array(dtype, d.shape(0, 3)), *at], types={0: kind})


@operator("SequenceLength", since=11)
def sequence_length(d):
    items, kind = sequence(d)
    return Case([items], types={0: kind}, numpy=lambda: [np.array(len(items), np.int64)])


@operator("SequenceEmpty", since=11)
def sequence_empty(d):
    return Case([], d.some(dtype=draw.onnx_code(draw.numpy_dtype(d.pick(KINDS)))),
                numpy=lambda: [[]])


@operator("ConcatFromSequence", since=11)
def concat_from_sequence(d):
    dtype, new = d.pick(KINDS), d.int(0, 1)
    shape = d.shape(0 if new else 1, 5)
    axis = d.axis(len(shape) + new)
    items = []
    for _ in range(d.int(1, 4)):
        if not new:
            shape[axis] = d.dim()
        items.append(d.array(dtype, shape))
    join = np.stack if new else np.concatenate
    return Case([items], {"axis": axis} | ({"new_axis": new} if new or d.maybe() else {}),
                types={0: sequence_type(dtype)}, numpy=lambda: [join(items, axis=axis)])


@operator("SplitToSequence", since=11)
def split_to_sequence(d):
    shape = d.shape(1, empty=0)
    axis = d.axis(len(shape))
    attributes = {"axis": axis} | d.some(keepdims=d.int(0, 1))
    dtype = d.dtype(COMMON + ("int32", "int64", "string"))
    how = d.pick(["each", "size", "sizes"])
    if how == "each":
        return Case([d.array(dtype, shape)], attributes)
    if how == "size":
        size = np.array(d.int(1, shape[axis] + 1), d.pick([np.int32, np.int64]))
    else:
        parts = [d.int(0, 3) for _ in range(d.int(1, 3))]
        shape[axis], size = sum(parts), np.array(parts, d.pick([np.int32, np.int64]))
    return Case([d.array(dtype, shape), size], attributes)


def info(name, dtype=None):
    """A body's input or output: of a tensor type, or of no declared type."""
    if dtype is None:
        return helper.make_empty_tensor_value_info(name)
    return helper.make_tensor_value_info(name, draw.onnx_code(draw.numpy_dtype(dtype)), None)


def body(nodes, inputs, outputs, name="body"):
    return helper.make_graph([helper.make_node(*n[:3], **(n[3] if len(n) > 3 else {}))
                              for n in nodes], name, inputs, outputs)


@operator("SequenceMap", since=17)
def sequence_map(d):
    items, kind = sequence(d, 1, "float", same=True)
    graph = body([("Add", ["e", "t"], ["r"])], [info("e", "float"), info("t", "float")],
                 [info("r", "float")])
    t = d.array("float", [])
    return Case([items, t], {"body": graph}, types={0: kind},
                numpy=lambda: [[i + t for i in items]])


@operator("Optional", since=15)
def optional(d):
    x = d.array(d.pick(KINDS), d.shape(0, 4)) if d.maybe() else sequence(d, 1)[0]
    return Case([x], numpy=lambda: [x])


@operator("OptionalHasElement", since=15)
def optional_has_element(d):
    x = d.array(d.pick(KINDS), d.shape(0, 4))
    there = d.maybe()
    kind = helper.make_optional_type_proto(type_of(x))
    return Case([x if there else None], types={0: kind}, numpy=lambda: [np.array(there)])


@operator("OptionalGetElement", since=15)
def optional_get_element(d):
    x = d.array(d.pick(KINDS), d.shape(0, 4))
    return Case([x], types={0: helper.make_optional_type_proto(type_of(x))}, numpy=lambda: [x])


# ---- Control flow

@operator("If", since=11)
def if_(d):
    dtype = d.dtype(ALL[:3] + ("int64", "string"), "V")
    arms = [d.array(dtype, d.shape(0, 3, limit=20)) for _ in range(2)]

    def arm(x, name):
        value = helper.make_tensor("v", draw.onnx_code(x.dtype), x.shape, x.reshape(-1).tolist())
        return body([("Constant", [], [name], {"value": value})], [], [info(name, dtype)], name)

    condition = np.array(d.maybe()) if d.maybe(0.8) else np.array([d.maybe()])
    return Case([condition], {"then_branch": arm(arms[0], "t"), "else_branch": arm(arms[1], "e")},
                constants=(0,) if d.maybe() else ())


@operator("Loop", since=11)
def loop(d):
    dtype, shape = d.dtype(("float", "double", "int64"), "V"), d.shape(0, 3, limit=30)
    stop = d.int(0, 5)
    nodes = [("Add", ["a", "a"], ["b"]), ("Identity", ["b"], ["scan"]),
             ("Constant", [], ["limit"], {"value_int": stop}), ("Less", ["i", "limit"], ["go2"])]
    graph = body(nodes if d.opset >= 13 else nodes[:2] + [("Identity", ["go"], ["go2"])],
                 [helper.make_tensor_value_info("i", TensorProto.INT64, []),
                  helper.make_tensor_value_info("go", TensorProto.BOOL, []), info("a", dtype)],
                 [helper.make_tensor_value_info("go2", TensorProto.BOOL, []), info("b", dtype),
                  info("scan", dtype)])
    count = np.array(d.int(0, 4), np.int64)
    start = np.array(d.maybe(0.9)) if d.maybe() else None
    first = d.array(dtype, shape)

    def looped():
        rounds = int(count) if start is None or start else 0
        if d.opset >= 13:
            rounds = min(rounds, stop + 1)
        values = [first]
        for _ in range(rounds):
            values.append(values[-1] + values[-1])
        return [values[-1], np.stack(values)[1:]]

    return Case([count, start, first], {"body": graph}, outputs=2,
                constants=(0,) if d.maybe() else (), numpy=looped)


@operator("Scan", since=9)
def scan(d):
    dtype, shape = d.dtype(("float", "double"), "V"), d.shape(1, 4, empty=0, limit=60)
    axis = d.int(0, len(shape) - 1)
    each = shape[:axis] + shape[axis + 1:]
    nodes = [("Add", ["s", "x"], ["t"]), ("Mul", ["t", "x"], ["y"])]
    graph = body(nodes, [info("s", dtype), info("x", dtype)], [info("t", dtype), info("y", dtype)])
    attributes = {"body": graph, "num_scan_inputs": 1, "scan_input_axes": [axis]}
    attributes |= d.some(scan_input_directions=[d.int(0, 1)], scan_output_directions=[d.int(0, 1)],
                         scan_output_axes=[d.int(0, len(shape) - 1)])
    return Case([d.array(dtype, each), d.array(dtype, shape)], attributes, outputs=2)


@operator("Scan", since=8, until=8, variant="batch")
def scan_of_a_batch(d):
    """As it was in opset 8, with a leading axis of batches, some of them shorter."""
    dtype, batch, steps = d.dtype(("float", "double"), "V"), d.int(1, 3), d.int(1, 4)
    each, back = d.shape(0, 2, empty=0, limit=20), d.int(0, 1)
    lengths = np.array([d.int(0, steps) for _ in range(batch)], np.int64) if d.maybe() else None
    start, x = d.array(dtype, [batch, *each]), d.array(dtype, [batch, steps, *each])
    graph = body([("Add", ["s", "x"], ["t"]), ("Mul", ["t", "x"], ["y"])],
                 [helper.make_tensor_value_info(n, draw.onnx_code(draw.numpy_dtype(dtype)), each)
                  for n in "sx"], [info("t", dtype), info("y", dtype)])

    def scanned():
        last, y = start.copy(), np.zeros_like(x)
        for b in range(batch):
            row = x[b] if lengths is None else x[b, :lengths[b]]
            for i, e in enumerate(row[::-1] if back else row):
                last[b] = last[b] + e
                y[b, i] = last[b] * e
        return [last, y]

    return Case([lengths, start, x], {"body": graph, "num_scan_inputs": 1} |
                ({"directions": [back]} if back or d.maybe() else {}), outputs=2, numpy=scanned)
