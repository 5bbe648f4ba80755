"""Casts and quantization."""
import numpy as np

import draw
from case import Case, operator
from draw import ALL, FLOAT8, FLOATS, NUMBERS, SMALL
from operators.window import windows

BYTES = ("int8", "uint8")
LOW = FLOAT8 + ("float4e2m1", "float6e2m3", "float6e3m2")


def code(name):
    return draw.onnx_code(draw.numpy_dtype(name))


@operator("Cast", since=6)
def cast(d):
    source, target = d.dtype(ALL, "T1"), d.dtype(ALL, "T2")
    if source == "string":
        shape = d.shape()
        x = np.empty(tuple(shape), object)
        x.reshape(-1)[:] = [d.pick(["0", "1", "7", "12", "100"]) for _ in range(x.size)]
    else:
        low = 0 if target.startswith("u") else -100
        whole = source in FLOATS and target == "string"  # formats of fractions differ
        x = d.array(source, d.shape(), low, 100, 0.3 if target in FLOATS else 0)
        x = np.trunc(x) + x.dtype.type(0) if whole else x
    return Case([x], {"to": code(target)})


@operator("Cast", since=19, variant="low")
def cast_low(d):
    target = d.dtype(LOW + SMALL + ("float8e8m0",), "T2")
    low, high = (0, 3) if target in SMALL else (-9, 9)
    x = d.array(d.dtype(FLOATS, "T1"), d.shape(), low, high, 0 if target in SMALL else 0.5)
    attributes = d.some(saturate=d.int(0, 1)) if target in FLOAT8 else {}
    if target == "float8e8m0":
        x = np.abs(x)
    return Case([x], {"to": code(target)} | attributes)


@operator("Cast", since=19, variant="from_low")
def cast_from_low(d):
    source = d.dtype(LOW + SMALL + ("float8e8m0",), "T1")
    x = d.array(source, d.shape(), 0.25 if source == "float8e8m0" else -9, 9)
    return Case([x], {"to": code(d.dtype(FLOATS, "T2"))})


@operator("CastLike", since=15)
def cast_like(d):
    source, target = (d.dtype(NUMBERS + ("bool",), t) for t in ("T1", "T2"))
    return Case([d.array(source, d.shape(), 0, 100), d.array(target, d.shape())])


@operator("BitCast", since=26)
def bit_cast(d):
    bits = d.pick([["float", "int32", "uint32"], ["double", "int64", "uint64"], list(BYTES),
                   ["float16", "bfloat16", "int16", "uint16"]])
    return Case([d.array(d.pick(bits), d.shape())], {"to": code(d.pick(bits))})


# ---- QuantizeLinear and DequantizeLinear

def granularity(d, shape, newest):
    """(shape of the scales, attributes): per tensor, per axis, or blocked."""
    ways = ["tensor"] + (["axis"] if shape else []) + (["block"] if newest and shape else [])
    way = d.pick(ways)
    axis = d.axis(len(shape)) if shape else 0
    if way == "tensor":
        return [] if d.maybe(0.7) else [1] if len(shape) == 1 and shape[0] == 1 else [], {}
    if way == "axis":
        return [shape[axis]], {"axis": axis}
    block = d.int(1, max(1, shape[axis]))
    scales = list(shape)
    scales[axis] = -(-shape[axis] // block)
    return scales, {"axis": axis, "block_size": block}


@operator("QuantizeLinear", since=10)
def quantize_linear(d):
    target = d.dtype(BYTES + ("int16", "uint16") + SMALL + LOW, "T3" if d.opset >= 23 else "T2")
    kind = d.dtype(FLOATS[:1] + ("float16",), "T1")
    shape = d.shape(0, 4, empty=0.02)
    scales, attributes = granularity(d, shape, d.opset >= 21) if d.opset >= 13 else ([], {})
    scale = d.array(kind if d.opset >= 19 else "float", scales, 0.05, 2)
    inputs = [d.array(kind, shape, -90, 90), scale]
    if target != "uint8" or d.maybe(0.8):
        zero = d.array(target, scales, 0, 0 if target in LOW else 1 if target in SMALL else 9)
        inputs.append(zero)
    return Case(inputs, attributes, constants=(1,) if d.maybe() else ())


@operator("DequantizeLinear", since=10)
def dequantize_linear(d):
    sources = BYTES + ("int16", "uint16", "int32") + SMALL + LOW
    source = d.dtype(sources, "T" if d.opset < 19 else "T1")
    shape = d.shape(0, 4, empty=0.02)
    scales, attributes = granularity(d, shape, d.opset >= 21) if d.opset >= 13 else ([], {})
    kind = d.dtype(("float", "float16"), "T2") if d.opset >= 19 else "float"
    low, high = (-3, 3) if source in LOW else (-99, 99)
    inputs = [d.array(source, shape, low, high), d.array(kind, scales, 0.05, 2)]
    if d.maybe(0.7) and source != "int32":
        inputs.append(d.array(source, scales, 0, 0 if source in LOW else 3))
    return Case(inputs, attributes, constants=(1,) if d.maybe() else ())


@operator("DynamicQuantizeLinear", since=11)
def dynamic_quantize(d):
    low = d.pick([-3, 0.5, -9])
    return Case([d.array("float", d.shape(), low, d.pick([4, 0.7]) if low > 0 else 4)], outputs=3,
                atol=1)


# ---- Integer products

def zero_point(d, dtype, shape=()):
    return d.array(dtype, shape, 0, 9)


@operator("MatMulInteger", since=10)
def matmul_integer(d):
    a, b = d.pick(BYTES), d.pick(BYTES)
    m, k, n = (d.int(1, 6) for _ in range(3))
    batch, other = d.broadcast(2, 2, empty=0)
    inputs = [d.array(a, [*batch, m, k], -99, 99), d.array(b, [*other, k, n], -99, 99)]
    if d.maybe(0.7):
        inputs.append(zero_point(d, a))
        if d.maybe(0.7):
            inputs.append(zero_point(d, b, [n] if d.maybe() and not other else []))
    return Case(inputs, constants=(1,) if d.maybe() else ())


@operator("ConvInteger", since=10)
def conv_integer(d):
    rank, group = d.pick([1, 2, 2, 3]), d.pick([1, 1, 2])
    sizes, kernel, attributes = windows(d, rank)
    a, b = d.pick(BYTES), d.pick(BYTES)
    channels, out = group * d.int(1, 2), group * d.int(1, 2)
    inputs = [d.array(a, [d.int(1, 2), channels, *sizes], -99, 99),
              d.array(b, [out, channels // group, *kernel], -99, 99)]
    if d.maybe(0.7):
        inputs.append(zero_point(d, a))
        inputs += [zero_point(d, b)] if d.maybe() else []
    return Case(inputs, attributes | {"group": group}, constants=(1,) if d.maybe() else ())


def scale(d, shape=(), low=0.05, high=0.5):
    return d.array("float", shape, low, high)


@operator("QLinearConv", since=10)
@operator("QLinearConv", domain="com.microsoft")
def qlinear_conv(d):
    rank, group = d.pick([1, 2, 2]), d.pick([1, 1, 2])
    sizes, kernel, attributes = windows(d, rank)
    channels, out = group * d.int(1, 2), group * d.int(1, 2)
    x, w = d.pick([("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")])
    per = [out] if d.maybe() else []
    inputs = [d.array(x, [d.int(1, 2), channels, *sizes], -99, 99), scale(d), zero_point(d, x),
              d.array(w, [out, channels // group, *kernel], -99, 99), scale(d, per),
              np.zeros(per, draw.numpy_dtype(w)) if w == "int8" else zero_point(d, w),
              scale(d, high=9), zero_point(d, x)]
    inputs += [d.array("int32", [out], -99, 99)] if d.maybe() else []
    return Case(inputs, attributes | {"group": group}, atol=1, rtol=0,
                constants=tuple(range(1, 8)) if d.maybe(0.7) else ())


@operator("QLinearMatMul", since=10)
def qlinear_matmul(d):
    m, k, n = (d.int(1, 6) for _ in range(3))
    a, b, y = d.pick([("uint8", "uint8", "uint8"), ("uint8", "int8", "uint8"),
                      ("int8", "int8", "int8")])
    batch = d.shape(0, 2, empty=0)
    per = [n] if d.maybe(0.3) else []
    inputs = [d.array(a, [*batch, m, k], -99, 99), scale(d), zero_point(d, a),
              d.array(b, [k, n], -99, 99), scale(d, per), zero_point(d, b, per),
              scale(d, high=9), zero_point(d, y)]
    return Case(inputs, atol=1, rtol=0, constants=tuple(range(1, 8)) if d.maybe(0.7) else ())


# ---- com.microsoft

MS = "com.microsoft"


def affine(d, dtype, shape, low=-99, high=99):
    """A quantized tensor, its scale and its zero point."""
    return [d.array(dtype, shape, low, high), scale(d), zero_point(d, dtype)]


@operator("QLinearAdd", "QLinearMul", domain=MS)
def qlinear_binary(d, name):
    dtype = d.pick(BYTES)
    a, b = d.broadcast(2, 4, empty=0)
    return Case([*affine(d, dtype, a), *affine(d, dtype, b), scale(d, high=5),
                 zero_point(d, dtype)], atol=1, rtol=0)


@operator("QLinearSigmoid", "QLinearLeakyRelu", domain=MS)
def qlinear_unary(d, name):
    dtype = d.pick(BYTES)
    return Case([*affine(d, dtype, d.shape(1, 4, empty=0)), scale(d, (), 0.005, 0.2),
                 zero_point(d, dtype)],
                {"alpha": d.float(0.01, 0.5)} if name == "QLinearLeakyRelu" else {}, atol=1, rtol=0,
                constants=(1, 2, 3, 4) if d.maybe() else ())


@operator("QLinearSoftmax", domain=MS)
def qlinear_softmax(d):
    dtype, shape = d.pick(BYTES), d.shape(1, 4, empty=0)
    opset = d.pick([11, 13])
    return Case([*affine(d, dtype, shape), np.array(1 / 256, np.float32),
                 np.array(0 if dtype == "uint8" else -128, draw.numpy_dtype(dtype))],
                {"axis": d.axis(len(shape)), "opset": opset}, atol=1, rtol=0,
                constants=(1, 2, 3, 4))


@operator("QLinearConcat", domain=MS)
def qlinear_concat(d):
    dtype, shape = d.pick(BYTES), d.shape(1, 4, empty=0)
    axis, inputs = d.axis(len(shape)), [scale(d), zero_point(d, dtype)]
    for _ in range(d.int(1, 3)):
        shape[axis] = d.int(1, 4)
        inputs += affine(d, dtype, shape)
    fixed = [i for i in range(len(inputs)) if i < 2 or i % 3 != 2]
    return Case(inputs, {"axis": axis}, atol=1, rtol=0, constants=tuple(fixed))


@operator("QLinearAveragePool", domain=MS)
def qlinear_average_pool(d):
    sizes, kernel, attributes = windows(d, d.pick([1, 2, 2]), dilations=False)
    dtype = d.pick(BYTES)
    attributes |= d.some(count_include_pad=d.int(0, 1))
    return Case([*affine(d, dtype, [d.int(1, 2), d.int(1, 3), *sizes]), scale(d),
                 zero_point(d, dtype)], attributes | {"kernel_shape": kernel}, atol=1, rtol=0)


@operator("QLinearGlobalAveragePool", domain=MS)
def qlinear_global_average_pool(d):
    dtype, last = d.pick(BYTES), d.int(0, 1)
    return Case([*affine(d, dtype, [d.int(1, 2), d.int(1, 4), d.int(1, 5), d.int(1, 5)]), scale(d),
                 zero_point(d, dtype)], {"channels_last": last}, atol=1, rtol=0)


@operator("QLinearWhere", domain=MS)
def qlinear_where(d):
    dtype = d.pick(BYTES)
    c, a, b = d.broadcast(3, 4, empty=0)
    return Case([d.array("bool", c), *affine(d, dtype, a), *affine(d, dtype, b), scale(d),
                 zero_point(d, dtype)], atol=1, rtol=0, constants=(2, 3, 5, 6, 7, 8))


@operator("QLinearReduceMean", domain=MS)
def qlinear_reduce_mean(d):
    dtype, shape = d.pick(BYTES), d.shape(1, 4, empty=0)
    axes, keep = d.axes(len(shape), 1), d.int(0, 1)
    inputs = [*affine(d, dtype, shape), scale(d), zero_point(d, dtype)]

    def mean():
        x, sx, zx, sy, zy = inputs
        real = (x.astype(np.float64) - zx) * sx
        real = real.mean(axis=tuple(axes), keepdims=bool(keep))
        info = np.iinfo(x.dtype)
        return [np.asarray(np.clip(np.rint(real / sy) + zy, info.min, info.max)).astype(x.dtype)]

    return Case(inputs, {"axes": axes, "keepdims": keep}, atol=1, rtol=0, numpy=mean)


@operator("QGemm", domain=MS)
def qgemm(d):
    m, k, n = (d.int(1, 5) for _ in range(3))
    ta, tb = d.int(0, 1), d.int(0, 1)
    a, b = d.pick([("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")])
    per = [n] if d.maybe(0.3) else []
    inputs = [d.array(a, [k, m] if ta else [m, k], -99, 99), scale(d), zero_point(d, a),
              d.array(b, [n, k] if tb else [k, n], -99, 99), scale(d, per), zero_point(d, b, per)]
    bias = d.array("int32", d.pick([[n], [m, n], [1, n], [1]]), -99, 99)
    inputs.append(bias if d.maybe() else None)
    inputs += [scale(d, high=9), zero_point(d, a)] if d.maybe() else []
    return Case(inputs, {"transA": ta, "transB": tb, "alpha": d.float(0.5, 1.5)}, atol=1, rtol=1e-4,
                constants=tuple(i for i in range(1, len(inputs)) if inputs[i] is not None))


@operator("DynamicQuantizeMatMul", "MatMulIntegerToFloat", domain=MS)
def quantized_matmul(d, name):
    m, k, n = (d.int(1, 6) for _ in range(3))
    b, a = d.pick(BYTES), "uint8"
    per = [n] if d.maybe(0.4) else []
    weights = [d.array(b, [k, n], -60, 60), scale(d, per)]  # onnxruntime's AVX2 pairs saturate
    if name == "DynamicQuantizeMatMul":
        inputs = [d.array("float", [*d.shape(0, 2, empty=0), m, k]), *weights]
        tail = [zero_point(d, b, per) if d.maybe() else None]
    else:
        inputs = [d.array(a, [m, k], -99, 99), weights[0], scale(d), weights[1]]
        tail = [zero_point(d, a) if d.maybe() else None,
                zero_point(d, b, per) if d.maybe() else None]
    tail.append(d.array("float", [n]) if d.maybe() else None)
    return Case(inputs + tail, rtol=1e-3, constants=(1,) if d.maybe() else ())


@operator("QuantizeLinear", domain=MS)
def quantize_ms(d):
    target = d.pick(BYTES + ("int16", "uint16"))
    shape = d.shape(0, 4, empty=0.02)
    scales, attributes = granularity(d, shape, False)
    return Case([d.array("float", shape, -90, 90), d.array("float", scales, 0.05, 2),
                 zero_point(d, target, scales)], attributes)


@operator("DequantizeLinear", domain=MS)
def dequantize_ms(d):
    source = d.pick(BYTES + ("int16", "uint16", "int32"))
    shape = d.shape(0, 4, empty=0.02)
    scales, attributes = granularity(d, shape, False)
    inputs = [d.array(source, shape, -99, 99), d.array("float", scales, 0.05, 2)]
    inputs += [] if source == "int32" else [zero_point(d, source, scales)]
    return Case(inputs, attributes)


@operator("MatMulNBits", domain=MS)
def matmul_nbits(d):
    bits, block = d.pick([4, 4, 8]), d.pick([16, 32])
    n, k = d.int(1, 5), d.pick([8, 16, 31, 48])
    blocks, m = -(-k // block), [*d.shape(0, 2, empty=0), d.int(1, 3)]
    inputs = [d.array("float", [*m, k]), d.array("uint8", [n, blocks, block * bits // 8], 0, 255),
              d.array("float", [n, blocks], 0.05, 0.5)]
    if d.maybe():
        inputs.append(d.array("uint8", [n, -(-blocks * bits // 8)], 0, 255))
    return Case(inputs, {"N": n, "K": k, "bits": bits, "block_size": block}, rtol=1e-4,
                constants=tuple(range(1, len(inputs))))


@operator("GatherBlockQuantized", domain=MS)
def gather_block_quantized(d):
    dtype, rows, blocks = d.pick(["uint4", "int4"]), d.int(1, 5), d.int(1, 2)
    data = d.array(dtype, [rows, blocks * 16])
    inputs = [data, d.indices(d.shape(0, 2, empty=0), rows),
              d.array("float", [rows, blocks], 0.05, 1)]
    zero = d.array(dtype, [rows, blocks]) if d.maybe() else None
    inputs += [] if zero is None else [zero]
    return Case(inputs, {"block_size": 16, "gather_axis": 0, "quantize_axis": 1},
                constants=tuple(i for i in (0, 2, 3) if i < len(inputs)))


@operator("DynamicQuantizeLSTM", domain=MS)
def dynamic_quantize_lstm(d):
    direction = d.pick(["forward", "reverse", "bidirectional"])
    ways = 2 if direction == "bidirectional" else 1
    steps, batch, size, hidden = d.int(1, 3), d.int(1, 2), d.int(1, 4), d.int(1, 4)
    w = d.pick(BYTES)
    inputs = [d.array("float", [steps, batch, size], -1, 1),
              *(d.array(w, [ways, n, 4 * hidden], -60, 60) for n in (size, hidden)),
              d.array("float", [ways, 8 * hidden], -1, 1) if d.maybe() else None,
              d.random.integers(1, steps + 1, batch).astype(np.int32) if d.maybe(0.3) else None,
              d.array("float", [ways, batch, hidden], -1, 1) if d.maybe() else None,
              d.array("float", [ways, batch, hidden], -1, 1) if d.maybe() else None, None,
              scale(d, [ways], 0.01, 0.02), np.zeros(ways, draw.numpy_dtype(w)),
              scale(d, [ways], 0.01, 0.02), np.zeros(ways, draw.numpy_dtype(w))]
    return Case(inputs, {"hidden_size": hidden, "direction": direction}, outputs=3, rtol=1e-2,
                constants=(1, 2, 8, 9, 10, 11))
