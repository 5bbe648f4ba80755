"""The face of onnxruntime over treadle.Model, so that scripts run with `import treadle as ort`."""

import concurrent.futures
import ctypes
import enum
import json
import os
import time

import numpy as np

from . import _native, _values
from ._errors import Cancelled, InvalidArgument, Unsupported
from ._model import Model


class GraphOptimizationLevel(enum.IntEnum):
    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class SessionOptions:
    """What is read: intra_op_num_threads, graph_optimization_level (all levels but DISABLE_ALL mean
    the whole pipeline), enable_profiling, profile_file_prefix, optimized_model_filepath. The other
    fields are accepted, and change nothing."""

    def __init__(self):
        self.intra_op_num_threads = 0
        self.inter_op_num_threads = 0
        self.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.execution_mode = ExecutionMode.ORT_SEQUENTIAL
        self.enable_profiling = False
        self.profile_file_prefix = "treadle_profile"
        self.optimized_model_filepath = ""
        self.enable_mem_pattern = True
        self.enable_mem_reuse = True
        self.enable_cpu_mem_arena = True
        self.use_deterministic_compute = False
        self.log_severity_level = 2
        self.log_verbosity_level = 0
        self.logid = ""
        self._entries = {}

    def add_session_config_entry(self, key, value):
        self._entries[key] = value

    def get_session_config_entry(self, key):
        return self._entries[key]

    def add_free_dimension_override_by_name(self, name, value):
        raise Unsupported("free dimensions cannot be fixed: shapes are planned at the first run")

    def register_custom_ops_library(self, path):
        raise Unsupported(f"'{path}' is a library of onnxruntime's operators")


class RunOptions:
    def __init__(self):
        self.log_severity_level = 2
        self.log_verbosity_level = 0
        self.logid = ""
        self.terminate = False
        self.only_execute_path_to_fetches = True
        self.timeout_seconds = 0.0
        self._entries = {}

    def add_run_config_entry(self, key, value):
        self._entries[key] = value

    def get_run_config_entry(self, key):
        return self._entries[key]


class ModelMetadata:
    def __init__(self, metadata):
        known = ("producer_name", "producer_version", "domain", "model_version")
        self.producer_name = metadata.get("producer_name", "")
        self.domain = metadata.get("domain", "")
        self.version = int(metadata.get("model_version", 0))
        # The library does not keep these apart.
        self.description = self.graph_name = self.graph_description = ""
        self.custom_metadata_map = {k: v for k, v in metadata.items() if k not in known}


def _dtype_of(element_type):
    """numpy's dtype of what onnxruntime takes for one: ONNX's number, or anything numpy knows."""
    is_number = isinstance(element_type, int)
    return _values.numpy_dtype(element_type) if is_number else np.dtype(element_type)


def _value_at(element_type, shape, address):
    dtype = _dtype_of(element_type)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = (ctypes.c_uint8 * size).from_address(address)
    return _values.tensor(np.frombuffer(memory, dtype).reshape(shape))


class OrtValue:
    """A value that is passed between sessions without conversion."""

    def __init__(self, value):
        self._value = value

    @staticmethod
    def ortvalue_from_numpy(array, device_type="cpu", device_id=0):
        # A copy: the value does not follow later writes to the array.
        return OrtValue(_values.to_value(np.array(array, order="C")))

    @staticmethod
    def ortvalue_from_numpy_with_onnx_type(array, onnx_element_type):
        array = np.array(array, order="C")
        return OrtValue(_values.tensor(array.view(_values.numpy_dtype(onnx_element_type))))

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        return OrtValue(_values.tensor(np.zeros(shape, _dtype_of(element_type))))

    @staticmethod
    def from_dlpack(data, is_bool_tensor=False):
        array = np.from_dlpack(data)
        return OrtValue(_values.tensor(array.view(np.bool_) if is_bool_tensor else array))

    def numpy(self):
        return _values.to_numpy(self._value)

    def shape(self):
        return list(self._value.dims)

    def element_type(self):
        return self._value.dtype

    def data_type(self):
        kinds = {_values.SEQUENCE: "seq", _values.MAP: "map", _values.OPTIONAL: "optional"}
        if self._value.kind in kinds:
            return kinds[self._value.kind]
        return f"tensor({_type_name(self._value.dtype)})"

    def device_name(self):
        return "cpu"

    def data_ptr(self):
        return self._value.bytes().ctypes.data

    def is_tensor(self):
        return self._value.kind == _values.TENSOR

    def is_tensor_sequence(self):
        return self._value.kind == _values.SEQUENCE

    def is_sparse_tensor(self):
        return False

    def has_value(self):
        return self._value.kind != _values.OPTIONAL or bool(self._value.elements())

    def tensor_size_in_bytes(self):
        return self._value.bytes().nbytes

    def update_inplace(self, array):
        target = self.numpy()
        array = np.asarray(array)
        if target.shape != array.shape or target.dtype != array.dtype:
            raise InvalidArgument(f"the value is {target.dtype} {list(target.shape)}, "
                                  f"got {array.dtype} {list(array.shape)}")
        target[...] = array

    def __dlpack__(self, **options):
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self):
        return self.numpy().__dlpack_device__()

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy) if dtype or copy else array


def _type_name(code):
    names = {v: k for k, v in _values._ONNX.items()}
    return names.get(code) or _values._NAMES[code].replace("float32", "float")


class IOBinding:
    """Inputs and outputs that a session runs with again and again."""

    def __init__(self, session):
        self._session = session
        self._inputs = {}
        self._outputs = {}

    def bind_cpu_input(self, name, array):
        self._inputs[name] = _values.to_value(array, self._session._model._types.get(name, ""))

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        self._inputs[name] = _value_at(element_type, shape, buffer_ptr)

    def bind_output(self, name, device_type="cpu", device_id=0, element_type=None, shape=None,
                    buffer_ptr=None):
        self._outputs[name] = (None if buffer_ptr is None
                               else _value_at(element_type, shape, buffer_ptr))

    def bind_ortvalue_input(self, name, value):
        self._inputs[name] = value._value

    def bind_ortvalue_output(self, name, value):
        self._outputs[name] = value._value

    def clear_binding_inputs(self):
        self._inputs.clear()

    def clear_binding_outputs(self):
        self._outputs.clear()

    def synchronize_inputs(self):
        pass

    def synchronize_outputs(self):
        pass

    def _run(self, run_options):
        places = list(self._outputs.values())
        results = self._session._run(list(self._outputs), list(self._inputs),
                                     list(self._inputs.values()), run_options, places)
        self._results = [r if p is None else p for p, r in zip(places, results)]

    def get_outputs(self):
        return [OrtValue(v) for v in self._results]

    def copy_outputs_to_cpu(self):
        return [np.array(_values.to_numpy(v)) for v in self._results]


_RUNNERS = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="treadle")


class InferenceSession:
    """onnxruntime's InferenceSession over treadle: same names, same results. Runs may come from
    several threads at once."""

    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None,
                 **kwargs):
        options = sess_options or SessionOptions()
        self._options = options
        optimize = options.graph_optimization_level != GraphOptimizationLevel.ORT_DISABLE_ALL
        self._model = Model(path_or_bytes, threads=max(0, options.intra_op_num_threads),
                            optimize=optimize)
        self._profiled = None
        self._profile_start = time.monotonic_ns()
        if options.optimized_model_filepath:
            self._model.save(options.optimized_model_filepath)
        if options.enable_profiling:
            self._profiled = self._model.new_session()
            self._profiled.profile(True)

    def __getstate__(self):
        return {"model": self._model, "options": self._options}

    def __setstate__(self, state):
        self._model = state["model"]
        self._options = state["options"]
        self._profiled = None
        self._profile_start = time.monotonic_ns()

    def run(self, output_names, input_feed, run_options=None):
        names, values = self._model.to_values(input_feed)
        return [_values.to_numpy(v) for v in self._run(output_names, names, values, run_options)]

    def _run(self, output_names, names, values, run_options, places=()):
        if run_options is not None and run_options.terminate:
            raise Cancelled("the run was cancelled: RunOptions.terminate is set")
        timeout = run_options.timeout_seconds if run_options is not None else 0.0
        return self._model.run_values(names, values, output_names, places, timeout,
                                      self._profiled)

    def run_with_ort_values(self, output_names, input_dict_ort_values, run_options=None):
        names = list(input_dict_ort_values)
        values = [v._value for v in input_dict_ort_values.values()]
        return [OrtValue(v) for v in self._run(output_names, names, values, run_options)]

    def run_async(self, output_names, input_feed, callback, user_data, run_options=None):
        """Calls callback(results, user_data, error text) from another thread."""
        def work():
            try:
                results = self.run(output_names, input_feed, run_options)
            except Exception as error:
                callback([], user_data, str(error))
            else:
                callback(results, user_data, "")

        _RUNNERS.submit(work)

    def run_with_iobinding(self, iobinding, run_options=None):
        iobinding._run(run_options)

    def io_binding(self):
        return IOBinding(self)

    def get_inputs(self):
        return self._model.inputs

    def get_outputs(self):
        return self._model.outputs

    def get_overridable_initializers(self):
        return []

    def get_modelmeta(self):
        return ModelMetadata(self._model.metadata)

    def get_providers(self):
        return get_available_providers()

    def get_provider_options(self):
        return {name: {} for name in get_available_providers()}

    def get_session_options(self):
        return self._options

    def set_providers(self, providers=None, provider_options=None):
        pass

    def disable_fallback(self):
        pass

    def enable_fallback(self):
        pass

    def get_profiling_start_time_ns(self):
        return self._profile_start

    def end_profiling(self):
        """Writes what the runs' steps took, and returns the file's name."""
        if self._profiled is None:
            return ""
        path = (f"{self._options.profile_file_prefix}_"
                f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.getpid()}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(json.loads(self._profiled.report("profile")), file)
        self._profiled = None
        return path


def get_available_providers():
    return ["CPUExecutionProvider"]


def get_all_providers():
    return get_available_providers()


def get_device():
    return "CPU"


def set_default_logger_severity(level):
    """Nothing: the library never prints."""


def get_version_string():
    return _native.version()
