"""Between numpy and the library's values."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _native
from ._errors import InvalidArgument

Array = np.ndarray[Any, Any]

TENSOR, SEQUENCE, MAP, OPTIONAL = 1, 2, 3, 4
STRING = 8

# treadle_dtype by the name of numpy's or ml_dtypes' type.
_CODES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
    "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13, "complex64": 14,
    "complex128": 15, "bfloat16": 16, "float8_e4m3fn": 17, "float8_e4m3fnuz": 18,
    "float8_e5m2": 19, "float8_e5m2fnuz": 20, "uint4": 21, "int4": 22, "float4_e2m1fn": 23,
    "float8_e8m0fnu": 24, "uint2": 25, "int2": 26, "float6_e2m3fn": 27, "float6_e3m2fn": 28,
}
_NAMES = {code: name for name, code in _CODES.items()}
# Of packed elements, which follow each other from the lowest bit on.
_BITS = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2, 27: 6, 28: 6}
_NUMPY: dict[int, np.dtype[Any]] = {}


def numpy_dtype(code: int) -> np.dtype[Any]:
    """numpy's (or ml_dtypes') dtype of a treadle_dtype."""
    if code == STRING:
        return np.dtype(object)
    if code not in _NUMPY:
        name = _NAMES.get(code)
        if name is None:
            raise InvalidArgument(f"there is no element type {code}, expected a number of "
                                  "onnx.TensorProto.DataType")
        if hasattr(np, name) or name == "bool":
            _NUMPY[code] = np.dtype(name)
        else:
            import ml_dtypes

            _NUMPY[code] = np.dtype(getattr(ml_dtypes, name))
    return _NUMPY[code]


def dtype_code(dtype: np.dtype[Any]) -> int:
    """The treadle_dtype of numpy's dtype."""
    if dtype.kind in "OUST":
        return STRING
    code = _CODES.get(dtype.name)
    if code is None:
        raise InvalidArgument(f"no element type of the library is numpy's {dtype}")
    return code


def _pack(array: Array, bits: int) -> Array:
    flat = array.reshape(-1).view(np.uint8)
    return np.packbits(np.unpackbits(flat[:, None], axis=1, count=bits, bitorder="little"),
                       bitorder="little")


def _unpack(data: Array, code: int, dims: list[int]) -> Array:
    bits = _BITS[code]
    count = int(np.prod(dims, dtype=np.int64))
    each = np.unpackbits(data, count=count * bits, bitorder="little").reshape(count, bits)
    flat = np.packbits(each, axis=1, bitorder="little").reshape(count)
    if _NAMES[code].startswith("int"):  # ml_dtypes wants the sign in the whole byte
        sign = 1 << (bits - 1)
        flat = (flat ^ sign) - np.uint8(sign)
    return flat.astype(np.uint8).view(numpy_dtype(code)).reshape(dims)


def _text(element: Any) -> bytes:
    return element if isinstance(element, bytes) else str(element).encode(errors="surrogateescape")


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _dense(array: Array) -> Array:
    """The array itself when its elements lie aligned, row-major and in this machine's byte order,
    else a copy that has them so."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    array = np.asarray(array, order="C")
    return array.copy() if array.itemsize and _address(array) % array.itemsize else array


def tensor(array: Array) -> _native.Value:
    """A value over a numpy array; its bytes are shared where `_dense` shares them."""
    code = dtype_code(array.dtype)
    dims = list(array.shape)
    if code == STRING:
        return _native.Value.strings([_text(e) for e in array.reshape(-1).tolist()], dims)
    array = _dense(array)
    if code in _BITS:
        data = _pack(array, _BITS[code])
    elif array.size == 0:
        data = np.empty(0, np.uint8)
    else:
        data = array.reshape(-1).view(np.uint8)
    return _native.Value.tensor(data, code, dims)


def to_value(x: Any, wanted: str = "") -> _native.Value:
    """A value of what a user passes: arrays, anything that numpy or DLPack reads, lists of arrays
    (sequences), dicts (maps), None (an empty optional). `wanted`: the declared type's text."""
    if isinstance(x, _native.Value):
        return x
    if hasattr(x, "_value"):  # OrtValue
        return to_value(x._value)
    if wanted.startswith("optional("):
        inner = wanted[len("optional("):-1]
        return _native.Value.optional(None if x is None else to_value(x, inner))
    if wanted.startswith("seq(") or (isinstance(x, (list, tuple)) and not wanted):
        return _native.Value.sequence([to_value(e, wanted[len("seq("):-1]) for e in x])
    if isinstance(x, dict):
        if wanted and not wanted.startswith("map("):
            raise InvalidArgument("got dict")
        keys, _, values = wanted.removeprefix("map(").removesuffix(")").partition(",")
        return _native.Value.map(tensor(as_array(list(x.keys()), f"tensor({keys})")),
                                 tensor(as_array(list(x.values()), values)))
    if hasattr(x, "__dlpack__") and not isinstance(x, (np.ndarray, np.generic)):
        return from_dlpack(x)
    return tensor(as_array(x, wanted))


def from_dlpack(x: Any) -> _native.Value:
    """A value that shares a DLPack tensor's bytes (copies them where they are strided)."""
    try:
        return tensor(np.from_dlpack(x))
    except (BufferError, RuntimeError):  # numpy knows neither bfloat16 nor read-only tensors
        try:
            return _native.Value.from_dlpack(x)
        except TypeError:
            raise InvalidArgument(f"got a {type(x).__name__} that is not a dense tensor in the "
                                  "processor's memory") from None


def as_array(x: Any, wanted: str = "") -> Array:
    """`x` as a numpy array; Python numbers take the declared element type."""
    array: Array = np.asarray(x)
    code = onnx_dtype(wanted)
    if code not in (None, STRING):
        if array.dtype.kind in "OUST":
            raise InvalidArgument(f"got {type(x).__name__}, which numpy reads as {array.dtype}")
        if isinstance(x, (bool, int, float, list, tuple)):
            array = as_dtype(array, numpy_dtype(code))
    return array


def as_dtype(array: Array, dtype: np.dtype[Any]) -> Array:
    """The array in another dtype; ValueError where that is of integers and a number is none."""
    with np.errstate(invalid="ignore"):  # such numbers are found below
        made = array.astype(dtype, casting="unsafe", copy=False)
    to_integers = dtype.name.removeprefix("u").startswith("int")  # ml_dtypes' have no kind
    if to_integers and array.dtype.kind in "iuf" and not np.can_cast(array.dtype, dtype):
        same = (made.astype(array.dtype) == array) & ((made < 0) == (array < 0))
        if not same.all():
            raise ValueError(f"{array[~same].flat[0]} is no {dtype}")
    return made


_ONNX = {"float": 1, "double": 11, "string": 8, "float8e4m3fn": 17, "float8e4m3fnuz": 18,
         "float8e5m2": 19, "float8e5m2fnuz": 20, "float8e8m0": 24, "float4e2m1": 23,
         "float6e2m3": 27, "float6e3m2": 28}
_ONNX_NAMES = {code: name for name, code in _ONNX.items()}


def onnx_dtype(text: str) -> int | None:
    """The treadle_dtype in "tensor(float)"; None when there is none."""
    if not text.startswith("tensor("):
        return None
    name = text[len("tensor("):-1]
    return _ONNX.get(name, _CODES.get(name))


def to_numpy(value: _native.Value) -> Any:
    """Arrays (which own or share the value's bytes), lists, dicts, None."""
    kind = value.kind
    if kind == TENSOR:
        code, dims = value.dtype, value.dims
        if code == STRING:
            texts = np.empty(dims, object)
            texts.reshape(-1)[:] = [t.decode(errors="surrogateescape") for t in value.texts()]
            return texts
        if code in _BITS:
            return _unpack(value.data(), code, dims)
        return value.data().view(numpy_dtype(code)).reshape(dims)
    elements = value.elements()
    if kind == SEQUENCE:
        return [to_numpy(e) for e in elements]
    if kind == MAP:
        keys, values = (to_numpy(e) for e in elements)
        return dict(zip(keys.tolist(), values.tolist()))
    return to_numpy(elements[0]) if elements else None


def shared(value: _native.Value) -> bool:
    """Whether `to_numpy` gives an array over the value's own bytes."""
    return value.kind == TENSOR and value.dtype != STRING and value.dtype not in _BITS


def type_text(value: _native.Value) -> str:
    """A value's type, as onnxruntime spells it."""
    elements = value.elements()
    if value.kind == MAP:
        key = type_text(elements[0])[len("tensor("):-1]
        return f"map({key},{type_text(elements[1])})"
    if value.kind != TENSOR:
        kind = "seq" if value.kind == SEQUENCE else "optional"
        return f"{kind}({type_text(elements[0])})" if elements else kind
    name = _ONNX_NAMES.get(value.dtype) or _NAMES[value.dtype]
    return f"tensor({name})"


def place(name: str, array: Any) -> _native.Value:
    """A value whose bytes are those of `array` (or of a DLPack tensor that numpy can look at), to
    be written by a run as output `name`."""
    if hasattr(array, "__dlpack__") and not isinstance(array, np.ndarray):
        try:
            array = np.from_dlpack(array)
        except (BufferError, RuntimeError) as e:
            raise InvalidArgument(f"output '{name}' cannot be written into this: {e}") from None
    if not (isinstance(array, np.ndarray) and array.flags.writeable
            and _address(_dense(array)) == _address(array)):
        raise InvalidArgument(f"output '{name}' is written into a dense, aligned, writable, "
                              "row-major numpy array")
    value = tensor(array)
    if not shared(value):
        raise InvalidArgument(f"output '{name}' cannot be written into an array of {array.dtype}")
    return value
