"""The engines that compute a case: Treadle in several ways, and the oracles."""
import dataclasses
import os
import pathlib
import sys
import warnings

import numpy as np

import case as cases
import draw

MODULE = pathlib.Path(os.environ["TREADLE_BUILD"]) / "python"
sys.path.insert(0, str(MODULE))
if MODULE.exists():
    import treadle
try:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
except ImportError:
    onnxruntime = None
from onnx.reference import ReferenceEvaluator


class Refused(Exception):
    """The engine does not compute the case, and says why."""


# ---- Treadle

WAYS = {"reference": {"device": "reference", "optimize": False},
        "CPU": {"optimize": False},
        "CPU, optimized": {"optimize": True}}


def by_treadle(case, way):
    model, feed = cases.model_of(case)
    try:
        loaded = treadle.load(model.SerializeToString(), threads=1, **WAYS[way])
        return loaded.run(None, feed)
    except treadle.InternalError:
        raise
    except treadle.Error as error:
        raise Refused(str(error)) from error


# ---- Oracles

_NATIVE = {"float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16",
           "uint32", "uint64", "bool", "object"}


# Types that numpy lacks and onnxruntime takes as bytes.
_ODD = {f"tensor({name})": draw.numpy_dtype(name) for name in ("bfloat16",) + draw.FLOAT8}


def _session_options():
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return options


def _ort_value(x):
    if isinstance(x, np.ndarray) and x.dtype.name not in _NATIVE:
        if x.dtype not in _ODD.values():
            raise Refused(f"no {x.dtype} can be handed to onnxruntime")
        bits = np.asarray(x, order="C").view(f"u{x.dtype.itemsize}")
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
            bits, draw.onnx_code(x.dtype))
    return x


def by_onnxruntime(case):
    row = case.operator
    if not row.domain and case.opset > cases.ORT_OPSET:
        raise Refused("newer than onnxruntime")
    model, feed = cases.model_of(case, cases.ORT_OPSET)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), _session_options(),
                                               providers=["CPUExecutionProvider"])
        odd = [o.type for o in session.get_outputs() if o.type in _ODD]
        feed = {name: _ort_value(x) for name, x in feed.items()}
        if odd or any(isinstance(x, onnxruntime.OrtValue) for x in feed.values()):
            feed = {n: x if isinstance(x, onnxruntime.OrtValue)
                    else onnxruntime.OrtValue.ortvalue_from_numpy(x) for n, x in feed.items()}
            return [_array(v) for v in session.run_with_ort_values(None, feed)]
        return session.run(None, feed)
    except Refused:
        raise
    except Exception as error:  # onnxruntime has no class in common
        raise Refused(str(error)) from error


def _array(value):
    array, dtype = value.numpy(), _ODD.get(value.data_type())
    return array if dtype is None else array.view(dtype)


# Operators whose result is a matter of the element type.
_TYPED = {"Cast", "CastLike", "BitCast", "QuantizeLinear", "DequantizeLinear", "Shape", "Size",
          "ConstantOfShape", "EyeLike", "IsInf", "IsNaN", "MelWeightMatrix"}
_WIDENED = {"float16", "bfloat16", "float64"}


def by_float(case):
    """onnxruntime in float, where it lacks the case's type of floats."""
    types = {x.dtype for x in case.inputs if isinstance(x, np.ndarray)}
    types = [t for t in types if t.name in _WIDENED | {"float32"}]
    if len(types) != 1 or types[0] == np.float32 or case.operator.name in _TYPED:
        raise Refused("not one type of floats that float stands for")

    def widened(x):
        return x.astype(np.float32) if isinstance(x, np.ndarray) and x.dtype == types[0] else x

    outputs = by_onnxruntime(dataclasses.replace(case, inputs=[widened(x) for x in case.inputs]))
    stay = 1 if case.operator.name == "LayerNormalization" else len(outputs)  # its statistics: float
    case.rtol = case.rtol or (2e-5 if types[0] == np.float64 else None)
    with np.errstate(over="ignore"):
        return [y.astype(types[0]) if i < stay and isinstance(y, np.ndarray) and
                y.dtype == np.float32 else y for i, y in enumerate(outputs)]


def by_reference(case):
    """onnx's reference evaluator."""
    if case.operator.domain == "com.microsoft":
        raise Refused("no operator of onnx's")
    model, feed = cases.model_of(case)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return ReferenceEvaluator(model).run(None, feed)
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {error}") from error


def by_numpy(case):
    if case.numpy is None:
        raise Refused("the case has none")
    with np.errstate(all="ignore"):
        return case.numpy()


ORACLES = {"numpy": by_numpy, "onnxruntime": by_onnxruntime, "onnxruntime, float": by_float,
           "onnx": by_reference}
