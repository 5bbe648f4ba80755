"""com.microsoft in floats, and the operators that ONNX has removed."""
import numpy as np

import draw
from case import Case, operator
from operators.quantize import MS
from operators.window import windows

FLOAT = ("float",)
RTOL = 1e-4


def floats(d, *shapes, low=-2.0, high=2.0):
    return [d.array("float", s, low, high) for s in shapes]


@operator("Gelu", "QuickGelu", "FastGelu", "BiasGelu", domain=MS)
def gelu(d, name):
    shape = d.shape(1, empty=0)
    inputs = floats(d, shape, low=-5, high=5)
    if name == "BiasGelu" or name == "FastGelu" and d.maybe():
        inputs += floats(d, shape[-1:])
    return Case(inputs, d.some(alpha=d.float(0.5, 2)) if name == "QuickGelu" else {}, rtol=RTOL,
                atol=1e-5)


@operator("FusedConv", domain=MS)
def fused_conv(d):
    rank = 2
    sizes, kernel, attributes = windows(d, rank)
    channels, out = d.int(1, 3), d.int(1, 3)
    kinds = {"Relu": [], "Tanh": [], "Sigmoid": [], "LeakyRelu": [d.float(0.01, 0.5)],
             "Clip": [-0.5, 1.5], "HardSigmoid": [0.3, 0.4]}
    kind = d.pick(list(kinds))
    attributes |= {"activation": kind} | ({"activation_params": kinds[kind]} if kinds[kind] else {})
    inputs = floats(d, [1, channels, *sizes], [out, channels, *kernel])
    return Case(inputs + (floats(d, [out]) if d.maybe() else []), attributes, rtol=RTOL)


@operator("FusedGemm", domain=MS)
def fused_gemm(d):
    m, k, n = (d.int(1, 5) for _ in range(3))
    ta, tb = d.int(0, 1), d.int(0, 1)
    inputs = floats(d, [k, m] if ta else [m, k], [n, k] if tb else [k, n])
    inputs += floats(d, d.pick([[n], [m, n], [1, n], [m, 1]])) if d.maybe() else []
    kind = d.pick(["Relu", "LeakyRelu", "Tanh", "Sigmoid", ""])
    given = {"activation": kind} if kind else {}
    return Case(inputs, {"transA": ta, "transB": tb} | given | (
        {"activation_alpha": 0.3} if kind == "LeakyRelu" else {}) |
        d.some(alpha=d.float(0.5, 2), beta=d.float(0.5, 2)), rtol=RTOL)


@operator("FusedMatMul", "TransposeMatMul", domain=MS)
def fused_matmul(d, name):
    m, k, n = (d.int(1, 5) for _ in range(3))
    batch = d.shape(0, 2, empty=0)
    ta, tb = d.int(0, 1), d.int(0, 1)
    inputs = floats(d, [*batch, k, m] if ta else [*batch, m, k],
                    [*batch, n, k] if tb else [*batch, k, n])
    return Case(inputs, {"transA": ta, "transB": tb} | d.some(alpha=d.float(0.5, 2)), rtol=RTOL)


@operator("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MS)
def skip_normalization(d, name):
    batch, length, size = d.int(1, 3), d.int(1, 3), d.int(2, 8)
    skips = [[batch, length, size]] + ([[1, length, size], [length, size]] if d.maybe() else [])
    inputs = floats(d, [batch, length, size], d.pick(skips), [size])
    if name == "SkipLayerNormalization":
        inputs.append(d.array("float", [size]) if d.maybe() else None)
    inputs.append(d.array("float", [size]) if d.maybe() else None)
    return Case(inputs, {"epsilon": d.pick([1e-5, 1e-3])}, outputs=1, rtol=1e-3)


@operator("SimplifiedLayerNormalization", variant="removed")
@operator("LayerNormalization", "SimplifiedLayerNormalization", domain=MS)
def removed_normalization(d, name):
    shape = d.shape(1, 4, empty=0)
    inputs = floats(d, shape, shape[-1:])
    inputs += floats(d, shape[-1:]) if name == "LayerNormalization" and d.maybe() else []
    epsilon = d.pick([1e-5, 1e-3])

    def normalized():
        x = inputs[0] - (inputs[0].mean(-1, keepdims=True) if name == "LayerNormalization" else 0)
        y = x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * inputs[1]
        return [(y + (inputs[2] if len(inputs) > 2 else 0)).astype(np.float32)]

    return Case(inputs, {"axis": -1, "epsilon": epsilon}, rtol=1e-3, numpy=normalized)


@operator("EmbedLayerNormalization", domain=MS)
def embed_layer_normalization(d):
    batch, length, size, words = d.int(1, 3), d.int(1, 4), d.int(2, 6), d.int(3, 9)
    ids = d.indices([batch, length], words, "int32", False)
    segments = d.indices([batch, length], 2, "int32", False) if d.maybe(0.7) else None
    inputs = [ids, segments, *floats(d, [words, size], [length + 2, size]),
              d.array("float", [2, size]) if segments is not None else None,
              *floats(d, [size], [size]),
              d.random.integers(0, 2, (batch, length)).astype(np.int32) if d.maybe() else None]
    return Case(inputs, {"epsilon": 1e-5}, outputs=2 if inputs[-1] is not None else 1, rtol=1e-3)


# ---- Attention

@operator("Attention", domain=MS)
def attention(d):
    heads, size, batch, length = d.int(1, 3), d.int(1, 4), d.int(1, 3), d.int(1, 5)
    hidden, width = heads * size, d.int(1, 6)
    inputs = floats(d, [batch, length, width], [width, 3 * hidden], [3 * hidden])
    if d.maybe():
        lengths = d.random.integers(1, length + 1, batch).astype(np.int32)
        inputs.append(d.pick([lengths, (np.arange(length) < lengths[:, None]).astype(np.int32)]))
    return Case(inputs, {"num_heads": heads} | d.some(unidirectional=d.int(0, 1),
                                                      scale=d.float(0.2, 1)), rtol=1e-3)


@operator("QAttention", domain=MS)
def qattention(d):
    heads, size, batch, length = d.int(1, 2), d.int(1, 4), d.int(1, 2), d.int(1, 4)
    hidden, width = heads * size, d.int(1, 6)
    scales = floats(d, [], [], low=0.001, high=0.02)
    inputs = [d.array("uint8", [batch, length, width], 0, 255),
              d.array("int8", [width, 3 * hidden], -60, 60), *floats(d, [3 * hidden]), *scales, None, d.array("uint8", [], 0, 200), np.array(0, np.int8)]
    return Case(inputs, {"num_heads": heads} | d.some(unidirectional=d.int(0, 1)), rtol=1e-3,
                constants=(1,))


@operator("MultiHeadAttention", domain=MS)
def multi_head_attention(d):
    heads, size, batch = d.int(1, 3), d.int(1, 4), d.int(1, 3)
    queries, keys, width = d.int(1, 4), d.int(1, 5), d.int(1, 4)
    inputs = floats(d, [batch, queries, heads * size], [batch, keys, heads * size],
                    [batch, keys, heads * width])
    inputs.append(d.array("float", [heads * (2 * size + width)]) if d.maybe() else None)
    mask = None
    if d.maybe(0.4):
        lengths = d.random.integers(1, keys + 1, batch)
        mask = (np.arange(keys) < lengths[:, None]).astype(np.int32)
    inputs += [mask, d.array("float", [d.pick([1, batch]), d.pick([1, heads]), queries, keys])
               if d.maybe(0.4) else None]
    return Case(inputs, {"num_heads": heads} | d.some(scale=d.float(0.2, 1)), rtol=1e-3)


@operator("GroupQueryAttention", domain=MS)
def group_query_attention(d):
    kv, size, batch = d.int(1, 2), 16, d.int(1, 2)
    heads, length, past = kv * d.int(1, 2), d.int(1, 4), d.int(0, 3)
    prompt = past == 0
    if not prompt:
        length = 1
    inputs = floats(d, [batch, length, heads * size], *[[batch, length, kv * size]] * 2,
                    *[[batch, kv, past, size]] * 2)
    inputs += [np.full(batch, past + length - 1, np.int32), np.array(past + length, np.int32)]
    attributes = {"num_heads": heads, "kv_num_heads": kv}
    if d.maybe():
        inputs += floats(d, *[[8, size // 2]] * 2, low=-1, high=1)
        attributes |= {"do_rotary": 1} | d.some(rotary_interleaved=d.int(0, 1))
    attributes |= d.some(local_window_size=d.int(1, 4), softcap=d.float(0.5, 3),
                         scale=d.float(0.1, 1))
    return Case(inputs, attributes, outputs=3, rtol=1e-3)


@operator("RotaryEmbedding", domain=MS)
def rotary_embedding(d):
    heads, size, batch, length, most = d.int(1, 3), d.int(1, 3) * 4, d.int(1, 3), d.int(1, 4), 8
    rank4 = d.maybe()
    x = [batch, heads, length, size] if rank4 else [batch, length, heads * size]
    places = np.array([d.int(0, 4)], np.int64) if d.maybe() else d.indices([batch, length], most,
                                                                         negative=False)
    attributes = d.some(interleaved=d.int(0, 1), scale=1.0)
    inputs = [*floats(d, x), places, *floats(d, *[[most, size // 2]] * 2, low=-1, high=1)]
    return Case(inputs, attributes, rtol=RTOL)


# ---- Others

@operator("Inverse", domain=MS)
def inverse(d):
    n = d.int(1, 4)
    x = d.array("float", [*d.shape(0, 2, empty=0), n, n]) + 4 * np.eye(n, dtype=np.float32)
    return Case([x], numpy=lambda: [np.linalg.inv(x)], rtol=1e-3)


@operator("CDist", domain=MS)
def cdist(d):
    kind, width = d.pick(["float", "double"]), d.int(1, 4)
    inputs = [d.array(kind, [d.int(1, 5), width]) for _ in "AB"]
    return Case(inputs, d.some(metric=d.pick(["sqeuclidean", "euclidean"])), rtol=1e-3, atol=1e-3)


@operator("Trilu", domain=MS)
def trilu(d):
    inputs = [d.array(d.pick(["float", "double", "int64"]), d.shape(2, 5, empty=0))]
    inputs += [np.array(d.int(-5, 5), np.int64)] if d.maybe() else []
    return Case(inputs, d.some(upper=d.int(0, 1)))


@operator("GatherND", domain=MS)
def gather_nd(d):
    shape = d.shape(1, 4, empty=0)
    last, outer = d.int(1, len(shape)), d.shape(1, 2, empty=0)
    index = np.stack([d.indices(outer, shape[i], negative=False) for i in range(last)], -1)
    return Case([d.array("float", shape), index.astype(d.pick([np.int32, np.int64]))])


@operator("Pad", domain=MS)
def pad(d):
    shape = d.shape(1, 4, empty=0)
    mode = d.pick(["constant", "reflect", "edge"])
    pads = np.array([d.int(0, 2 if mode != "reflect" else n - 1) for n in shape + shape], np.int64)
    inputs = [d.array("float", shape), pads if d.maybe() else pads[None]]
    inputs += [np.array([d.float(-1, 1)], np.float32)] if mode == "constant" and d.maybe() else []
    return Case(inputs, {"mode": mode})


@operator("Unique", domain=MS)
def unique(d):
    return Case([d.array("float", [d.int(0, 9)], 0, 3).round()], outputs=3)


@operator("ExpandDims", domain=MS)
def expand_dims(d):
    shape = d.shape(0, 5)
    return Case([d.array(d.pick(["float", "int64", "string"]), shape),
                 np.array(d.axis(len(shape) + 1), np.int32)], constants=(1,) if d.maybe() else ())


@operator("Range", domain=MS)
def range_(d):
    kind = draw.numpy_dtype(d.pick(["float", "double", "int16", "int32", "int64"]))
    up = d.maybe()
    given = [np.array(v, kind) for v in ((0, d.int(1, 9)) if up else (d.int(1, 9), 0))]
    return Case(given + ([np.array(d.int(1, 3) * (1 if up else -1), kind)] if d.maybe() or not up
                         else []))


@operator("GridSample", domain=MS)
def grid_sample(d):
    batch = d.int(1, 2)
    return Case(floats(d, [batch, d.int(1, 3), d.int(1, 5), d.int(1, 5)],
                       [batch, d.int(1, 4), d.int(1, 4), 2], low=-1.3, high=1.3),
                d.some(align_corners=d.int(0, 1), mode=d.pick(["bilinear", "nearest", "bicubic"]),
                       padding_mode=d.pick(["zeros", "border", "reflection"])), rtol=1e-4)


@operator("ConvTransposeWithDynamicPads", domain=MS)
def conv_transpose_with_dynamic_pads(d):
    channels, out, kernel = d.int(1, 2), d.int(1, 2), [d.int(1, 3), d.int(1, 3)]
    inputs = floats(d, [1, channels, d.int(2, 5), d.int(2, 5)], [channels, out, *kernel])
    inputs.append(np.array([d.int(0, (k - 1) // 2) for k in kernel + kernel], np.int64))
    inputs += floats(d, [out]) if d.maybe() else []
    return Case(inputs, {"strides": [d.int(1, 2), d.int(1, 2)], "kernel_shape": kernel}, rtol=RTOL)


@operator("NhwcMaxPool", domain=MS)
def nhwc_max_pool(d):
    sizes, kernel, attributes = windows(d, d.pick([1, 2]), ceil=True)
    return Case([d.array(d.pick(["int8", "uint8"]), [d.int(1, 2), *sizes, d.int(1, 3)], -99, 99)],
                attributes | {"kernel_shape": kernel})


# ---- What ONNX has removed and old files carry (domain ai.onnx, opset 1)

@operator("Affine", "ParametricSoftplus", "ScaledTanh", until=1)
def removed_unary(d, name):
    return Case(floats(d, d.shape(1, 5, empty=0)),
                {"alpha": d.float(0.2, 2), "beta": d.float(0.2, 2)}, rtol=RTOL)


@operator("Crop", until=1)
def crop(d):
    shape = [d.int(1, 2), d.int(1, 2), d.int(4, 8), d.int(4, 8)]
    border = [d.int(0, 1) for _ in range(4)]
    return Case(floats(d, shape), {"border": border} | d.some(scale=[d.int(1, 2), d.int(1, 2)]))


@operator("ImageScaler", until=1)
def image_scaler(d):
    channels = d.int(1, 3)
    return Case(floats(d, [d.int(1, 2), channels, d.int(1, 4), d.int(1, 4)]),
                {"scale": d.float(0.2, 2), "bias": [d.float(-1, 1) for _ in range(channels)]})


@operator("Scale", until=1)
def scale(d):
    x, by = d.array("float", d.shape()), d.some(scale=d.float(-2, 2))
    return Case([x], by, numpy=lambda: [x * np.float32(by.get("scale", 1))])


@operator("ThresholdedRelu", until=1, variant="removed")
def thresholded_relu(d):
    return Case(floats(d, d.shape(1, 5)), d.some(alpha=d.float(0, 2)))


@operator("DynamicSlice", until=1)
def dynamic_slice(d):
    shape = d.shape(1, 4, empty=0)
    axes = sorted(a % len(shape) for a in d.axes(len(shape), 1))
    ranges = [sorted((d.int(0, 6), d.int(0, 6))) for _ in axes]
    given = [np.array(v, np.int64) for v in ([r[0] for r in ranges], [r[1] for r in ranges], axes)]
    return Case([*floats(d, shape), *given])


@operator("GivenTensorFill", until=1)
def given_tensor_fill(d):
    shape = d.shape(1, 4, empty=0)
    values = [d.float(-2, 2) for _ in range(int(np.prod(shape)))]
    return Case([], {"shape": shape, "values": values},
                numpy=lambda: [np.array(values, np.float32).reshape(shape)])
