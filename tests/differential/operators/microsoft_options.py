"""com.microsoft: the options, element types and inputs that its other files leave out."""
import numpy as np

import draw
from case import Case, operator
from operators.microsoft import floats
from operators.quantize import BYTES, MS, affine, scale, zero_point
from operators.window import windows

HALF = 3e-2  # relative, of attention in float16


def kind_of(d):
    return d.pick(["float", "float", "float16"])


def some(d, dtype, shape, chance=0.5, low=-2.0, high=2.0):
    return d.array(dtype, shape, low, high) if d.maybe(chance) else None


# ---- Attention

def padding_mask(d, batch, queries, keys, past):
    """One of the shapes that Attention's mask_index may have."""
    lengths = d.random.integers(1, keys + 1, batch)
    rows = np.arange(keys) < lengths[:, None]
    way = d.pick(["ends", "starts", "rows", "square"])
    if way == "ends":
        return lengths.astype(np.int32)
    if way == "starts":
        return np.concatenate([lengths, d.random.integers(0, 2, batch) * (lengths > 1)]).astype(
            np.int32)
    if way == "rows":
        return rows.astype(np.int32)
    return np.repeat(rows[:, None], queries, 1).astype(np.int32)


@operator("Attention", domain=MS, variant="options")
def attention(d):
    heads, size, batch, length = d.int(1, 3), d.int(1, 4), d.int(1, 3), d.int(1, 4)
    width, past, dtype = d.int(1, 6), d.int(0, 3) if d.maybe() else None, kind_of(d)
    sizes = [heads * size] * 2 + [heads * d.int(1, 4)]
    attributes = {"num_heads": heads} | d.some(unidirectional=d.int(0, 1), scale=d.float(0.2, 1))
    if past is not None:
        sizes[2] = sizes[0]
    elif d.maybe():
        attributes["qkv_hidden_sizes"] = sizes
    else:
        sizes[2] = sizes[0]
    keys = length + (past or 0)
    inputs = [d.array(dtype, [batch, length, width], -1, 1),
              d.array(dtype, [width, sum(sizes)], -1, 1), some(d, dtype, [sum(sizes)], 0.8),
              padding_mask(d, batch, length, keys, past) if d.maybe() else None,
              None if past is None else d.array(dtype, [2, batch, heads, past, size]),
              some(d, dtype, [d.pick([1, batch]), d.pick([1, heads]), length, keys], 0.3)]
    return Case(inputs, attributes, outputs=1 if past is None else 2,
                rtol=HALF if dtype == "float16" else 1e-3)


@operator("MultiHeadAttention", domain=MS, variant="options")
def multi_head_attention(d):
    heads, size, batch, dtype = d.int(1, 3), d.int(1, 4), d.int(1, 2), kind_of(d)
    queries, past, mask = d.int(1, 4), 0, None
    way = d.pick(["past", "past", "packed", "packed keys", "apart"])
    keys = d.int(1, 5) if way in ("packed keys", "apart") else queries
    hidden = heads * size
    q = d.array(dtype, [batch, queries, hidden])
    if way == "packed":
        inputs = [d.array(dtype, [batch, queries, heads, 3, size]), None, None]
    elif way == "packed keys":
        inputs = [q, d.array(dtype, [batch, keys, heads, 2, size]), None]
    elif way == "apart":
        inputs = [q, *(d.array(dtype, [batch, heads, keys, size]) for _ in "kv")]
    else:
        past = d.int(0, 4)
        inputs = [q, *(d.array(dtype, [batch, keys, hidden]) for _ in "kv")]
    inputs.append(some(d, dtype, [3 * hidden]) if way == "past" else None)
    total = past + keys
    if d.maybe(0.4):
        lengths = d.random.integers(1, total + 1, batch)
        mask = (np.arange(total) < lengths[:, None]).astype(np.int32)
    inputs += [mask, some(d, dtype, [d.pick([1, batch]), d.pick([1, heads]), queries, total], 0.4)]
    if way == "past":
        inputs += [d.array(dtype, [batch, heads, past, size]) for _ in "kv"]
    attributes = {"num_heads": heads, "scale": d.float(0.2, 1)}
    attributes |= d.some(unidirectional=d.int(0, 1)) if keys == queries else {}
    packed = way.startswith("packed")  # which onnxruntime does on GPUs alone
    return Case(inputs, attributes, outputs=3 if way == "past" else 1,
                rtol=HALF if dtype == "float16" else 1e-3,
                numpy=(lambda: packed_attention(attributes, inputs)) if packed else None)


def packed_attention(attributes, inputs):
    given, heads = inputs[0], attributes["num_heads"]
    wide = [None if x is None else x.astype(np.float64) for x in inputs]
    if given.ndim == 5:
        q, k, v = np.moveaxis(wide[0], 3, 0)
    else:
        q, (k, v) = wide[0].reshape(*given.shape[:2], heads, -1), np.moveaxis(wide[1], 3, 0)
    scores = np.einsum("bihd,bjhd->bhij", q, k) * attributes["scale"]
    scores = scores + (0 if wide[5] is None else wide[5])
    if wide[4] is not None:
        scores = scores + np.where(wide[4] > 0, 0, -10000.0)[:, None, None]
    if attributes.get("unidirectional"):
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    y = np.einsum("bhij,bjhd->bihd", weights / weights.sum(-1, keepdims=True), v)
    return [y.reshape(*y.shape[:2], -1).astype(given.dtype)]


@operator("GroupQueryAttention", domain=MS, variant="options")
def group_query_attention(d):
    kv, size, batch, dtype = d.int(1, 2), 16, d.int(1, 2), kind_of(d)
    heads, past = kv * d.int(1, 2), d.int(0, 4)
    length = d.int(1, 4) if past == 0 else 1
    total = past + length
    if d.maybe():
        inputs = [d.array(dtype, [batch, length, (heads + 2 * kv) * size]), None, None]
    else:
        inputs = [d.array(dtype, [batch, length, n * size]) for n in (heads, kv, kv)]
    room = past + d.int(0, 1) * d.int(0, 6) if past else d.pick([0, 8])
    lengths = np.full(batch, total - 1, np.int32)
    if past:  # shorter rows
        lengths = lengths - d.random.integers(0, past, batch).astype(np.int32)
    inputs += [d.array(dtype, [batch, kv, room, size]) for _ in "kv"]
    for row, last in enumerate(lengths):  # what nothing was written to is 0
        for cache in inputs[3:]:
            cache[row, :, max(0, last + 1 - length):] = 0
    inputs += [lengths, np.array(total, np.int32), None, None, None]
    attributes = {"num_heads": heads, "kv_num_heads": kv}
    if d.maybe():
        inputs[7:9] = [d.array(dtype, [24, size // 2], -1, 1) for _ in "cs"]
        attributes |= {"do_rotary": 1} | d.some(rotary_interleaved=d.int(0, 1))
        if d.maybe(0.3):
            inputs[9] = d.indices([batch, length], 16, negative=False)
    inputs.append(some(d, dtype, [d.pick([1, batch]), d.pick([1, heads]), length, total], 0.3))
    inputs.append(some(d, dtype, [heads], 0.3))
    if inputs[-1] is None:
        attributes |= d.some(smooth_softmax=d.int(0, 1))
    attributes |= d.some(local_window_size=d.int(1, 4), softcap=d.float(0.5, 3),
                         scale=d.float(0.1, 1))
    while inputs[-1] is None:
        inputs.pop()
    outputs = 3
    if (lengths == total - 1).all() and d.maybe():  # of shorter rows onnxruntime writes a part
        attributes["qk_output"], outputs = d.int(1, 2), 4
    return Case(inputs, attributes, outputs=outputs, rtol=HALF if dtype == "float16" else 1e-3)


@operator("QAttention", domain=MS, variant="options")
def qattention(d):
    heads, size, batch, length = d.int(1, 2), d.int(1, 4), d.int(1, 2), d.int(1, 4)
    hidden, width, past = heads * size, d.int(1, 6), d.int(0, 3) if d.maybe() else None
    keys = length + (past or 0)
    inputs = [d.array("uint8", [batch, length, width], 0, 255),
              d.array("int8", [width, 3 * hidden], -60, 60), *floats(d, [3 * hidden]),
              *floats(d, [], [3 * hidden] if d.maybe() else [], low=0.001, high=0.02),
              padding_mask(d, batch, length, keys, past) if d.maybe() else None,
              d.array("uint8", [], 0, 200), np.zeros([], np.int8),
              None if past is None else d.array("float", [2, batch, heads, past, size])]
    if inputs[4].shape:
        inputs[7] = np.zeros(3 * hidden, np.int8)
    return Case(inputs, {"num_heads": heads} | d.some(unidirectional=d.int(0, 1)), rtol=1e-3,
                outputs=1 if past is None else 2, constants=(1,))


@operator("RotaryEmbedding", domain=MS, variant="options")
def rotary_embedding(d):
    heads, size, batch, length, most = d.int(1, 3), d.int(1, 3) * 4, d.int(1, 3), d.int(1, 4), 8
    part, dtype = d.pick([size, size // 2]), kind_of(d)
    places = np.array([d.int(0, 4)], np.int64) if d.maybe() else d.indices(
        [batch, length], most, negative=False)
    inputs = [d.array(dtype, [batch, length, heads * size]), places,
              *(d.array(dtype, [most, part // 2], -1, 1) for _ in "cs")]
    return Case(inputs, {"num_heads": heads, "rotary_embedding_dim": part}
                | d.some(interleaved=d.int(0, 1), scale=d.float(0.5, 2)),
                rtol=1e-2 if dtype == "float16" else 1e-4)


# ---- Normalizations

@operator("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MS, variant="sum")
def skip_normalization(d, name):
    batch, length, size, dtype = d.int(1, 3), d.int(1, 3), d.int(2, 8), kind_of(d)
    shape = [batch, length, size] if d.maybe() else [length, size]
    inputs = [d.array(dtype, shape), d.array(dtype, shape), d.array(dtype, [size])]
    inputs += [some(d, dtype, [size])] if name == "SkipLayerNormalization" else []
    inputs.append(some(d, dtype, [size]))
    tail = [] if inputs[-1] is None else [inputs[-1]]

    def normalized():
        x = sum(t.astype(np.float64) for t in (*inputs[:2], *tail))
        centered = x - x.mean(-1, keepdims=True) if name == "SkipLayerNormalization" else x
        y = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-5) * inputs[2]
        if name == "SkipLayerNormalization" and inputs[3] is not None:
            y = y + inputs[3]
        return [y.astype(inputs[0].dtype), x.astype(inputs[0].dtype)]

    return Case(inputs, {"epsilon": 1e-5}, outputs=4, absent=(1, 2), numpy=normalized,
                rtol=2e-2 if dtype == "float16" else 1e-3)


@operator("EmbedLayerNormalization", domain=MS, variant="options")
def embed_layer_normalization(d):
    batch, length, size, words = d.int(1, 3), d.int(1, 4), d.int(2, 6), d.int(3, 9)
    ids = d.indices([batch, length], words, "int32", False)
    places = d.indices([d.pick([1, batch]), length], length + 2, "int32", False)
    inputs = [ids, None, *floats(d, [words, size], [length + 2, size]), None,
              *floats(d, [size], [size]), None, places if d.maybe(0.7) else None]
    while inputs[-1] is None:
        inputs.pop()
    outputs = d.pick([1, 3])
    return Case(inputs, {"epsilon": 1e-5}, outputs=outputs, absent=(1,), rtol=1e-3)


# ---- Products and convolutions

@operator("FusedMatMul", domain=MS, variant="batches")
def fused_matmul(d):
    m, k, n = (d.int(1, 5) for _ in range(3))
    batch, given, shapes = d.shape(1, 2, empty=0), {}, []
    for rows, columns, side in ((m, k, "A"), (k, n, "B")):
        turned, apart = d.int(0, 1), d.int(0, 1)
        given |= {f"trans{side}": turned, f"transBatch{side}": apart}
        rows, columns = (columns, rows) if turned else (rows, columns)
        shapes.append([rows, *batch, columns] if apart else [*batch, rows, columns])
    return Case(floats(d, *shapes), given | d.some(alpha=d.float(0.5, 2)), rtol=1e-4)


@operator("FusedConv", domain=MS, variant="sum")
def fused_conv(d):
    sizes, kernel, attributes = windows(d, 2)
    attributes.pop("auto_pad", None)
    channels, out = d.int(1, 3), d.int(1, 3)
    pads = attributes.get("pads", [0] * 4)
    result = [(n + pads[i] + pads[i + 2] - (k - 1) * e - 1) // s + 1
              for i, (n, k, e, s) in enumerate(zip(
                  sizes, kernel, attributes.get("dilations", [1, 1]),
                  attributes.get("strides", [1, 1])))]
    inputs = floats(d, [1, channels, *sizes], [out, channels, *kernel], [out], [1, out, *result])
    if d.maybe():
        inputs[2] = None
    return Case(inputs, attributes | {"activation": d.pick(["Relu", "Tanh", "HardSwish"])}, rtol=1e-4)


@operator("QLinearConv", domain=MS, variant="channels_last")
def qlinear_conv(d):
    sizes, kernel, attributes = windows(d, d.pick([1, 2]))
    group = d.pick([1, 1, 2])
    channels, out = group * d.int(1, 2), group * d.int(1, 2)
    x, w = d.pick([("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")])
    per = [out] if d.maybe() else []
    inputs = [d.array(x, [d.int(1, 2), *sizes, channels], -99, 99), scale(d), zero_point(d, x),
              d.array(w, [out, channels // group, *kernel], -99, 99), scale(d, per),
              np.zeros(per, draw.numpy_dtype(w)) if w == "int8" else zero_point(d, w),
              scale(d, high=9), zero_point(d, x)]
    inputs += [d.array("int32", [out], -99, 99)] if d.maybe() else []
    return Case(inputs, attributes | {"group": group, "channels_last": 1}, atol=1, rtol=0,
                constants=tuple(range(1, 8)))


@operator("QLinearAveragePool", domain=MS, variant="channels_last")
def qlinear_average_pool(d):
    sizes, kernel, attributes = windows(d, d.pick([1, 2, 2]), dilations=False)
    dtype = d.pick(BYTES)
    return Case([*affine(d, dtype, [d.int(1, 2), *sizes, d.int(1, 3)]), scale(d),
                 zero_point(d, dtype)],
                attributes | {"kernel_shape": kernel, "channels_last": 1} |
                d.some(count_include_pad=d.int(0, 1), ceil_mode=0), atol=1, rtol=0)


@operator("MatMulNBits", domain=MS, variant="options")
def matmul_nbits(d):
    bits, block, dtype = d.pick([2, 4, 8]), d.pick([16, 32, 64]), kind_of(d)
    n, k = d.int(1, 5), d.pick([8, 16, 31, 48])
    blocks, m = -(-k // block), [*d.shape(0, 2, empty=0), d.int(1, 3)]
    inputs = [d.array(dtype, [*m, k]), d.array("uint8", [n, blocks, block * bits // 8], 0, 255),
              d.array(dtype, [n * blocks] if d.maybe() else [n, blocks], 0.05, 0.5)]
    way = d.pick(["none", "packed", "whole"])
    packed = -(-blocks * bits // 8)
    inputs.append(None if way == "none" else d.array(
        "uint8", [n, packed] if d.maybe() else [n * packed], 0, 255) if way == "packed"
        else d.array(dtype, [n, blocks], 0, 5))
    inputs += [None, some(d, dtype, [n])]
    while inputs[-1] is None:
        inputs.pop()
    return Case(inputs, {"N": n, "K": k, "bits": bits, "block_size": block},
                rtol=2e-2 if dtype == "float16" else 1e-4,
                constants=tuple(i for i in range(1, len(inputs)) if inputs[i] is not None))


@operator("GatherBlockQuantized", domain=MS, variant="bytes")
def gather_block_quantized(d):
    bits, rows, blocks = d.pick([4, 8]), d.int(1, 5), d.int(1, 2)
    data = d.array("uint8", [rows, blocks * 16 * bits // 8], 0, 255)
    zeros = d.array("uint8", [rows, -(-blocks * bits // 8)], 0, 255) if d.maybe() else None
    inputs = [data, d.indices(d.shape(0, 2, empty=0), rows, d.pick(["int32", "int64"])),
              d.array(kind_of(d), [rows, blocks], 0.05, 1)] + ([] if zeros is None else [zeros])
    return Case(inputs, {"block_size": 16, "gather_axis": 0, "quantize_axis": 1, "bits": bits},
                constants=tuple(i for i in (0, 2, 3) if i < len(inputs)))


@operator("DynamicQuantizeLSTM", domain=MS, variant="options")
def dynamic_quantize_lstm(d):
    direction = d.pick(["forward", "reverse", "bidirectional"])
    ways = 2 if direction == "bidirectional" else 1
    steps, batch, size, hidden = d.int(1, 3), d.int(1, 2), d.int(1, 4), d.int(1, 4)
    w, per = d.pick(BYTES), d.maybe()
    scales = [ways, 4 * hidden] if per else [ways]
    zero = [np.zeros(scales, draw.numpy_dtype(w)) if w == "int8" or d.maybe()
            else d.array(w, scales, 0, 9) for _ in "wr"]
    inputs = [d.array("float", [steps, batch, size], -1, 1),
              *(d.array(w, [ways, n, 4 * hidden], -60, 60) for n in (size, hidden)),
              some(d, "float", [ways, 8 * hidden]), None, some(d, "float", [ways, batch, hidden]),
              some(d, "float", [ways, batch, hidden]), some(d, "float", [ways, 3 * hidden]),
              scale(d, scales, 0.01, 0.02), zero[0], scale(d, scales, 0.01, 0.02), zero[1]]
    return Case(inputs, {"hidden_size": hidden, "direction": direction} |
                d.some(input_forget=0,
                       activations=["Sigmoid", "Relu", "Tanh"] * ways), outputs=3, rtol=1e-2,
                constants=(1, 2, 8, 9, 10, 11))


@operator("Gelu", "QuickGelu", "FastGelu", "BiasGelu", "Inverse", domain=MS, variant="half")
def half(d, name):
    n = d.int(1, 3)
    shape = [n, n] if name == "Inverse" else d.shape(1, empty=0)
    x = d.array("float16", shape)
    if name == "Inverse":
        x = x + 4 * np.eye(n, dtype=np.float16)
    return Case([x] + ([d.array("float16", shape[-1:])] if name == "BiasGelu" else []), rtol=1e-2)
