"""onnxruntime's names for values and for the devices where they lie: here, the CPU alone."""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _native, _values
from ._errors import DeviceError, InvalidArgument, Unsupported

Array = np.ndarray[Any, Any]


class OrtAllocatorType(enum.IntEnum):
    """Accepted, and without effect."""

    INVALID = -1
    ORT_DEVICE_ALLOCATOR = 0
    ORT_ARENA_ALLOCATOR = 1


class OrtMemType(enum.IntEnum):
    """Accepted, and without effect."""

    CPU_INPUT = -2
    CPU_OUTPUT = -1
    CPU = -1
    DEFAULT = 0


class OrtDevice:
    """The CPU, as `OrtDevice.make("cpu", 0)` names it."""

    def __init__(self, device_id: int = 0) -> None:
        self._id = device_id

    @staticmethod
    def make(ort_device_name: str, device_id: int, vendor_id: int = -1) -> OrtDevice:
        """The device of this name; there is no other than "cpu"."""
        check_device(ort_device_name)
        return OrtDevice(device_id)

    @staticmethod
    def cpu() -> int:
        """The number of the type that the CPU has."""
        return 0

    def device_id(self) -> int:
        """As it was made."""
        return self._id

    def device_type(self) -> int:
        """0, the CPU's."""
        return self.cpu()

    def device_mem_type(self) -> int:
        """0, the ordinary memory."""
        return 0

    def device_vendor_id(self) -> int:
        """0: none."""
        return 0


class OrtMemoryInfo:
    """Where a value lies."""

    def __init__(self, name: str, allocator_type: OrtAllocatorType, device_id: int,
                 mem_type: OrtMemType) -> None:
        check_device(name)
        self.name = name
        self.allocator_type = allocator_type
        self.device_id = device_id
        self.mem_type = mem_type


def cpu_memory() -> OrtMemoryInfo:
    """Where all values lie."""
    return OrtMemoryInfo("Cpu", OrtAllocatorType.ORT_DEVICE_ALLOCATOR, 0, OrtMemType.DEFAULT)


def check_device(name: str) -> None:
    if name.lower() != "cpu":
        raise DeviceError(f"there is no device '{name}', expected 'cpu'")


def _dtype_of(element_type: Any) -> np.dtype[Any]:
    """numpy's dtype of what onnxruntime takes for one: ONNX's number, or anything numpy knows."""
    is_number = isinstance(element_type, int)
    return _values.numpy_dtype(element_type) if is_number else np.dtype(element_type)


def value_at(element_type: Any, shape: Sequence[int], address: int) -> _native.Value:
    dtype = _dtype_of(element_type)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if not address and size:
        raise InvalidArgument(f"a null pointer is given for {dtype} {list(shape)}")
    memory = (ctypes.c_uint8 * size).from_address(address)
    return _values.tensor(np.frombuffer(memoryview(memory), dtype).reshape(shape))


class OrtValue:
    """A value that is passed between sessions without conversion."""

    def __init__(self, value: _native.Value) -> None:
        self._value = value

    @staticmethod
    def ortvalue_from_numpy(numpy_obj: Array, device_type: str = "cpu",
                            device_id: int = 0) -> OrtValue:
        """A value over the array's bytes (a copy of them where the array is not contiguous, or
        read-only)."""
        check_device(device_type)
        array = np.asarray(numpy_obj)
        return OrtValue(_values.tensor(array if array.flags.writeable else array.copy()))

    @staticmethod
    def ortvalue_from_numpy_with_onnx_type(data: Array, onnx_element_type: int) -> OrtValue:
        """A value over bytes that numpy has no name for, such as bfloat16 in an array of uint16."""
        array = np.array(data, order="C")
        return OrtValue(_values.tensor(array.view(_values.numpy_dtype(onnx_element_type))))

    @staticmethod
    def ortvalue_from_shape_and_type(shape: Sequence[int], element_type: Any,
                                     device_type: str = "cpu", device_id: int = 0) -> OrtValue:
        """A tensor of zeros; element_type is numpy's, or ONNX's number."""
        check_device(device_type)
        return OrtValue(_values.tensor(np.zeros(shape, _dtype_of(element_type))))

    @staticmethod
    def from_dlpack(data: Any) -> OrtValue:
        """A value that shares the bytes of a DLPack tensor."""
        return OrtValue(_values.from_dlpack(data))

    def numpy(self) -> Any:
        """An array that shares the bytes; of sequences a list, of maps a dict."""
        return _values.to_numpy(self._value)

    def shape(self) -> list[int]:
        """The dimensions."""
        return list(self._value.dims)

    def element_type(self) -> int:
        """ONNX's number of the element type."""
        return self._value.dtype

    def data_type(self) -> str:
        """As onnxruntime spells it: "tensor(float)"."""
        return _values.type_text(self._value)

    def device_name(self) -> str:
        """ "cpu"."""
        return "cpu"

    def data_ptr(self) -> int:
        """The address of the first element."""
        return int(self._value.data().ctypes.data)

    def is_tensor(self) -> bool:
        """Whether it is a tensor."""
        return self._value.kind == _values.TENSOR

    def is_tensor_sequence(self) -> bool:
        """Whether it is a sequence."""
        return self._value.kind == _values.SEQUENCE

    def is_sparse_tensor(self) -> bool:
        """False: sparse tensors are made dense when a model is loaded."""
        return False

    @staticmethod
    def ort_value_from_sparse_tensor(sparse_tensor: SparseTensor) -> OrtValue:
        """Unsupported."""
        raise Unsupported("there are no sparse values: pass the dense array")

    def as_sparse_tensor(self) -> SparseTensor:
        """Unsupported."""
        raise Unsupported(f"the value is a dense {self.data_type()}")

    def has_value(self) -> bool:
        """False for an optional that is empty."""
        return self._value.kind != _values.OPTIONAL or bool(self._value.elements())

    def tensor_size_in_bytes(self) -> int:
        """The size of the elements."""
        return int(self._value.data().nbytes)

    def update_inplace(self, data: Array) -> None:
        """Writes the array's elements into the value; dtype and shape must be the same."""
        array = np.asarray(data)
        target = self.numpy()
        if target.shape != array.shape or target.dtype != array.dtype:
            raise InvalidArgument(f"the value is {target.dtype} {list(target.shape)}, "
                                  f"got {array.dtype} {list(array.shape)}")
        if not _values.shared(self._value):
            raise Unsupported(f"a value of {self.data_type()} cannot be updated in place")
        target[...] = array

    def __reduce__(self) -> tuple[Any, ...]:
        return OrtValue.ortvalue_from_numpy, (self.numpy(),)

    def __dlpack__(self, **options: Any) -> Any:
        return self._value.dlpack().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # kDLCPU

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)


class OrtValueVector(list[OrtValue]):
    """A list, as `run_with_ortvaluevector` takes and fills it."""

    def push_back(self, value: OrtValue) -> None:
        """Appends a value."""
        self.append(value)


class SparseTensor:
    """Not to be made: what a model's file holds in sparse form is made dense when it is loaded, and
    runs take and give dense tensors only."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise Unsupported("there are no sparse values: pass the dense array")

    @staticmethod
    def sparse_coo_from_numpy(dense_shape: Any, values: Array, coo_indices: Array,
                              ort_device: OrtDevice) -> SparseTensor:
        """Unsupported."""
        return SparseTensor()

    @staticmethod
    def sparse_csr_from_numpy(dense_shape: Any, values: Array, inner_indices: Array,
                              outer_indices: Array, ort_device: OrtDevice) -> SparseTensor:
        """Unsupported."""
        return SparseTensor()
