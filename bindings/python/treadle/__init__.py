"""Treadle: load, optimize, run and train ONNX models.

    model = treadle.load("model.onnx")
    logits = model(pixels)

Scripts written for onnxruntime run with `import treadle as ort`.
"""

import os

# Threads that wait for work spin 1,000 rounds, not milliseconds: libgomp reads this when it is
# loaded, and leaves the processors to others.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

try:
    from . import _native
except ImportError as missing:  # Python itself speaks of a circular import where the file is absent
    raise ImportError(f"treadle's compiled module cannot be loaded from {__path__[0]} ({missing}); "
                      "in a checkout `make build` builds it") from missing
from ._errors import (Busy, Cancelled, DeviceError, Error, FileError, InternalError,
                      InvalidArgument, InvalidData, InvalidModel, LimitExceeded, OutOfMemory,
                      Timeout, Unsupported)
from ._model import Model, Port, load, set_seed
from ._options import (ExecutionMode, ExecutionOrder, GraphOptimizationLevel, ModelMetadata,
                       RunOptions, SessionOptions)
from ._ort import (InferenceSession, IOBinding, NodeArg, disable_telemetry_events,
                   enable_telemetry_events, get_all_providers, get_available_providers,
                   get_build_info, get_device, get_version_string, set_default_logger_severity,
                   set_default_logger_verbosity)
from ._ort_values import (OrtAllocatorType, OrtDevice, OrtMemoryInfo, OrtMemType, OrtValue,
                          SparseTensor)
from . import capi, train

__version__ = _native.version()

__all__ = [
    "Busy", "Cancelled", "DeviceError", "Error", "ExecutionMode", "ExecutionOrder", "FileError",
    "GraphOptimizationLevel", "IOBinding", "InferenceSession", "InternalError", "InvalidArgument",
    "InvalidData", "InvalidModel", "LimitExceeded", "Model", "ModelMetadata", "NodeArg",
    "OrtAllocatorType", "OrtDevice", "OrtMemType", "OrtMemoryInfo", "OrtValue", "OutOfMemory",
    "Port", "RunOptions", "SessionOptions", "SparseTensor", "Timeout", "Unsupported", "capi",
    "disable_telemetry_events", "enable_telemetry_events", "get_all_providers",
    "get_available_providers", "get_build_info", "get_device", "get_version_string", "load",
    "set_default_logger_severity", "set_default_logger_verbosity", "set_seed", "train",
]
