"""Matrix products, attention, normalizations and losses."""
import numpy as np

import draw
from case import Case, operator
from draw import COMMON, FLOATS, NUMBERS


@operator("MatMul", since=1)
def matmul(d):
    dtype = d.dtype(NUMBERS)
    m, k, n = (d.dim(0.05) for _ in range(3))
    a, b = d.broadcast(2, 3)
    form = d.pick(["matrices", "matrices", "left", "right", "vectors"])
    left = [k] if form in ("left", "vectors") else [*a, m, k]
    right = [k] if form in ("right", "vectors") else [*b, k, n]
    return Case([d.array(dtype, left), d.array(dtype, right)],
                constants=tuple(i for i in (0, 1) if d.maybe(0.3)))


@operator("Gemm", since=7)
def gemm(d):
    dtype = d.dtype(NUMBERS)
    m, k, n = (d.dim(0.05) for _ in range(3))
    ta, tb = d.int(0, 1), d.int(0, 1)
    attributes = {"transA": ta, "transB": tb} | d.some(alpha=d.float(-2, 2), beta=d.float(-2, 2))
    if dtype not in FLOATS:
        attributes |= {"alpha": 1.0, "beta": 1.0}
    inputs = [d.array(dtype, [k, m] if ta else [m, k]), d.array(dtype, [n, k] if tb else [k, n])]
    if d.opset < 11 or d.maybe(0.7):
        inputs.append(d.array(dtype, d.broadcast_to([m, n])))
    return Case(inputs, attributes, constants=tuple(i for i in (1, 2)[: len(inputs) - 1]
                                                    if d.maybe(0.4)))


@operator("Einsum", since=12)
def einsum(d):
    forms = ["ij,jk->ik", "ij,jk", "ii->i", "ii", "ij->ji", "i,j->ij", "bij,bjk->bik", "ij->",
             "...ij,...jk->...ik", "bhid,bhjd->bhij", "ij,ij->", "ijk->k", "i,i", "ij,j->i",
             "...i->...", "ab,bc,cd->ad", "b i j -> b j", "iij->j", "a,ab,abc->abc"]
    form = d.pick(forms)
    sizes = {c: d.dim(0.03) for c in "abcdhijk"}
    dots = [d.int(1, 3) for _ in range(d.int(0, 2))]
    terms = form.replace(" ", "").split("->")[0].split(",")
    dtype = d.dtype(("float", "double", "int32", "int64"))
    shapes = [[*(dots if "..." in t else []), *(sizes[c] for c in t.replace("...", ""))]
              for t in terms]
    return Case([d.array(dtype, s) for s in shapes], {"equation": form})


@operator("Det", since=11)
def det(d):
    n = d.int(1, 5)
    return Case([d.array(d.dtype(FLOATS[:2]), [*d.shape(0, 3, limit=30), n, n])], rtol=1e-4)


# ---- Attention

def attention_inputs(d, dtype, rank4, q, kv, size, batch, queries, keys, values=None):
    """Q, K and V of rank 3 or 4."""
    def of(heads, length, width):
        shape = [batch, heads, length, width] if rank4 else [batch, length, heads * width]
        return d.array(dtype, shape)
    return [of(q, queries, size), of(kv, keys, size), of(kv, keys, values or size)]


@operator("Attention", since=23)
def attention(d):
    rank4, kv = d.maybe(), d.int(1, 2)
    q, size, batch = kv * d.int(1, 2), d.int(1, 4) * 2, d.int(1, 2)
    queries, keys, width = d.int(1, 4), d.int(1, 5), d.int(1, 6)
    dtype = d.dtype(COMMON, "T1")
    inputs = attention_inputs(d, dtype, rank4, q, kv, size, batch, queries, keys, width)
    attributes = {} if rank4 else {"q_num_heads": q, "kv_num_heads": kv}
    attributes |= d.some(is_causal=d.int(0, 1), scale=d.float(0.1, 1), softcap=d.float(0.5, 3))
    past = d.int(0, 3) if d.maybe(0.4) else None
    total = keys + (past or 0)
    if d.maybe():
        full = [batch, q, queries, total]
        shape = d.pick([full[2:], [1, 1, queries, total], full, [batch, 1, queries, total]])
        kind = d.pick(["bool", dtype])
        mask = d.array(kind, shape, -2, 2)
        if kind == "bool":
            mask[..., 0] = True  # a row of nothing is NaN or 0, as you like it
        inputs.append(mask)
    outputs = 1
    if past is not None:
        inputs += [None] * (4 - len(inputs))
        inputs += [d.array(dtype, [batch, kv, past, n]) for n in (size, width)]
        outputs = 3
    if d.maybe(0.3):
        outputs = 4
        attributes |= d.some(qk_matmul_output_mode=d.int(0, 3))
    return Case(inputs, attributes, outputs=outputs, rtol=2e-2 if dtype == "float16" else 1e-4)


@operator("RotaryEmbedding", since=23)
def rotary_embedding(d):
    heads, size, batch, length = d.int(1, 3), d.int(1, 3) * 4, d.int(1, 2), d.int(1, 4)
    rotated = d.pick([0, size, size // 2])
    half, dtype, most = (rotated or size) // 2, d.dtype(COMMON), d.int(4, 8)
    rank4 = d.maybe()
    shape = [batch, heads, length, size] if rank4 else [batch, length, heads * size]
    attributes = {} if rank4 else {"num_heads": heads}
    attributes |= d.some(interleaved=d.int(0, 1))
    if rotated:
        attributes |= {"rotary_embedding_dim": rotated, "num_heads": heads}
    if d.maybe():
        caches = [d.array(dtype, [most, half], -1, 1) for _ in range(2)]
        caches.append(d.indices([batch, length], most, negative=False))
    else:
        caches = [d.array(dtype, [batch, length, half], -1, 1) for _ in range(2)]
    return Case([d.array(dtype, shape), *caches], attributes)


@operator("LinearAttention", since=27)
def linear_attention(d):
    kv = d.int(1, 2)
    q, dk, dv = kv * d.int(1, 2), d.int(1, 4), d.int(1, 4)
    batch, length, dtype = d.int(1, 2), d.int(1, 5), d.dtype(FLOATS[:1] + ("float16",))
    rule = d.pick(["linear", "gated", "delta", "gated_delta"])
    inputs = [d.array(dtype, [batch, length, n], -1, 1) for n in (q * dk, kv * dk, kv * dv)]
    inputs.append(d.array(d.dtype([dtype], "S"), [batch, kv, dk, dv], -1, 1) if d.maybe() else None)
    inputs.append(d.array(dtype, [batch, length, d.pick([kv, kv * dk])], -1, 0)
                  if "gated" in rule else None)
    inputs.append(d.array(dtype, [batch, length, d.pick([kv, kv, 1])], 0, 1)
                  if "delta" in rule else None)
    while inputs[-1] is None:
        inputs.pop()
    return Case(inputs, {"q_num_heads": q, "kv_num_heads": kv, "update_rule": rule}
                | d.some(scale=d.float(0.2, 1), chunk_size=d.int(1, 4)), outputs=2,
                rtol=2e-2 if dtype == "float16" else 1e-4)


@operator("CausalConvWithState", since=27)
def causal_conv(d):
    batch, channels, length, k = d.int(1, 2), d.int(1, 4), d.int(1, 5), d.int(1, 4)
    dtype = d.dtype(FLOATS)
    inputs = [d.array(dtype, [batch, channels, length]), d.array(dtype, [channels, 1, k])]
    inputs += [d.array(dtype, [channels]) if d.maybe() else None,
               d.array(dtype, [batch, channels, k - 1]) if d.maybe() else None]
    return Case(inputs, d.some(activation=d.pick(["none", "silu", "swish"])), outputs=2)


@operator("FlexAttention", domain="ai.onnx.preview")
def flex_attention(d):
    kv, size, batch = d.int(1, 2), d.int(1, 6), d.int(1, 2)
    dtype = d.dtype(COMMON, "T1")
    inputs = attention_inputs(d, dtype, True, kv * d.int(1, 2), kv, size, batch, d.int(1, 4),
                              d.int(1, 5), d.int(1, 6))
    return Case(inputs, d.some(scale=d.float(0.1, 1)), rtol=2e-2 if dtype == "float16" else 1e-4)


# ---- Normalizations

@operator("BatchNormalization", since=7)
def batch_normalization(d):
    shape = d.shape(2, 5, empty=0)
    kinds = [d.dtype(COMMON)] * 3
    if d.opset >= 14:
        kinds[2] = kinds[0] if d.maybe(0.7) else "float"
    if d.opset >= 15:
        kinds[1] = kinds[2]
    channel = [shape[1]]
    inputs = [d.array(kinds[0], shape), d.array(kinds[1], channel), d.array(kinds[1], channel),
              d.array(kinds[2], channel), d.array(kinds[2], channel, 0.2, 3)]
    attributes = d.some(epsilon=d.pick([1e-5, 1e-3]), momentum=d.float(0.1, 0.9))
    outputs = 1
    if d.opset >= 14 and d.maybe(0.3) and shape[0] * np.prod(shape[2:]) > 1:
        attributes["training_mode"], outputs = 1, 3
    return Case(inputs, attributes, outputs=outputs,
                constants=(1, 2, 3, 4) if d.maybe(0.3) else ())


@operator("InstanceNormalization", since=6)
def instance_normalization(d):
    shape = d.shape(3, 5, empty=0)
    dtype = d.dtype(FLOATS)
    return Case([d.array(dtype, shape), d.array(dtype, [shape[1]]), d.array(dtype, [shape[1]])],
                {"epsilon": d.pick([1e-5, 1e-2])},
                rtol={"float": 1e-4, "float16": 1e-2, "bfloat16": 4e-2}.get(dtype))


@operator("LayerNormalization", since=17)
def layer_normalization(d):
    shape = d.shape(1, 5, empty=0)
    axis = d.axis(len(shape))
    dtype, inner = d.dtype(FLOATS), shape[axis % len(shape):]
    inputs = [d.array(dtype, shape), d.array(dtype, inner)]
    inputs += [d.array(dtype, inner)] if d.maybe() else []
    return Case(inputs, {"axis": axis, "epsilon": d.pick([1e-5, 1e-2])}, outputs=d.pick([1, 3]),
                rtol={"float": 1e-4, "float16": 1e-2, "bfloat16": 4e-2}.get(dtype))


@operator("RMSNormalization", since=23)
def rms_normalization(d):
    shape = d.shape(1, 5, empty=0)
    axis, dtype = d.axis(len(shape)), d.dtype(FLOATS)
    scale = d.array(dtype, shape[axis % len(shape):])
    return Case([d.array(dtype, shape), scale], {"axis": axis, "epsilon": d.pick([1e-5, 1e-2])},
                rtol={"float": 1e-4, "float16": 1e-2, "bfloat16": 4e-2}.get(dtype))


@operator("GroupNormalization", since=21)
def group_normalization(d):
    shape, groups = d.shape(3, 5, empty=0), d.int(1, 3)
    shape[1] = groups * d.int(1, 2)
    dtype = d.dtype(FLOATS)
    return Case([d.array(dtype, shape), d.array(dtype, [shape[1]]), d.array(dtype, [shape[1]])],
                {"num_groups": groups, "epsilon": d.pick([1e-5, 1e-2])},
                rtol={"float": 1e-4, "double": 1e-4,  # stash_type: float
                      "float16": 2e-2, "bfloat16": 6e-2}.get(dtype))


@operator("GroupNormalization", since=18, until=18, variant="by_group")
def group_normalization_by_group(d):
    """As it was in opset 18: a scale and a bias for each group."""
    shape, groups = d.shape(3, 5, empty=0), d.int(1, 3)
    shape[1] = groups * d.int(1, 2)
    dtype = d.dtype(COMMON)
    return Case([d.array(dtype, shape), d.array(dtype, [groups]), d.array(dtype, [groups])],
                {"num_groups": groups, "epsilon": d.pick([1e-5, 1e-2])},
                rtol={"float": 1e-4, "float16": 2e-2}.get(dtype))


@operator("LpNormalization", since=1)
def lp_normalization(d):
    shape = d.shape(1, empty=0)
    return Case([d.array(d.dtype(FLOATS), shape)], d.some(axis=d.axis(len(shape)), p=d.int(1, 2)))


@operator("LRN", since=1)
def lrn(d):
    x, size = d.array(d.dtype(FLOATS), d.shape(3, 5, empty=0)), d.pick([1, 2, 3, 5])
    given = d.some(alpha=d.float(0.001, 1), beta=d.float(0.2, 1), bias=d.float(1, 2))

    def normalized():
        wide, channels = x.astype(np.float64), x.shape[1]
        sums = np.stack([(wide[:, max(0, c - (size - 1) // 2): c + size // 2 + 1] ** 2).sum(1)
                         for c in range(channels)], 1)
        alpha, beta = given.get("alpha", 1e-4), given.get("beta", 0.75)
        return [(wide / (given.get("bias", 1) + alpha / size * sums) ** beta).astype(x.dtype)]

    return Case([x], {"size": size} | given, numpy=normalized)


@operator("MeanVarianceNormalization", since=9)
def mean_variance_normalization(d):
    shape = d.shape(4, 4, empty=0) if d.maybe() else d.shape(1, 4, empty=0)
    axes = d.axes(len(shape), 1)
    given = {"axes": axes} if len(shape) != 4 or d.maybe() else {}
    dtype = d.dtype(FLOATS)
    return Case([d.array(dtype, shape)], given,
                rtol={"float": 1e-3, "float16": 2e-2, "bfloat16": 6e-2}.get(dtype))


# ---- Losses and updates

def labels(d, shape, classes, ignored):
    t = d.random.integers(0, classes, shape)
    if ignored is not None:
        t = np.where(d.random.random(shape) < 0.2, ignored, t)
    return np.asarray(t).astype(d.pick([np.int64, np.int32]))


@operator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", since=12)
def loss(d, name):
    shape = [d.int(1, 4), d.int(1, 5), *d.shape(0, 2, empty=0)]
    ignored = d.pick([None, -1, 1, 100])
    dtype = d.dtype(COMMON)
    inputs = [d.array(dtype, shape), labels(d, [shape[0], *shape[2:]], shape[1], ignored)]
    if d.maybe():
        inputs.append(d.array(dtype, [shape[1]], 0.1, 2))
    attributes = d.some(reduction=d.pick(["none", "sum", "mean"]))
    attributes |= {} if ignored is None else {"ignore_index": ignored}
    return Case(inputs, attributes,
                outputs=d.int(1, 2) if name == "SoftmaxCrossEntropyLoss" else 1)


@operator("Adam", "Adagrad", "Momentum", domain="ai.onnx.preview.training")
def update(d, name):
    dtype = d.dtype(("float", "double"), "T3")
    shapes = [d.shape(0, 4) for _ in range(d.int(1, 3))]
    states = 4 if name == "Adam" else 3
    attributes = d.some(norm_coefficient=d.float(0, 0.5))
    if name == "Momentum":
        attributes = {"alpha": d.float(0.1, 1), "beta": d.float(0.1, 1), "mode": d.pick(
            ["standard", "nesterov"]), "norm_coefficient": d.float(0, 0.5)}
    elif name == "Adam":
        attributes |= d.some(alpha=d.float(0.1, 0.9), beta=d.float(0.1, 0.9),
                             norm_coefficient_post=d.float(0, 0.5))
    else:
        attributes |= d.some(decay_factor=d.float(0, 0.5))
    rate = np.array(d.float(0.01, 1), draw.numpy_dtype(dtype))
    tensors = [d.array(dtype, s, 0.1 if i >= 2 else -2, 2) for i in range(states) for s in shapes]
    step = np.array(d.int(0, 5), np.int64)
    return Case([rate, step, *tensors], attributes, outputs=(states - 1) * len(shapes),
                numpy=(lambda: adam(attributes, rate, step, tensors)) if name == "Adam" else None)


def adam(attributes, rate, step, tensors):
    """ONNX's text, in double."""
    given = {"alpha": 0.9, "beta": 0.999, "epsilon": 1e-6, "norm_coefficient": 0,
             "norm_coefficient_post": 0} | attributes
    given = {k: float(np.float32(v)) for k, v in given.items()}  # as a model holds them
    alpha, beta = given["alpha"], given["beta"]
    count, kind = len(tensors) // 4, tensors[0].dtype
    x, g, v, h = (tensors[i * count: (i + 1) * count] for i in range(4))
    r = rate.astype(np.float64)
    if step > 0:
        r = r * np.sqrt(1 - beta**int(step)) / (1 - alpha**int(step))
    outputs = []
    for a, b, c, e in zip(x, g, v, h):
        slope = given["norm_coefficient"] * a.astype(np.float64) + b
        c = alpha * c + (1 - alpha) * slope
        e = beta * e + (1 - beta) * slope**2
        a = (1 - given["norm_coefficient_post"]) * (a - r * c / (np.sqrt(e) + given["epsilon"]))
        outputs.append([np.asarray(t).astype(kind) for t in (a, c, e)])
    return [t for column in zip(*outputs) for t in column]
