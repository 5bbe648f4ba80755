"""Attributes and optional inputs that the other files leave out."""
import numpy as np
from onnx import TensorProto, helper

import draw
from case import Case, operator
from draw import COMMON, FLOATS
from operators.features import ML, NUMERIC, rows
from operators.linear import attention_inputs
from operators.models import Forest, features, floats, kernel, labels
from operators.movement import int64
from operators.quantize import code
from operators.sequences import body, info

HALF = {"float16": 2e-2, "bfloat16": 6e-2}


def softmax(x, axis=-1):
    """Of what is masked as a whole, 0."""
    top = x.max(axis, keepdims=True, initial=-np.inf)
    e = np.exp(x - np.where(np.isfinite(top), top, 0))
    total = e.sum(axis, keepdims=True)
    return np.divide(e, total, out=np.zeros_like(e), where=total > 0)


# ---- Attention

@operator("Attention", since=24, variant="cache")
def attention(d):
    """A cache outside, windows, the precision of the softmax, bfloat16."""
    kv = d.int(1, 2)
    q, size, batch = kv * d.int(1, 2), d.int(1, 4) * 2, d.int(1, 3)
    queries, width, dtype = d.int(1, 4), d.int(1, 6), d.dtype(FLOATS, "T1")
    keys = queries + d.int(0, 4)
    attributes = {"scale": d.float(0.1, 1)} | d.some(is_causal=d.int(0, 1))
    if dtype != "double":
        attributes |= d.some(softmax_precision=code(d.pick(["float", "double"])))
    if d.opset >= 25:
        attributes |= d.some(left_window_size=d.int(0, 3))
        if not attributes.get("is_causal"):
            attributes |= d.some(right_window_size=d.int(0, 3))
    inputs = attention_inputs(d, dtype, True, q, kv, size, batch, queries, keys, width)
    lengths = d.random.integers(queries, keys + 1, batch).astype(np.int64) if d.maybe() else None
    mask = d.array(dtype, [queries, keys]) if d.maybe(0.4) else None
    inputs += [mask, None, None, lengths]
    while inputs[-1] is None:
        inputs.pop()

    def attended():
        a, b, c = (t.astype(np.float64) for t in inputs[:3])
        b, c = (np.repeat(t, q // kv, 1) for t in (b, c))
        scores = a @ b.swapaxes(-1, -2) * float(np.float32(attributes["scale"]))
        if mask is not None:
            scores = scores + mask.astype(np.float64)
        full = np.full(batch, queries if lengths is None else 0) if lengths is None else lengths
        own = (full - queries)[:, None, None] + np.arange(queries)[:, None]
        key = np.arange(keys)
        allowed = np.ones((batch, queries, keys), bool)
        if lengths is not None:
            allowed &= key < lengths[:, None, None]
        if attributes.get("is_causal"):
            allowed &= key <= own
        if "left_window_size" in attributes:
            allowed &= key >= own - attributes["left_window_size"]
        if "right_window_size" in attributes:
            allowed &= key <= own + attributes["right_window_size"]
        scores = np.where(allowed[:, None], scores, -np.inf)
        return [(softmax(scores) @ c).astype(inputs[0].dtype)]

    return Case(inputs, attributes, numpy=attended, rtol=HALF.get(dtype, 1e-4))


@operator("FlexAttention", domain="ai.onnx.preview", variant="modifiers")
def flex_attention(d):
    dtype, batch, heads = d.dtype(FLOATS, "T1"), d.int(1, 2), d.int(1, 2)
    inputs = attention_inputs(d, dtype, True, heads, heads, d.int(1, 4), batch, d.int(1, 4),
                              d.int(1, 5))
    inner = "double" if dtype == "double" else d.pick(["float", "double"])

    def modifier(name, operation):
        return body([(operation, ["x"], ["y"])], [info("x", inner)], [info("y", inner)], name)

    attributes = {"scale": d.float(0.1, 1), "softmax_precision": code(inner)}
    attributes |= d.some(score_mod=modifier("score", "Tanh"), prob_mod=modifier("prob", "Sqrt"))

    def attended():
        q, k, v = (t.astype(np.float64) for t in inputs)
        scores = q @ k.swapaxes(-1, -2) * float(np.float32(attributes["scale"]))
        weights = softmax(np.tanh(scores) if "score_mod" in attributes else scores)
        weights = np.sqrt(weights) if "prob_mod" in attributes else weights
        return [(weights @ v).astype(inputs[0].dtype)]

    return Case(inputs, attributes, numpy=attended, rtol=HALF.get(dtype, 1e-4))


# ---- Normalization and Dropout

@operator("LayerNormalization", since=17, variant="stash_type")
@operator("GroupNormalization", since=21, variant="stash_type")
@operator("RMSNormalization", since=23, variant="stash_type")
def normalization(d, name):
    shape, dtype = [d.int(1, 3), d.int(1, 2) * 2, d.int(1, 5)], d.dtype(FLOATS)
    group = name == "GroupNormalization"
    x = d.array(dtype, shape)
    scale, bias = (d.array(dtype, [shape[1 if group else 2]]) for _ in "sb")
    given = {"num_groups": 2} if group else {"axis": -1}

    def normalized():
        wide = x.astype(np.float64).reshape([shape[0], 2, -1] if group else shape)
        centered = wide if name == "RMSNormalization" else wide - wide.mean(-1, keepdims=True)
        y = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-2)
        s, b = (t.astype(np.float64)[:, None] if group else t.astype(np.float64)
                for t in (scale, bias))
        y = y.reshape(shape) * s + (0 if name == "RMSNormalization" else b)
        return [y.astype(x.dtype)]

    return Case([x, scale] + ([] if name == "RMSNormalization" else [bias]),
                given | {"epsilon": 1e-2, "stash_type": code(d.pick(["float", "double"]))},
                numpy=normalized, rtol=HALF.get(dtype, 1e-4))


@operator("BatchNormalization", since=15, variant="bfloat16")
def batch_normalization(d):
    shape = d.shape(2, 4, empty=0)
    x, s, b, m, v = (d.array("bfloat16", s, *r) for s, r in (
        (shape, ()), *[([shape[1]], ())] * 3, ([shape[1]], (0.2, 3))))
    row = [1, -1] + [1] * (len(shape) - 2)

    def normalized():
        wide = [t.astype(np.float64).reshape(row) for t in (s, b, m, v)]
        y = (x.astype(np.float64) - wide[2]) / np.sqrt(wide[3] + 1e-5) * wide[0] + wide[1]
        return [y.astype(x.dtype)]

    return Case([x, s, b, m, v], numpy=normalized, rtol=6e-2)


@operator("Dropout", since=13, variant="types")
def dropout(d):
    of = d.dtype(("bfloat16",) + (draw.FLOAT8 if d.opset >= 22 else ()))
    x = d.array(of, d.shape(), 1, 3)
    return Case([x, d.array(d.dtype(FLOATS, "T1"), [], 0, 0.5)], outputs=2,
                numpy=lambda: [x, np.ones(x.shape, bool)])


# ---- Resize and unpooling

@operator("Resize", since=18, variant="axes")
def resize(d):
    rank = d.int(2, 4)
    shape = [d.int(1, 5) for _ in range(rank)]
    axes = [a - rank * d.int(0, 1) for a in d.permutation(rank)[: d.int(1, 2)]]
    mode = d.pick(["nearest", "linear", "cubic"])
    attributes = {"axes": axes, "mode": mode}
    x = d.array("float", shape, -9, 9)
    if d.maybe():
        inputs = [x, None, np.array([d.pick([2.0, 1.5, 3.0]) for _ in axes], np.float32)]
    else:
        inputs = [x, None, None, int64(*(d.int(1, 8) for _ in axes))]
        attributes |= d.some(keep_aspect_ratio_policy=d.pick(
            ["stretch", "not_larger", "not_smaller"]))
    constants = tuple(i for i in (2, 3) if i < len(inputs) and inputs[i] is not None)
    return Case(inputs, attributes, constants=constants if d.maybe() else (), rtol=1e-4)


@operator("MaxUnpool", since=9, variant="output_shape")
def max_unpool(d):
    n, k = d.int(1, 4), d.int(1, 3)
    pads = [d.int(0, (k - 1) // 2) for _ in "be"]
    full = (n - 1) * k + k - sum(pads)
    x = d.array(d.dtype(COMMON, "T1"), [1, 1, n])
    give = d.maybe()
    size = full + (d.int(0, 3) if give else 0)  # places are counted without what is added
    index = d.random.permutation(full)[:n].astype(np.int64).reshape(1, 1, n)

    def unpooled():
        y = np.zeros((1, 1, size), x.dtype)
        y[0, 0, index[0, 0]] = x[0, 0]
        return [y]

    attributes = {"kernel_shape": [k], "strides": [k], "pads": pads}
    return Case([x, index] + ([int64(1, 1, size)] if give else []), attributes, numpy=unpooled,
                constants=(2,) if give and d.maybe() else ())


# ---- ai.onnx.ml

@operator("LinearRegressor", domain=ML, variant="types")
def linear_regressor(d):
    x, targets = np.atleast_2d(rows(d, d.dtype(NUMERIC))), d.int(1, 3)
    weights, shift = floats(d, targets * x.shape[1]), floats(d, targets)

    def predicted():
        w = np.array(weights, np.float32).reshape(targets, -1).astype(np.float64)
        return [(x.astype(np.float64) @ w.T + np.float32(shift)).astype(np.float32)]

    return Case([x], {"targets": targets, "coefficients": weights, "intercepts": shift},
                numpy=predicted, rtol=1e-4)


@operator("SVMRegressor", domain=ML, variant="types")
def svm_regressor(d):
    x, count = np.atleast_2d(rows(d, d.dtype(NUMERIC), low=-1, high=1)), d.int(1, 5)
    attributes = kernel(d) | {"n_supports": count, "coefficients": floats(d, count),
                              "support_vectors": floats(d, count * x.shape[1]),
                              "rho": floats(d, 1)}

    def predicted():
        a = {k: np.array(v, np.float32).astype(np.float64) for k, v in attributes.items()
             if k not in ("kernel_type", "n_supports")}
        v, w = a["support_vectors"].reshape(count, -1), x.astype(np.float64)
        gamma, coef0, degree = a["kernel_params"]
        k = {"LINEAR": lambda: w @ v.T, "POLY": lambda: (gamma * w @ v.T + coef0) ** degree,
             "RBF": lambda: np.exp(-gamma * ((w[:, None] - v) ** 2).sum(-1)),
             "SIGMOID": lambda: np.tanh(gamma * w @ v.T + coef0)}[attributes["kernel_type"]]()
        return [(k @ a["coefficients"] + a["rho"])[:, None].astype(np.float32)]

    return Case([x], attributes, numpy=predicted, rtol=1e-3, atol=1e-3)


@operator("SVMClassifier", domain=ML, variant="post_transform")
def svm_classifier(d):
    x = np.atleast_2d(rows(d, d.dtype(NUMERIC, "T1"), low=-1, high=1))
    classes, width = d.int(2, 4), x.shape[1]
    per = [d.int(1, 3) for _ in range(classes)]
    pairs = classes * (classes - 1) // 2
    attributes = kernel(d) | labels(d, classes) | {
        "vectors_per_class": per, "support_vectors": floats(d, sum(per) * width),
        "coefficients": floats(d, sum(per) * (classes - 1)), "rho": floats(d, pairs),
        "post_transform": d.pick(["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])}
    if d.maybe(0.6):
        attributes |= {"prob_a": floats(d, pairs, -2, -0.5), "prob_b": floats(d, pairs)}
    return Case([x], attributes, outputs=2, rtol=1e-3, atol=1e-4)


@operator("SVMClassifier", domain=ML, variant="linear")
def linear_svm_classifier(d):
    """Without support vectors: a row of coefficients a class."""
    x, classes = np.atleast_2d(rows(d, d.dtype(("float", "double"), "T1"))), d.int(2, 4)
    attributes = labels(d, classes) | {
        "kernel_type": "LINEAR", "kernel_params": [1.0, 0.0, 1.0],
        "coefficients": floats(d, classes * x.shape[1]), "rho": floats(d, 1)}
    return Case([x], attributes, outputs=2, rtol=1e-3, atol=1e-4)


@operator("TreeEnsembleRegressor", "TreeEnsembleClassifier", since=3, until=4, domain=ML,
          variant="double")
def double_trees(d, name):
    """Thresholds and weights as tensors of doubles."""
    x = features(d, "double")
    forest, targets = Forest(d, x.shape[1], True), 3
    kind = "target" if name == "TreeEnsembleRegressor" else "class"
    attributes = forest.attributes() | forest.votes(kind, list(range(targets)), True)
    for key in ("nodes_values", f"{kind}_weights"):
        values = attributes.pop(key)
        attributes[f"{key}_as_tensor"] = helper.make_tensor("t", TensorProto.DOUBLE, [len(values)],
                                                            values)
    attributes["nodes_hitrates"] = [1.0] * len(attributes["nodes_modes"])
    if kind == "target":
        return Case([x], attributes | {"n_targets": targets}, rtol=1e-4, atol=1e-5)
    return Case([x], attributes | {"classlabels_int64s": list(range(targets))}, outputs=2,
                rtol=1e-4, atol=1e-5)


# ---- Control flow

@operator("Loop", since=11, variant="options")
def loop(d):
    """Without a trip count, or without a condition; a value of the outer graph; a dtype of any kind."""
    dtype = d.dtype(("float16", "int32", "uint8", "double"), "V")
    rounds, endless = d.int(0, 4), d.maybe()
    nodes = [("Add", ["a", "one"], ["b"]), ("Identity", ["a"], ["scan"]),
             ("Cast", ["b"], ["count"], {"to": TensorProto.INT64}),
             ("Less", ["count", "limit"], ["go2"])]
    constants = [helper.make_node("Constant", [], ["one"], value=helper.make_tensor(
        "v", code(dtype), [], [1])), helper.make_node("Constant", [], ["limit"], value=helper.
                                                      make_tensor("v", TensorProto.INT64, [],
                                                                  [rounds]))]
    graph = body(nodes, [helper.make_tensor_value_info("i", TensorProto.INT64, []),
                         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
                         info("a", dtype)],
                 [helper.make_tensor_value_info("go2", TensorProto.BOOL, []), info("b", dtype),
                  info("scan", dtype)])
    graph.node.extend(constants)
    ordered = [*graph.node[-2:], *graph.node[:-2]]
    del graph.node[:]
    graph.node.extend(ordered)
    most = None if endless else np.array(3, np.int64)
    start = np.zeros([], draw.numpy_dtype(dtype))

    def looped():
        ran = max(1, rounds)
        ran = ran if endless else min(3, ran)
        return [np.asarray(ran).astype(start.dtype), np.arange(ran).astype(start.dtype)]

    return Case([most, np.array(True) if endless or d.maybe() else None, start], {"body": graph},
                outputs=2, numpy=looped)


# ---- The rest

@operator("TopK", since=11, variant="unsorted")
def top_k(d):
    shape = d.shape(1, 3, empty=0)
    x, k = d.random.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32), d.int(
        0, shape[-1])

    def check(outputs):
        values, places = outputs
        assert values.shape == places.shape == (*shape[:-1], k), values.shape
        assert (np.take_along_axis(x, places, -1) == values).all(), "other elements"
        assert (np.sort(values, -1) == np.sort(x, -1)[..., shape[-1] - k:]).all(), "not the largest"

    return Case([x, int64(k)], {"sorted": 0, "axis": -1}, outputs=2, check=check)


@operator("ConvInteger", "QLinearConv", since=10, variant="kernel_shape")
def quantized_convolution(d, name):
    kernel_shape = [d.int(1, 3), d.int(1, 3)]
    x = d.array("uint8", [1, 2, *(k + d.int(0, 3) for k in kernel_shape)], 0, 99)
    w = d.array("uint8", [3, 2, *kernel_shape], 0, 99)
    if name == "ConvInteger":
        zeros = [d.array("uint8", [], 0, 9), d.array("uint8", [3] if d.maybe() else [], 0, 9)]
        return Case([x, w, *zeros], {"kernel_shape": kernel_shape})
    one = np.array(0.1, np.float32)
    zero = np.array(3, np.uint8)
    return Case([x, one, zero, w, one, zero, np.array(2, np.float32), zero],
                {"kernel_shape": kernel_shape}, atol=1, rtol=0)


@operator("StringNormalizer", since=10, variant="locale")
def string_normalizer(d):
    x = d.array("string", [d.int(1, 5)])
    return Case([x], {"locale": d.pick(["en_US", "C", ""]), "case_change_action": "UPPER",
                      "is_case_sensitive": 1},
                numpy=lambda: [np.array(["".join(c.upper() if len(c.upper()) == 1 else c
                                                 for c in w) for w in x], object)])


@operator("Reshape", since=5, variant="zero")
def reshape(d):
    shape = d.shape(2, 4)
    wanted = [0 if d.maybe() else n for n in shape[:2]] + [int(np.prod(shape[2:]))]
    if wanted[-1] == 0 and len(shape) == 2:
        wanted[-1] = 1
    if 0 not in shape and d.maybe():
        wanted[-1] = -1
    sizes = [n if w == 0 else w for n, w in zip(shape, wanted)] + wanted[len(shape):]
    x = d.array("float", shape)
    return Case([x, int64(*wanted)], {} if d.opset < 14 or d.maybe() else {"allowzero": 0},
                numpy=lambda: [x.reshape(sizes)], constants=(1,) if d.maybe() else ())


@operator("Constant", since=11, variant="sparse")
def sparse_constant(d):
    shape = d.shape(1, 3, empty=0, limit=60)
    flat = np.zeros(int(np.prod(shape)), np.float32)
    at = np.sort(d.random.permutation(flat.size)[: d.int(0, flat.size)])
    flat[at] = d.array("float", [at.size], 0.5, 2)
    values = helper.make_tensor("v", TensorProto.FLOAT, [at.size], flat[at])
    wide = np.stack(np.unravel_index(at, shape), -1) if d.maybe() else at
    indices = helper.make_tensor("i", TensorProto.INT64, wide.shape, wide.reshape(-1))
    return Case([], {"sparse_value": helper.make_sparse_tensor(values, indices, shape)},
                numpy=lambda: [flat.reshape(shape)])
