"""ai.onnx.ml: what turns data into features."""
import numpy as np
from onnx import helper

import draw
from case import Case, operator

ML = "ai.onnx.ml"
NUMERIC = ("float", "double", "int64", "int32")
KEYS = ("a", "b", "c", "dd", "é", "")


def rows(d, dtype, width=None, low=-5.0, high=5.0):
    """A table, or one row of it."""
    width = width or d.int(1, 5)
    shape = [width] if d.maybe(0.15) else [d.int(1, 5), width]
    return d.array(dtype, shape, low, high)


@operator("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(d):
    shape = d.shape(2, 4, empty=0)
    index = d.indices([1, d.int(1, 4)], shape[-1], negative=False)
    return Case([d.array(d.dtype(NUMERIC + ("string",)), shape), index],
                constants=(1,) if d.maybe() else ())


@operator("Binarizer", domain=ML)
def binarizer(d):
    return Case([d.array(d.dtype(NUMERIC), d.shape(), edges=0.1)], d.some(threshold=d.float(-2, 2)))


@operator("Scaler", domain=ML)
def scaler(d):
    x = rows(d, d.dtype(NUMERIC))
    width = x.shape[-1] if d.maybe(0.7) else 1
    return Case([x], {"scale": [d.float(-2, 2) for _ in range(width)],
                      "offset": [d.float(-2, 2) for _ in range(width)]}, rtol=1e-5)


@operator("Normalizer", domain=ML)
def normalizer(d):
    return Case([rows(d, d.dtype(NUMERIC))], d.some(norm=d.pick(["MAX", "L1", "L2"])))


@operator("Imputer", domain=ML)
def imputer(d):
    dtype = d.dtype(NUMERIC)
    x = rows(d, dtype, low=-2, high=2)
    width = x.shape[-1] if d.maybe(0.7) else 1
    if dtype in ("float", "double"):
        missing = d.pick([float("nan"), 1.0])
        x = np.where(d.random.random(x.shape) < 0.3, x.dtype.type(missing), x)
        return Case([x], {"imputed_value_floats": [d.float(-2, 2) for _ in range(width)],
                          "replaced_value_float": missing})
    return Case([x], {"imputed_value_int64s": [d.int(-9, 9) for _ in range(width)],
                      "replaced_value_int64": d.int(-1, 1)})


@operator("FeatureVectorizer", domain=ML)
def feature_vectorizer(d):
    dtype = d.dtype(NUMERIC, "T1")
    batch, widths = d.int(1, 4), [d.int(1, 4) for _ in range(d.int(1, 3))]
    return Case([d.array(dtype, [batch, w]) for w in widths], {"inputdimensions": widths})


@operator("OneHotEncoder", domain=ML)
def one_hot_encoder(d):
    dtype, zeros = d.dtype(NUMERIC + ("string",)), d.some(zeros=1)
    shape = d.shape(1, 4)
    if dtype == "string":
        x = np.empty(tuple(shape), object)
        x.reshape(-1)[:] = [d.pick(KEYS) for _ in range(x.size)]
        if d.maybe(0.7):
            return Case([x], {"cats_strings": list(KEYS)} | d.some(zeros=d.int(0, 1)))
        return Case([x], {"cats_strings": list(KEYS[:3])} | zeros)
    x = d.array(dtype, shape, 0, 4)
    x = np.trunc(x) if dtype in ("float", "double") else x
    return Case([x], {"cats_int64s": d.permutation(4)} | zeros)


@operator("CategoryMapper", domain=ML)
def category_mapper(d):
    names = list(KEYS[:5])
    attributes = {"cats_strings": names, "cats_int64s": d.permutation(5)}
    attributes |= d.some(default_int64=d.int(-9, -1), default_string="none")
    if d.maybe():
        x = d.array("int64", d.shape(0, 4), 0, 6)
    else:
        shape = tuple(d.shape(0, 4))
        x = np.empty(shape, object)
        x.reshape(-1)[:] = [d.pick(KEYS) for _ in range(x.size)]
    return Case([x], attributes)


_LABELS = {"int64": ("int64s", "default_int64"), "string": ("strings", "default_string"),
           "float": ("floats", "default_float")}


@operator("LabelEncoder", since=2, domain=ML)
def label_encoder(d):
    source, target = d.pick(list(_LABELS)), d.pick(list(_LABELS))
    count = d.int(1, 4)

    def values(kind, distinct):
        numbers = d.permutation(6)[:count] if distinct else [d.int(0, 5) for _ in range(count)]
        return [KEYS[n] for n in numbers] if kind == "string" else \
            [float(n) for n in numbers] if kind == "float" else numbers

    attributes = {f"keys_{_LABELS[source][0]}": values(source, True),
                  f"values_{_LABELS[target][0]}": values(target, False)}
    default = {"int64": 77, "string": "other", "float": 0.5}[target]
    attributes |= d.some(**{_LABELS[target][1]: default})
    shape = tuple(d.shape(0, 4))
    x = d.random.integers(0, 6, shape)
    if source == "string":
        words = np.empty(shape, object)
        words.reshape(-1)[:] = [KEYS[i] for i in np.asarray(x).reshape(-1)]
        return Case([words], attributes)
    return Case([np.asarray(x).astype(draw.numpy_dtype(source))], attributes)


@operator("LabelEncoder", since=4, domain=ML, variant="tensors")
def label_encoder_by_tensors(d):
    source, target = (d.pick(["int64", "string", "float", "double"]) for _ in range(2))
    count = d.int(1, 4)

    def tensor(kind, numbers):
        given = [KEYS[n] for n in numbers] if kind == "string" else numbers
        shape = [1] if len(numbers) == 1 else [len(numbers)]
        return helper.make_tensor("t", draw.onnx_code(draw.numpy_dtype(kind)), shape, given)

    attributes = {"keys_tensor": tensor(source, d.permutation(6)[:count]),
                  "values_tensor": tensor(target, [d.int(0, 5) for _ in range(count)]),
                  "default_tensor": tensor(target, [5])}
    x = np.asarray(d.random.integers(0, 6, tuple(d.shape(0, 4))))
    if source == "string":
        words = np.empty(x.shape, object)
        words.reshape(-1)[:] = [KEYS[i] for i in x.reshape(-1)]
        return Case([words], attributes)
    return Case([x.astype(draw.numpy_dtype(source))], attributes)


@operator("DictVectorizer", domain=ML)
def dict_vectorizer(d):
    if d.maybe():
        keys, given = list(KEYS[:4]), {"string_vocabulary": list(KEYS[:4])}
    else:
        keys, given = [3, 1, 7, 9], {"int64_vocabulary": [3, 1, 7, 9]}
    chosen = [keys[i] for i in d.permutation(4)[: d.int(1, 4)]]
    value = d.pick(["float", "int64", "string", "double"])
    if (value == "int64") and isinstance(keys[0], int):
        value = "float"
    if value == "string" and isinstance(keys[0], str):
        value = "double"
    x = {k: v for k, v in zip(chosen, d.array(value, [len(chosen)]).tolist())}
    vocabulary = next(iter(given.values()))
    zero = "" if value == "string" else 0

    def dense():
        return [np.array([[x.get(k, zero) for k in vocabulary]], draw.numpy_dtype(value))]

    key = "string" if isinstance(keys[0], str) else "int64"
    return Case([x], given, numpy=dense, types={0: map_type(key, value)})


def map_type(key, value):
    element = helper.make_tensor_type_proto(draw.onnx_code(draw.numpy_dtype(value)), None)
    return helper.make_map_type_proto(draw.onnx_code(draw.numpy_dtype(key)), element)


@operator("CastMap", domain=ML)
def cast_map(d):
    value, target = d.pick(["float", "string"]), d.pick(["TO_FLOAT", "TO_INT64"])
    target = "TO_STRING" if value == "string" and d.maybe(0.4) else target
    keys = sorted(d.permutation(7)[: d.int(1, 4)])
    numbers = [d.int(0, 50) for _ in keys]
    x = {k: (str(n) if value == "string" else float(n)) for k, n in zip(keys, numbers)}
    sparse = target != "TO_STRING" and d.maybe()
    kind = {"TO_FLOAT": np.float32, "TO_INT64": np.int64, "TO_STRING": object}[target]

    def cast():
        size = 8 if sparse else len(keys)
        out = np.full((1, size), 0, kind)
        for i, (k, n) in enumerate(zip(keys, numbers)):
            out[0, k if sparse else i] = str(n) if kind is object else n
        return [out]

    attributes = {"cast_to": target, "map_form": "SPARSE" if sparse else "DENSE"}
    attributes |= {"max_map": 8} if sparse else {}
    return Case([x], attributes, types={0: map_type("int64", value)},
                numpy=cast)


@operator("ZipMap", domain=ML)
def zip_map(d):
    width = d.int(1, 4)
    names = [f"c{i}" for i in range(width)]
    keys = names if d.maybe() else d.permutation(width)
    x = d.array("float", [width] if d.maybe(0.3) else [d.int(1, 4), width])
    given = {"classlabels_strings" if keys is names else "classlabels_int64s": keys}
    return Case([x], given, numpy=lambda: [[dict(zip(keys, row)) for row in np.atleast_2d(x)]])
