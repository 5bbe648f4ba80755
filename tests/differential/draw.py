"""Random legal dtypes, shapes and elements, drawn for one case of an operator."""
import functools

import ml_dtypes
import numpy as np
import onnx

FLOATS = ("float", "double", "float16", "bfloat16")
COMMON = ("float", "double", "float16")  # what onnxruntime computes in most operators
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
NUMBERS = FLOATS + INTEGERS
SMALL = ("uint4", "int4", "uint2", "int2")
FLOAT8 = ("float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz")
ALL = NUMBERS + ("bool", "string")

_ML = {"bfloat16": "bfloat16", "float8e4m3fn": "float8_e4m3fn",
       "float8e4m3fnuz": "float8_e4m3fnuz", "float8e5m2": "float8_e5m2",
       "float8e5m2fnuz": "float8_e5m2fnuz", "float4e2m1": "float4_e2m1fn",
       "float8e8m0": "float8_e8m0fnu", "float6e2m3": "float6_e2m3fn",
       "float6e3m2": "float6_e3m2fn", "uint4": "uint4", "int4": "int4", "uint2": "uint2",
       "int2": "int2"}
_NUMPY = {"float": "float32", "double": "float64"}
WORDS = ("", "a", "ab", "B c", "grüße", "0", "-7", "3.5", "nan", "a,b", "été", "x y  z")


def numpy_dtype(name):
    """numpy's dtype of ONNX's name of an element type."""
    if name == "string":
        return np.dtype(object)
    if name in _ML:
        return np.dtype(getattr(ml_dtypes, _ML[name]))
    return np.dtype(_NUMPY.get(name, name))


@functools.cache
def onnx_code(dtype):
    """ONNX's number of numpy's dtype."""
    if dtype.kind in "OUST":
        return onnx.TensorProto.STRING
    return onnx.helper.np_dtype_to_tensor_dtype(dtype)


class Draw:
    """The source of one case: random, of a fixed seed, and bound to one version of an operator."""

    def __init__(self, seed, schema=None, opset=1):
        self.random = np.random.default_rng(seed)
        self.schema = schema
        self.opset = opset

    # ---- Choices

    def int(self, low, high):
        """An integer of [low, high]."""
        return int(self.random.integers(low, high + 1))

    def float(self, low, high):
        return float(np.float32(self.random.uniform(low, high)))

    def pick(self, choices):
        return choices[self.int(0, len(choices) - 1)]

    def maybe(self, chance=0.5):
        return bool(self.random.random() < chance)

    def some(self, **attributes):
        """A random part of the attributes."""
        return {k: v for k, v in attributes.items() if self.maybe()}

    def dtype(self, among=NUMBERS, of="T"):
        """One of `among` that the operator's schema allows for its type variable `of`."""
        if self.schema is not None:
            allowed = self.allowed(of)
            among = [d for d in among if d in allowed]
        return self.pick(among)

    def allowed(self, of="T"):
        """The element types that the schema allows for a type variable."""
        for constraint in self.schema.type_constraints:
            if constraint.type_param_str == of:
                return {t[len("tensor("):-1] for t in constraint.allowed_type_strs
                        if t.startswith("tensor(")}
        raise KeyError(f"{self.schema.name} has no type variable {of}")

    # ---- Shapes

    def dim(self, empty=0.04):
        """A size: 0 seldom, 1 often."""
        at = self.random.random()
        return 0 if at < empty else 1 if at < 0.2 else self.int(2, 6)

    def rank(self, low=0, high=6):
        return min(max(low, self.pick((0, 1, 1, 2, 2, 3, 3, 4, 5, 6))), high)

    def shape(self, low=0, high=6, empty=0.04, limit=2000):
        """A shape of a rank in [low, high], of at most `limit` elements."""
        dims = [self.dim(empty) for _ in range(self.rank(low, high))]
        while np.prod(dims, dtype=np.int64) > limit:
            dims[int(np.argmax(dims))] = self.int(1, 2)
        return dims

    def broadcast(self, count, high=6, empty=0.04):
        """Shapes that broadcast with one another (ONNX: as numpy's)."""
        full = self.shape(0, high, empty)
        return [[1 if self.maybe(0.25) else d for d in full[self.int(0, len(full)):]]
                if i and self.maybe(0.7) else list(full) for i in range(count)]

    def broadcast_to(self, shape):
        """A shape that broadcasts to `shape` in one direction."""
        return [1 if self.maybe(0.3) else d for d in shape[self.int(0, len(shape)):]]

    def axis(self, rank):
        return self.int(-rank, rank - 1)

    def axes(self, rank, low=0):
        """Different axes, some counted from the end."""
        chosen = self.random.permutation(rank)[: self.int(min(low, rank), rank)]
        return [int(a) - rank * self.int(0, 1) for a in chosen]

    # ---- Elements

    def array(self, dtype, shape, low=-3.0, high=3.0, edges=0.0):
        """Elements of [low, high] (as far as the dtype has them); `edges`: the chance of NaN,
        infinities and zeros of both signs in an array of floats, of extremes in one of integers."""
        kind = numpy_dtype(dtype)
        shape = tuple(shape)
        if dtype == "string":
            words = np.empty(shape, object)
            words.reshape(-1)[:] = [self.pick(WORDS) for _ in range(words.size)]
            return words
        if dtype == "bool":
            return self.random.random(shape) < 0.5
        if dtype in INTEGERS + SMALL:
            return self._integers(dtype, kind, shape, low, high, edges)
        values = self.random.uniform(low, high, shape)
        if edges and self.maybe(edges):
            odd = self.random.choice([np.nan, np.inf, -np.inf, 0.0, -0.0], shape)
            values = np.where(self.random.random(shape) < 0.3, odd, values)
        if dtype.startswith("complex"):
            values = values + 1j * self.random.uniform(low, high, shape)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(values).astype(kind)

    def _integers(self, dtype, kind, shape, low, high, edges):
        bits = int(dtype.lstrip("uint"))
        least = 0 if dtype[0] == "u" else -(2 ** (bits - 1))
        most = least + 2**bits - 1
        low, high = max(int(np.floor(low)), least), min(int(np.ceil(high)), most)
        values = self.random.integers(low, max(low, high), shape, endpoint=True,
                                      dtype=np.uint64 if low >= 0 else np.int64)
        values = np.asarray(values).astype(kind)
        if edges and self.maybe(edges):
            at = self.random.random(shape)
            values = np.where(at < 0.2, np.asarray(least).astype(kind),
                              np.where(at < 0.4, np.asarray(most).astype(kind), values))
        return np.asarray(values)

    def indices(self, shape, size, dtype="int64", negative=True):
        """Indices into an axis of `size`."""
        values = self.random.integers(-size if negative else 0, size, tuple(shape)) if size else \
            np.zeros(tuple(shape), np.int64)
        return np.asarray(values).astype(numpy_dtype(dtype))

    def permutation(self, count):
        return [int(i) for i in self.random.permutation(count)]
