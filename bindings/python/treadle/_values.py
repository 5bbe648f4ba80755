"""Between numpy and the library's values."""

import numpy as np

from . import _native
from ._errors import InvalidArgument

TENSOR, SEQUENCE, MAP, OPTIONAL = 1, 2, 3, 4
STRING = 8

# treadle_dtype by the name of numpy's or ml_dtypes' type.
_CODES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
    "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13, "complex64": 14,
    "complex128": 15, "bfloat16": 16, "float8_e4m3fn": 17, "float8_e4m3fnuz": 18,
    "float8_e5m2": 19, "float8_e5m2fnuz": 20, "uint4": 21, "int4": 22, "float4_e2m1fn": 23,
    "float8_e8m0fnu": 24, "uint2": 25, "int2": 26,
}
_NAMES = {code: name for name, code in _CODES.items()}
_BITS = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2}  # packed, the first element in the lowest bits
_NUMPY = {}


def numpy_dtype(code):
    """numpy's (or ml_dtypes') dtype of a treadle_dtype."""
    if code == STRING:
        return np.dtype(object)
    if code not in _NUMPY:
        name = _NAMES[code]
        if hasattr(np, name) or name == "bool":
            _NUMPY[code] = np.dtype(name)
        else:
            import ml_dtypes

            _NUMPY[code] = np.dtype(getattr(ml_dtypes, name))
    return _NUMPY[code]


def dtype_code(dtype):
    """The treadle_dtype of numpy's dtype."""
    if dtype.kind in "OUST":
        return STRING
    code = _CODES.get(dtype.name)
    if code is None:
        raise InvalidArgument(f"no element type of the library is numpy's {dtype}")
    return code


def _pack(array, bits):
    flat = array.reshape(-1).view(np.uint8) & ((1 << bits) - 1)
    each = 8 // bits
    flat = np.concatenate([flat, np.zeros(-len(flat) % each, np.uint8)]).reshape(-1, each)
    return np.bitwise_or.reduce(flat << (np.arange(each, dtype=np.uint8) * bits), axis=1,
                                dtype=np.uint8)


def _unpack(data, code, dims):
    bits = _BITS[code]
    each = 8 // bits
    count = int(np.prod(dims, dtype=np.int64))
    flat = (data[:, None] >> (np.arange(each, dtype=np.uint8) * bits)) & ((1 << bits) - 1)
    flat = flat.reshape(-1)[:count]
    if _NAMES[code].startswith("int"):  # ml_dtypes wants the sign in the whole byte
        sign = 1 << (bits - 1)
        flat = (flat ^ sign) - np.uint8(sign)
    return flat.astype(np.uint8).view(numpy_dtype(code)).reshape(dims)


def _text(element):
    return element if isinstance(element, bytes) else str(element).encode()


def tensor(array):
    """A value over a numpy array: its bytes are not copied when they lie densely in row-major
    order and in this machine's byte order."""
    code = dtype_code(array.dtype)
    if code == STRING:
        return _native.Value.strings([_text(e) for e in array.reshape(-1).tolist()],
                                     list(array.shape))
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    array = np.asarray(array, order="C")
    dims = list(array.shape)
    if code in _BITS:
        data = _pack(array, _BITS[code])
    elif array.size == 0:
        data = np.empty(0, np.uint8)
    else:
        data = array.reshape(-1).view(np.uint8)
    return _native.Value.tensor(data, code, dims)


def to_value(x, like=None):
    """A value of what a user passes: arrays, anything that numpy or DLPack reads, lists of arrays
    (sequences), dicts (maps), None (an empty optional). `like`: the declared type's text."""
    if isinstance(x, _native.Value):
        return x
    if hasattr(x, "_value"):  # OrtValue
        return x._value
    wanted = like or ""
    if wanted.startswith("optional("):
        inner = wanted[len("optional("):-1]
        return _native.Value.optional(None if x is None else to_value(x, inner))
    if wanted.startswith("seq(") or (isinstance(x, (list, tuple)) and not wanted):
        return _native.Value.sequence([to_value(e, wanted[len("seq("):-1]) for e in x])
    if isinstance(x, dict):
        return _native.Value.map(tensor(np.asarray(list(x.keys()))),
                                 tensor(np.asarray(list(x.values()))))
    return tensor(as_array(x, wanted))


def as_array(x, wanted=""):
    """`x` as a numpy array, sharing its bytes where it can; Python numbers take the declared
    element type."""
    if isinstance(x, np.ndarray):
        return x
    if hasattr(x, "__dlpack__") and not isinstance(x, np.generic):
        try:
            return np.from_dlpack(x)
        except (BufferError, RuntimeError, TypeError, AttributeError):
            pass
    array = np.asarray(x)
    if isinstance(x, (bool, int, float, list, tuple)) and wanted.startswith("tensor("):
        target = onnx_dtype(wanted)
        if target is not None and target != STRING:
            array = array.astype(numpy_dtype(target), casting="unsafe")
    return array


_ONNX = {"float": 1, "double": 11, "string": 8, "float8e4m3fn": 17, "float8e4m3fnuz": 18,
         "float8e5m2": 19, "float8e5m2fnuz": 20, "float8e8m0": 24, "float4e2m1": 23}


def onnx_dtype(text):
    """The treadle_dtype in "tensor(float)"; None when there is none."""
    if not text.startswith("tensor("):
        return None
    name = text[len("tensor("):-1]
    return _ONNX.get(name, _CODES.get(name))


def to_numpy(value):
    """Arrays (which own or share the value's bytes), lists, dicts, None."""
    kind = value.kind
    if kind == TENSOR:
        code, dims = value.dtype, value.dims
        if code == STRING:
            texts = np.empty(dims, object)
            texts.reshape(-1)[:] = [t.decode(errors="surrogateescape") for t in value.texts()]
            return texts
        if code in _BITS:
            return _unpack(value.bytes(), code, dims)
        return value.bytes().view(numpy_dtype(code)).reshape(dims)
    elements = value.elements()
    if kind == SEQUENCE:
        return [to_numpy(e) for e in elements]
    if kind == MAP:
        keys, values = (to_numpy(e) for e in elements)
        return dict(zip(keys.tolist(), values.tolist()))
    return to_numpy(elements[0]) if elements else None


def place(array):
    """A value whose bytes are those of `array`, to be written by a run."""
    if not (isinstance(array, np.ndarray) and array.flags.c_contiguous and array.flags.writeable
            and array.dtype.isnative):
        raise InvalidArgument("an output is written into a dense, writable, row-major numpy array")
    code = dtype_code(array.dtype)
    if code == STRING or code in _BITS:
        raise InvalidArgument(f"no output can be placed in an array of {array.dtype}")
    return tensor(array)
