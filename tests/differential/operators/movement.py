"""Operators that move elements."""
import numpy as np

from case import Case, operator
from draw import ALL


def int64(*values):
    return np.array(values, np.int64)


def at_random(d, *indices):
    """Which of the inputs are constants."""
    return tuple(i for i in indices if d.maybe())


@operator("Concat", since=4)
def concat(d):
    shape = d.shape(1)
    axis = d.axis(len(shape)) if d.opset >= 11 else d.int(0, len(shape) - 1)
    dtype, inputs = d.dtype(ALL), []
    for _ in range(d.int(1, 4)):
        shape[axis] = d.dim(0.1)
        inputs.append(d.array(dtype, shape))
    return Case(inputs, {"axis": axis})


@operator("Split", since=2)
def split(d):
    shape = d.shape(1)
    axis = d.axis(len(shape)) if d.opset >= 11 else d.int(0, len(shape) - 1)
    parts = [d.dim(0.1) for _ in range(d.int(1, 4))]
    attributes, inputs, constants = {"axis": axis}, [], ()
    how = d.pick(["sizes", "equal"])
    if how == "equal":
        size = d.dim()
        parts = [size] * len(parts)
    if how == "sizes" and d.opset < 13:
        attributes["split"] = parts
    elif how == "sizes":
        inputs, constants = [int64(*parts)], at_random(d, 1)
    elif d.opset >= 18:
        attributes["num_outputs"] = len(parts)
        if size > len(parts) and d.maybe():  # the last one is smaller
            parts[-1] -= 1
    shape[axis] = sum(parts)
    if d.opset >= 18 and how == "equal":
        each = -(-shape[axis] // len(parts))
        if each * (len(parts) - 1) > shape[axis]:
            shape[axis] = each * len(parts)
    return Case([d.array(d.dtype(ALL), shape), *inputs], attributes, outputs=len(parts),
                constants=constants)


@operator("Slice", since=10)
def slice_(d):
    shape = d.shape(1)
    axes = d.axes(len(shape), 1)
    starts, ends, steps = [], [], []
    for a in axes:
        step = d.pick([1, 1, 1, 2, 3, -1, -2])
        low, high = sorted((d.int(-8, 8), d.int(-8, 8)))
        if d.maybe(0.2):
            low, high = (-2**40, 2**62) if d.maybe() else (-2**31, 2**31 - 1)
        starts.append(low if step > 0 else high)
        ends.append(high if step > 0 else low)
        steps.append(step)
    kind = d.pick([np.int64, np.int32])
    if kind == np.int32:
        starts, ends = (np.clip(v, -2**31, 2**31 - 1) for v in (starts, ends))
    given = [np.array(v, kind) for v in (starts, ends, axes, steps)]
    if sorted(axes) == list(range(len(axes))) and axes == sorted(axes) and d.maybe():
        given[2] = None
    if d.maybe(0.3):
        given[3] = None
        given[0], given[1] = np.minimum(given[0], given[1]), np.maximum(given[0], given[1])
    constants = tuple(i + 1 for i in range(4) if given[i] is not None) if d.maybe() else ()
    return Case([d.array(d.dtype(ALL), shape), *given], constants=constants)


@operator("Slice", since=1, until=9, variant="attributes")
def slice_by_attributes(d):
    shape = d.shape(1)
    axes = sorted(a % len(shape) for a in d.axes(len(shape), 1))
    ranges = [sorted((d.int(-8, 8), d.int(-8, 8))) for _ in axes]
    attributes = {"starts": [r[0] for r in ranges], "ends": [r[1] for r in ranges]}
    if axes != list(range(len(axes))) or d.maybe():
        attributes["axes"] = axes
    return Case([d.array(d.dtype(ALL), shape)], attributes)


@operator("Gather", since=1)
def gather(d):
    shape = d.shape(1, 4)
    axis = d.axis(len(shape)) if d.opset >= 11 else d.int(0, len(shape) - 1)
    wanted = d.shape(0, 3, limit=40)
    if shape[axis] == 0:
        wanted = [0]
    index = d.indices(wanted, shape[axis], d.pick(["int32", "int64"]), d.opset >= 11)
    return Case([d.array(d.dtype(ALL), shape), index], d.some(axis=axis) or {"axis": axis},
                constants=at_random(d, 1))


@operator("GatherElements", since=11)
def gather_elements(d):
    shape = d.shape(1, empty=0)
    axis = d.axis(len(shape))
    wanted = [d.int(0 if d.maybe(0.1) else 1, n) for n in shape]
    wanted[axis] = d.dim()
    return Case([d.array(d.dtype(ALL), shape),
                 d.indices(wanted, shape[axis], d.pick(["int32", "int64"]))], {"axis": axis})


def nd_indices(d, shape, batch, last):
    """Indices of tuples of `last` coordinates into `shape` without its `batch` leading axes."""
    outer = shape[:batch] + d.shape(0, 2, limit=20)
    columns = [d.indices(outer, shape[batch + i]) for i in range(last)]
    return np.stack(columns, -1) if columns else np.zeros((*outer, 0), np.int64)


@operator("GatherND", since=11)
def gather_nd(d):
    shape = d.shape(1, 5, empty=0)
    batch = d.int(0, len(shape) - 1) if d.opset >= 12 else 0
    index = nd_indices(d, shape, batch, d.int(1, len(shape) - batch))
    return Case([d.array(d.dtype(ALL), shape), index], {"batch_dims": batch} if batch else {})


def reduction_of(d, dtype):
    if d.opset < 16 or dtype in ("string", "bool"):
        return {}
    allowed = ["none", "add", "mul"] + (["max", "min"] if d.opset >= 18 else [])
    return d.some(reduction=d.pick(allowed))


@operator("ScatterElements", since=11)
def scatter_elements(d):
    shape = d.shape(1, empty=0)
    axis, dtype = d.axis(len(shape)), d.dtype(ALL)
    attributes = {"axis": axis} | reduction_of(d, dtype)
    wanted = [d.int(1, n) for n in shape]
    if attributes.get("reduction", "none") == "none":  # each place is written once
        index = np.stack([d.random.permutation(shape[axis])[: wanted[axis]] for _ in
                          range(int(np.prod(wanted)) // wanted[axis])])
        others = wanted[: axis % len(shape)] + wanted[axis % len(shape) + 1:]
        index = np.moveaxis(index.reshape([*others, wanted[axis]]), -1, axis)
        index = index - shape[axis] * d.random.integers(0, 2, index.shape)
    else:
        index = d.indices(wanted, shape[axis])
    return Case([d.array(dtype, shape), np.ascontiguousarray(index, np.int64),
                 d.array(dtype, wanted)], attributes)


@operator("Scatter", since=9, until=10)
def scatter(d):
    return scatter_elements(d)


@operator("ScatterND", since=11)
def scatter_nd(d):
    shape = d.shape(1, 4, empty=0)
    dtype, last = d.dtype(ALL), d.int(1, len(shape))
    attributes = reduction_of(d, dtype)
    if attributes.get("reduction", "none") == "none":
        places = int(np.prod(shape[:last]))
        chosen = d.random.permutation(places)[: d.int(0, places)]
        index = np.stack(np.unravel_index(chosen, shape[:last]), -1).astype(np.int64)
    else:
        index = nd_indices(d, shape, 0, last)
    return Case([d.array(dtype, shape), index,
                 d.array(dtype, [*index.shape[:-1], *shape[last:]])], attributes)


@operator("Reshape", since=5)
def reshape(d):
    shape = d.shape(0, 5)
    flat = [f for n in shape for f in ((2, n // 2) if n and n % 2 == 0 and d.maybe() else (n,))]
    wanted = flat if d.maybe() else [int(np.prod(shape))]
    attributes = {}
    if d.opset >= 14 and d.maybe(0.3):
        attributes["allowzero"] = 1
    elif 0 in wanted:
        wanted = list(shape)
    if 0 not in wanted and wanted and d.maybe():
        wanted[d.int(0, len(wanted) - 1)] = -1
    return Case([d.array(d.dtype(ALL), shape), np.array(wanted, np.int64)], attributes,
                constants=at_random(d, 1))


@operator("Flatten", since=1)
def flatten(d):
    shape = d.shape(1)
    low = -len(shape) if d.opset >= 11 else 0
    return Case([d.array(d.dtype(ALL), shape)], d.some(axis=d.int(low, len(shape))))


@operator("Squeeze", since=1)
def squeeze(d):
    shape = d.shape()
    ones = [i for i, n in enumerate(shape) if n == 1]
    chosen = [i - (len(shape) * d.int(0, 1) if d.opset >= 11 else 0) for i in ones if d.maybe()]
    x = d.array(d.dtype(ALL), shape)
    if not chosen:
        return Case([x])
    if d.opset < 13:
        return Case([x], {"axes": chosen})
    return Case([x, int64(*chosen)], constants=at_random(d, 1))


@operator("Unsqueeze", since=1)
def unsqueeze(d):
    shape = d.shape(0, 4)
    extra = d.int(1, 2)
    rank = len(shape) + extra
    axes = [a - (rank * d.int(0, 1) if d.opset >= 11 else 0) for a in d.permutation(rank)[:extra]]
    x = d.array(d.dtype(ALL), shape)
    if d.opset < 13:
        return Case([x], {"axes": sorted(axes) if d.opset < 11 else axes})
    return Case([x, int64(*axes)], constants=at_random(d, 1))


@operator("Transpose", since=1)
def transpose(d):
    shape = d.shape()
    # onnx.helper makes no attribute of an empty list.
    return Case([d.array(d.dtype(ALL), shape)],
                d.some(perm=d.permutation(len(shape))) if shape else {})


@operator("Expand", since=8)
def expand(d):
    a, b = d.broadcast(2)
    return Case([d.array(d.dtype(ALL), a), np.array(b, np.int64)], constants=at_random(d, 1))


@operator("Tile", since=6)
def tile(d):
    shape = d.shape(0, limit=60)
    repeats = np.array([d.pick([0, 1, 1, 2, 3]) for _ in shape], np.int64)
    return Case([d.array(d.dtype(ALL), shape), repeats], constants=at_random(d, 1))


@operator("Pad", since=11)
def pad(d):
    mode = d.pick(["constant", "constant", "reflect", "edge"] + (["wrap"] if d.opset >= 19 else []))
    shape = d.shape(1, 5, empty=0.04 if mode == "constant" else 0, limit=300)
    axes = d.axes(len(shape), 1) if d.opset >= 18 and d.maybe() else list(range(len(shape)))
    most = {"constant": 3, "edge": 3}
    begin = [d.int(-1 if d.maybe(0.2) and shape[a] > 2 else 0,
                   most.get(mode, max(0, shape[a] - 1))) for a in axes]
    end = [d.int(0, min(3, most.get(mode, max(0, shape[a] - 1)))) for a in axes]
    dtype = d.dtype(ALL)
    inputs = [d.array(dtype, shape), int64(*begin, *end)]
    if mode == "constant" and d.maybe() and dtype != "string":
        inputs.append(d.array(dtype, []))
    if d.opset >= 18 and (len(axes) != len(shape) or axes != sorted(axes) or d.maybe()):
        inputs += [None] * (3 - len(inputs)) + [int64(*axes)]
    return Case(inputs, {"mode": mode}, constants=at_random(d, 1))


@operator("Pad", since=2, until=10, variant="attributes")
def pad_by_attributes(d):
    shape = d.shape(1, 5, empty=0, limit=300)
    mode = d.pick(["constant", "reflect", "edge"])
    pads = [d.int(0, n - 1) for n in shape + shape]
    return Case([d.array(d.dtype(ALL), shape)],
                {"mode": mode, "pads": pads} | d.some(value=d.float(-2, 2)))


@operator("Trilu", since=14)
def trilu(d):
    shape = d.shape(2)
    inputs = [d.array(d.dtype(ALL[:-1]), shape)]
    if d.maybe(0.7):
        inputs.append(np.array(d.int(-7, 7), np.int64))
    return Case(inputs, d.some(upper=d.int(0, 1)))


@operator("DepthToSpace", since=1)
def depth_to_space(d):
    block = d.int(1, 3)
    shape = [d.dim(), d.int(1, 3) * block**2, d.dim(), d.dim()]
    mode = d.some(mode=d.pick(["DCR", "CRD"])) if d.opset >= 11 else {}
    return Case([d.array(d.dtype(ALL), shape)], {"blocksize": block} | mode)


@operator("SpaceToDepth", since=1)
def space_to_depth(d):
    block = d.int(1, 3)
    shape = [d.dim(), d.int(1, 3), d.int(1, 3) * block, d.int(1, 3) * block]
    return Case([d.array(d.dtype(ALL), shape)], {"blocksize": block})


@operator("CenterCropPad", since=18)
def center_crop_pad(d):
    shape = d.shape(1, 5, empty=0.02)
    axes = d.axes(len(shape), 1)
    given = d.some(axes=axes)
    count = len(axes) if given else len(shape)
    return Case([d.array(d.dtype(ALL[:-1]), shape), int64(*(d.int(1, 7) for _ in range(count)))],
                given, constants=at_random(d, 1))


@operator("Compress", since=9)
def compress(d):
    shape = d.shape(1)
    axis = d.some(axis=d.int(-len(shape) if d.opset >= 11 else 0, len(shape) - 1))
    size = shape[axis["axis"]] if axis else int(np.prod(shape))
    return Case([d.array(d.dtype(ALL), shape), d.array("bool", [d.int(0, size)])], axis)


@operator("ReverseSequence", since=10)
def reverse_sequence(d):
    shape = d.shape(2, 5, empty=0)
    time = d.int(0, 1)
    lengths = d.random.integers(1, shape[time] + 1, shape[1 - time]).astype(np.int64)
    return Case([d.array(d.dtype(ALL), shape), lengths],
                {"time_axis": time, "batch_axis": 1 - time})


@operator("Shape", since=1)
def shape_of(d):
    shape = d.shape()
    bounds = d.some(start=d.int(-7, 7), end=d.int(-7, 7)) if d.opset >= 15 else {}
    return Case([d.array(d.dtype(ALL), shape)], bounds)


@operator("Size", since=1)
def size_of(d):
    return Case([d.array(d.dtype(ALL), d.shape())])


@operator("NonZero", since=9)
def non_zero(d):
    return Case([d.array(d.dtype(ALL[:-1]), d.shape(1), -1, 1)])


@operator("Unique", since=11)
def unique(d):
    shape = d.shape(1, 4)
    dtype = d.dtype(("float", "double", "float16", "int64", "int8", "uint8", "int32", "string"))
    return Case([d.array(dtype, shape, 0, 2)],
                d.some(axis=d.axis(len(shape)), sorted=d.int(0, 1)), outputs=d.pick([1, 4]))


@operator("TensorScatter", since=24)
def tensor_scatter(d):
    shape = d.shape(3, 5, empty=0)
    axis = d.int(1, len(shape) - 1)
    update = list(shape)
    update[axis] = d.int(1, shape[axis])
    mode = d.pick(["linear", "circular"])
    most = shape[axis] - update[axis] if mode == "linear" else shape[axis] - 1
    places = d.random.integers(0, most + 1, shape[0]).astype(np.int64)
    dtype = d.dtype(ALL)
    return Case([d.array(dtype, shape), d.array(dtype, update), places if d.maybe(0.8) else None],
                {"mode": mode, "axis": axis - (len(shape) if d.maybe() else 0)})
