"""onnxruntime's names of exceptions, so that what a script catches is caught."""

from .._errors import Error, FileError, InvalidArgument, InvalidModel, Unsupported

Fail = RuntimeException = EPFail = EngineError = Error
InvalidGraph = InvalidProtobuf = InvalidModel
NoSuchFile = FileError
NotImplemented = Unsupported

__all__ = ["EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph",
           "InvalidProtobuf", "NoSuchFile", "NotImplemented", "RuntimeException"]
