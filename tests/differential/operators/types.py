"""Element types that the other files leave out: of few bits, halves, wide integers, texts."""
import numpy as np

import draw
from case import Case, operator
from draw import ALL, FLOAT8, FLOATS, INTEGERS, SMALL
from operators.movement import at_random, int64
from operators.quantize import BYTES, LOW, code, scale, zero_point
from operators.window import windows

FEW = SMALL + FLOAT8 + ("float4e2m1", "float8e8m0")


def few(d, shape, of="T"):
    """Elements of few bits, of a type that the version allows."""
    return d.array(d.dtype(FEW, of), shape, 0.5, 3)


# ---- Movement

@operator("Identity", since=21, variant="few")
def identity(d):
    x = few(d, d.shape(), "V")
    return Case([x], numpy=lambda: [x])


@operator("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", since=21, variant="few")
def moved(d, name):
    shape = d.shape(1, 4)
    x = few(d, shape)
    if name == "Reshape":
        return Case([x, int64(-1)], constants=at_random(d, 1), numpy=lambda: [x.reshape(-1)])
    if name == "Flatten":
        axis = d.int(0, len(shape))
        rows = int(np.prod(shape[:axis]))
        columns = int(np.prod(shape[axis:]))
        return Case([x], {"axis": axis}, numpy=lambda: [x.reshape(rows, columns)])
    if name == "Squeeze":
        return Case([x], numpy=lambda: [x.squeeze()])
    if name == "Unsqueeze":
        axis = d.axis(len(shape) + 1)
        return Case([x, int64(axis)], constants=at_random(d, 1),
                    numpy=lambda: [np.expand_dims(x, axis)])
    perm = d.permutation(len(shape))
    return Case([x], {"perm": perm}, numpy=lambda: [x.transpose(perm)])


@operator("Shape", "Size", since=21, variant="few")
def sizes(d, name):
    shape = d.shape(0, 4)
    x = few(d, shape)
    return Case([x], numpy=lambda: [np.array(shape if name == "Shape" else x.size, np.int64)])


@operator("Pad", since=21, variant="few")
def pad(d):
    shape = d.shape(1, 4)
    pads = np.array([d.int(0, 2) for _ in shape + shape])
    x = few(d, shape)
    fill = x.reshape(-1)[:1].reshape([]) if x.size and d.maybe() else None
    pairs = list(zip(pads[: len(shape)], pads[len(shape):]))
    return Case([x, pads.astype(np.int64), fill], constants=at_random(d, 1), numpy=lambda: [
        np.pad(x, pairs, constant_values=np.zeros([], x.dtype) if fill is None else fill)])


@operator("Pad", since=18, variant="axes")
def pad_axes(d):
    dtype, shape = d.dtype(ALL), d.shape(1, 4, empty=0)
    axes = d.axes(len(shape), 1)
    mode = d.pick(["constant", "edge"])
    pads = int64(*(d.int(-1 if mode == "constant" and shape[a] > 2 else 0, 2) for a in axes + axes))
    x, fill = d.array(dtype, shape), d.array(dtype, []) if mode == "constant" else None
    pairs, cut = [(0, 0)] * len(shape), [slice(None)] * len(shape)
    for axis, before, after in zip(axes, pads, pads[len(axes):]):
        pairs[axis] = max(0, before), max(0, after)
        cut[axis] = slice(max(0, -before), shape[axis] - max(0, -after))
    value = {} if fill is None else {"constant_values": fill}
    return Case([x, pads, fill, np.array(axes, d.pick([np.int32, np.int64]))], {"mode": mode},
                constants=at_random(d, 1, 3),
                numpy=lambda: [np.pad(x[tuple(cut)], pairs, mode, **value)])


@operator("Compress", "Tile", "Expand", "Slice", "Gather", "Concat", "Where", since=13,
          variant="types")
def taken(d, name):
    x = d.array(d.dtype(("bfloat16", "complex64", "complex128", "bool")), d.shape(1, 3, empty=0))
    n = x.shape[0]
    if name == "Compress":
        keep = d.array("bool", [n])
        return Case([x, keep], {"axis": 0}, numpy=lambda: [x[keep]])
    if name == "Tile":
        return Case([x, int64(*[2] * x.ndim)], numpy=lambda: [np.tile(x, [2] * x.ndim)])
    if name == "Expand":
        return Case([x, int64(2, *x.shape)], numpy=lambda: [np.broadcast_to(x, (2, *x.shape))])
    if name == "Slice":
        return Case([x, int64(-1), int64(-99), int64(0), int64(-1)], numpy=lambda: [x[::-1]])
    if name == "Gather":
        index = d.indices([3], n)
        return Case([x, index], numpy=lambda: [x[index]])
    if name == "Concat":
        return Case([x, x], {"axis": -1}, numpy=lambda: [np.concatenate([x, x], -1)])
    choice = d.array("bool", x.shape)
    other = x[::-1].copy()
    return Case([choice, x, other], numpy=lambda: [np.where(choice, x, other)])


@operator("Trilu", since=14, variant="texts")
def trilu(d):
    x = d.array("string", d.shape(2, 4, empty=0))
    k = d.int(-2, 2)
    inside = np.tri(*x.shape[-2:], k, dtype=bool)
    return Case([x, np.array(k, np.int64)], {"upper": 0},
                numpy=lambda: [np.where(inside, x, np.array("", object))])


@operator("CenterCropPad", since=18, variant="int32")
def center_crop_pad(d):
    shape = d.shape(1, 4, empty=0)
    wanted = np.array([d.int(1, 6) for _ in shape], np.int32)
    return Case([d.array(d.dtype(ALL), shape), wanted], constants=at_random(d, 1))


@operator("NonZero", since=9, variant="texts")
def non_zero(d):
    x = d.array("string", d.shape(1, 3))
    return Case([x], numpy=lambda: [np.array(np.nonzero(x != ""), np.int64)])


@operator("Unique", since=11, variant="types")
def unique(d):
    x = d.array(d.dtype(("bool", "int16", "uint16", "uint32", "uint64", "float16", "bfloat16",
                         "complex64", "complex128")), [d.int(0, 9)], 0, 3)
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    x = np.round(x.astype(wide)).astype(x.dtype)

    def found():
        values, first, inverse, counts = np.unique(
            x.astype(wide), return_index=True, return_inverse=True, return_counts=True)
        return [values.astype(x.dtype), first, inverse, counts]

    return Case([x], outputs=4, numpy=found)


@operator("SplitToSequence", since=11, variant="types")
def split_to_sequence(d):
    x = d.array(d.dtype(("bool", "int8", "uint16", "uint64", "float16", "string")),
                [d.int(1, 5), d.int(1, 3)])
    return Case([x, np.array(1, np.int64)], numpy=lambda: [[x[i: i + 1] for i in range(len(x))]])


@operator("OneHot", since=9, variant="types")
def one_hot(d):
    kind, depths = d.dtype(INTEGERS + FLOATS[:3], "T1"), d.dtype(INTEGERS + FLOATS[:3], "T2")
    values = d.array(d.dtype(ALL, "T3"), [2])
    index, depth = d.random.integers(0, 5, d.shape(1, 3, limit=60)), d.int(1, 5)

    def hot():
        y = np.full((*index.shape, depth), values[0], values.dtype)
        for at in np.ndindex(*index.shape):
            if index[at] < depth:
                y[(*at, index[at])] = values[1]
        return [y]

    return Case([index.astype(draw.numpy_dtype(kind)),
                 np.array(depth).astype(draw.numpy_dtype(depths)), values],
                constants=at_random(d, 1), numpy=hot)


@operator("TensorScatter", since=24, variant="few")
def tensor_scatter(d):
    batch, length, width = d.int(1, 2), d.int(2, 6), d.int(1, 3)
    dtype = d.dtype(FEW + ("complex64", "string", "bool"))
    past = d.array(dtype, [batch, length, width], 0.5, 3)
    new = d.array(dtype, [batch, 1, width], 0.5, 3)
    at = d.random.integers(0, length, batch).astype(np.int64)

    def written():
        y = past.copy()
        for b in range(batch):
            y[b, at[b]] = new[b, 0]
        return [y]

    return Case([past, new, at], {"axis": 1}, numpy=written)


@operator("ScatterElements", "Scatter", since=9, variant="int32")
def scatter(d, name):
    x = d.array(d.dtype(ALL), [d.int(1, 5), d.int(1, 3)])
    index = np.stack([d.random.permutation(x.shape[0]) for _ in range(x.shape[1])], 1)
    updates = d.array("float", x.shape).astype(x.dtype) if x.dtype != object else x[::-1].copy()

    def written():
        y = x.copy()
        np.put_along_axis(y, index, updates, 0)
        return [y]

    return Case([x, index.astype(np.int32), updates], {"axis": 0}, numpy=written)


# ---- Casts

@operator("BitCast", since=26, variant="few")
def bit_cast(d):
    same = d.pick([["uint4", "int4", "float4e2m1"], ["uint2", "int2"],
                   [*BYTES, *FLOAT8, "float8e8m0", "bool"]])
    source, target = d.pick(same), d.pick(same)
    x = d.array(source, d.shape(), 0.5, 1.5)
    if target == "bool":
        x = d.array("bool", d.shape()).view(draw.numpy_dtype(source))
    return Case([x], {"to": code(target)}, numpy=lambda: [x.view(draw.numpy_dtype(target))])


@operator("CastLike", since=19, variant="few")
def cast_like(d):
    source, target = d.dtype(FLOATS, "T1"), d.dtype(FEW, "T2")
    x = d.array(source, d.shape(), 1, 2) if target == "float8e8m0" else np.trunc(
        d.array(source, d.shape(), 0, 2))
    attributes = d.some(saturate=d.int(0, 1)) if target in FLOAT8 else {}
    other = d.array(target, d.shape(), 0.5, 2)
    return Case([x, other], attributes)


@operator("Cast", since=24, variant="round_mode")
def cast_round_mode(d):
    x = d.array(d.dtype(FLOATS, "T1"), d.shape(), 0.01, 300)
    return Case([x], {"to": code("float8e8m0"), "round_mode": d.pick(["up", "down", "nearest"])} |
                d.some(saturate=d.int(0, 1)))


@operator("IsNaN", "IsInf", since=20, variant="few")
def is_odd(d, name):
    x = d.array(d.dtype(FLOAT8, "T1"), d.shape(), -9, 9, 0.9)
    test = np.isnan if name == "IsNaN" else np.isinf
    return Case([x], numpy=lambda: [test(x.astype(np.float32))])


# ---- Quantization

@operator("QuantizeLinear", since=23, variant="options")
def quantize_linear(d):
    target = d.dtype(BYTES + ("int16", "uint16") + SMALL + LOW, "T3")
    kind = d.dtype(("float", "float16", "bfloat16", "int32"), "T1")
    by = "float" if kind == "int32" else d.dtype((kind, "float"), "T2")
    shape = d.shape(1, 3, empty=0)
    inputs = [d.array(kind, shape, -9, 9), d.array(by, [], 0.3, 2)]
    attributes = {"output_dtype": code(target)} | d.some(precision=code(d.pick(["float", by])))
    attributes |= d.some(saturate=d.int(0, 1)) if target in FLOAT8 else {}
    return Case(inputs, attributes)


@operator("DequantizeLinear", since=23, variant="options")
def dequantize_linear(d):
    source = d.dtype(BYTES + ("int16", "uint16", "int32") + SMALL + LOW, "T1")
    by, target = (d.dtype(("float", "float16", "bfloat16"), t) for t in ("T2", "T3"))
    shape = d.shape(1, 3, empty=0)
    low, high = (-3, 3) if source in LOW else (-99, 99)
    inputs = [d.array(source, shape, low, high), d.array(by, [], 0.05, 2)]
    zeros = d.maybe() and source not in ("int32",) + LOW
    inputs += [d.array(source, [], 0, 1)] if zeros else []

    def real():
        x, s = (t.astype(np.float32) for t in inputs[:2])
        z = inputs[2].astype(np.float32) if zeros else np.float32(0)
        return [((x - z) * s).astype(draw.numpy_dtype(target))]

    return Case(inputs, {"output_dtype": code(target)}, numpy=real, rtol=2e-2)


@operator("QLinearMatMul", since=21, variant="halves")
def qlinear_matmul(d):
    m, k, n = (d.int(1, 5) for _ in range(3))
    dtype = d.pick(BYTES)
    by = draw.numpy_dtype(d.dtype(("float16", "bfloat16", "float"), "TS"))
    a, b = d.array(dtype, [m, k], -99, 99), d.array(dtype, [k, n], -99, 99)
    sa, sb, sy = (np.asarray(v).astype(by) for v in (0.125, 0.25, 4.0))
    za, zb, zy = (zero_point(d, dtype) for _ in range(3))

    def product():
        whole = (a.astype(np.int64) - za) @ (b.astype(np.int64) - zb)
        y = np.rint(whole * 0.125 * 0.25 / 4) + zy
        info = np.iinfo(a.dtype)
        return [np.clip(y, info.min, info.max).astype(a.dtype)]

    return Case([a, sa, za, b, sb, zb, sy, zy], numpy=product, atol=1, rtol=0)


# ---- Windows, spectra and the rest

@operator("Col2Im", since=18, variant="types")
def col2im(d):
    shape = [1, d.int(1, 2) * 2, 3]
    x = d.array(d.dtype(INTEGERS + ("bool", "complex64")), shape, 0, 9)

    def image():
        y = np.zeros((1, shape[1] // 2, 4), x.dtype)
        for tap in range(2):
            for at in range(3):
                y[:, :, at + tap] += x[:, tap::2, at]
        return [y]

    return Case([x, int64(4), int64(2)], numpy=image)


@operator("GridSample", since=16, variant="types")
def grid_sample(d):
    dtype = d.dtype(INTEGERS + ("bool", "string", "complex64"), "T1")
    x = d.array(dtype, [1, 1, d.int(1, 4), d.int(1, 4)], 0, 99)
    corners = d.int(0, 1)
    grid = d.array("float", [1, 2, 3, 2], -1.2, 1.2)

    def sampled():
        sizes = np.array(x.shape[:1:-1])
        at = (grid + 1) / 2 * (sizes - 1) if corners else ((grid + 1) * sizes - 1) / 2
        at = np.rint(at).astype(int)
        y = np.full((1, 1, 2, 3), "" if dtype == "string" else 0, x.dtype)
        for row, column in np.ndindex(2, 3):
            a, b = at[0, row, column]
            if 0 <= a < sizes[0] and 0 <= b < sizes[1]:
                y[0, 0, row, column] = x[0, 0, b, a]
        return [y]

    return Case([x, grid], {"mode": "nearest", "align_corners": corners}, numpy=sampled)


@operator("Resize", since=11, variant="types")
def resize(d):
    dtype = d.dtype(("bool", "bfloat16", "int16", "uint16", "int64", "uint32", "uint64", "string"),
                    "T1")
    shape = [d.int(1, 4) for _ in range(d.int(1, 3))]
    x = d.array(dtype, shape, 0, 99)
    given = [x, np.zeros(0, np.float32) if d.opset < 13 else None, np.full(len(shape), 2, np.float32)]
    y = x
    for axis in range(x.ndim):
        y = np.repeat(y, 2, axis)
    return Case(given, {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
                        "nearest_mode": "floor"}, numpy=lambda: [y], constants=(2,))


@operator("DFT", "STFT", since=17, variant="types")
def spectrum(d, name):
    dtype = d.dtype(("float16", "bfloat16", "float", "double"), "T1")
    kind = d.pick([np.int32, np.int64])
    if name == "DFT":
        x, length = d.array(dtype, [1, d.int(1, 6), 1], -1, 1), d.int(1, 7)
        y = np.fft.fft(x[..., 0].astype(np.float64), length, axis=1)
        inputs = [x, np.array(length, kind)]
    else:
        frame, step = d.int(2, 4), d.int(1, 3)
        x = d.array(dtype, [1, d.int(6, 9), 1], -1, 1)
        rows = [x[:, i: i + frame, 0] for i in range(0, x.shape[1] - frame + 1, step)]
        y = np.stack([np.fft.rfft(r.astype(np.float64), frame) for r in rows], 1)
        inputs = [x, np.array(step, kind), None, np.array(frame, kind)]
    pairs = np.stack([y.real, y.imag], -1).astype(x.dtype)
    return Case(inputs, numpy=lambda: [pairs],
                rtol={"float16": 2e-2, "bfloat16": 6e-2}.get(dtype, 1e-5), constants=(1,))


@operator("MelWeightMatrix", "HannWindow", since=17, variant="types")
def generated(d, name):
    target = d.dtype(FLOATS + INTEGERS, "T3" if name == "MelWeightMatrix" else "T2")
    given = {"output_datatype": code(target)}
    rtol = {"float16": 1e-2, "bfloat16": 3e-2}.get(target, 1e-5)
    if name == "HannWindow":
        return Case([np.array(d.int(2, 9), np.int64)], given, atol=rtol)
    kind = draw.numpy_dtype(d.dtype(FLOATS, "T2"))
    return Case([np.array(v, np.int64) for v in (4, 32, 8000)] +
                [np.asarray(v).astype(kind) for v in (0.0, 4000.0)], given, atol=rtol)


@operator("Einsum", since=12, variant="types")
def einsum(d):
    dtype = d.dtype(("int8", "uint8", "int16", "uint16", "uint32", "uint64", "float16"))
    a, b = d.array(dtype, [d.int(1, 4), 3], 0, 5), d.array(dtype, [3, d.int(1, 4)], 0, 5)
    wide = (a.astype(np.float64) @ b.astype(np.float64)).astype(a.dtype)
    return Case([a, b], {"equation": "ij,jk->ik"}, numpy=lambda: [wide])


@operator("Optional", "OptionalGetElement", "OptionalHasElement", since=15, variant="types")
def optional(d, name):
    x = d.array(d.pick(FEW + ("bfloat16", "complex64")), d.shape(0, 3), 0.5, 3)
    if name == "OptionalHasElement":
        return Case([x], numpy=lambda: [np.array(True)])
    return Case([x], numpy=lambda: [x])


@operator("ConvTranspose", since=1, variant="output_shape")
def conv_transpose(d):
    rank, group = d.pick([1, 2]), d.pick([1, 2, 3])
    sizes, kernel, attributes = windows(d, rank, dilations=False)
    attributes.pop("pads", None)
    if attributes.get("auto_pad") in ("VALID", "NOTSET"):
        del attributes["auto_pad"]
    strides = attributes.get("strides", [1] * rank)
    full = [(n - 1) * s + k for n, s, k in zip(sizes, strides, kernel)]
    channels = group * d.int(1, 2)
    attributes["output_shape"] = [d.int(max(1, f - k + 1), f) for f, k in zip(full, kernel)]
    inputs = [d.array("float", [1, channels, *sizes]),
              d.array("float", [channels, d.int(1, 2), *kernel])]
    return Case(inputs, attributes | {"group": group} | d.some(kernel_shape=kernel))
