"""What a failed call raises: one class a status of the C API."""


class Error(RuntimeError):
    """A call into the library failed; the message says what, where and what was expected."""


class InvalidArgument(Error, ValueError):
    """A wrong name, shape, dtype or option."""


class InvalidModel(Error):
    """The model's bytes or graph are wrong."""


class Unsupported(Error, NotImplementedError):
    """A valid model that needs what this build lacks."""


class InvalidData(Error, ValueError):
    """Input data out of its domain, found during a run."""


class FileError(Error, OSError):
    """A file cannot be read or written."""


class LimitExceeded(Error):
    """A configured limit was reached."""


class OutOfMemory(Error, MemoryError):
    """The system has no memory left."""


class Busy(Error):
    """The session or trainer is in another call."""


class Cancelled(Error):
    """The run was cancelled."""


class Timeout(Error, TimeoutError):
    """The run took longer than it was given."""


class DeviceError(Error):
    """An unknown or unavailable device."""


class InternalError(Error):
    """A bug of Treadle's."""


_BY_STATUS = (Error, InvalidArgument, InvalidModel, Unsupported, InvalidData, FileError,
              LimitExceeded, OutOfMemory, Busy, Cancelled, Timeout, DeviceError, InternalError)


def of_status(status: int) -> type[Error]:
    """The class of a treadle_status."""
    return _BY_STATUS[status] if 0 < status < len(_BY_STATUS) else Error
