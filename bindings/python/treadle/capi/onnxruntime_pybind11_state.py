"""onnxruntime's names of exceptions, so that what a script catches is caught, and of a vector."""

from .._errors import Error, FileError, InvalidArgument, InvalidModel, Unsupported
from .._ort_values import OrtValueVector

Fail = RuntimeException = EPFail = EngineError = Error
InvalidGraph = InvalidProtobuf = InvalidModel
NoSuchFile = FileError
NotImplemented = Unsupported

__all__ = ["EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph",
           "InvalidProtobuf", "NoSuchFile", "NotImplemented",
           "OrtValueVector", "RuntimeException"]
