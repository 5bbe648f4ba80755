"""treadle.load: a model that is called like a function."""

import os

from . import _native, _values
from ._errors import InvalidArgument


class Port:
    """An input or output: `name`, `type` ("tensor(float)") and `shape` (numbers, names of symbolic
    dimensions; None where the rank is not known)."""

    def __init__(self, name, type, dtype, dims):
        self.name = name
        self.type = type
        self.shape = None if dims is None else [None if d == "?" else d for d in dims]
        self.dtype = dtype

    def __repr__(self):
        return f"{self.name}: {self.type} {self.shape}"


def _source(source):
    """What _native.Model takes: a path, or the bytes of a model."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if hasattr(source, "SerializeToString"):
        source = source.SerializeToString()
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    raise InvalidArgument(f"a model is a path, bytes or an onnx.ModelProto, not {type(source)}")


class Model:
    """A loaded, optimized network. Usable from any number of threads: each call that runs takes a
    session of its own from a pool. Pickled as its source and options."""

    def __init__(self, source, *, threads=0, device="cpu", **settings):
        self._source = _source(source)
        self._settings = {"device": device, **{k: _text(v) for k, v in settings.items()}}
        self._threads = int(threads)
        self._open()

    def _open(self):
        self._model = _native.Model(self._source, self._settings)
        self.inputs = [Port(*p) for p in self._model.inputs]
        self.outputs = [Port(*p) for p in self._model.outputs]
        self.metadata = self._model.metadata
        self._types = {p.name: p.type for p in self.inputs}
        self._pool = []  # a list's append and pop are atomic

    def __getstate__(self):
        return {"_source": self._source, "_settings": self._settings, "_threads": self._threads}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._open()

    def new_session(self):
        return _native.Session(self._model, {"threads": str(self._threads)})

    def run_values(self, names, values, outputs, places=(), timeout=0.0, session=None):
        """The values of the named outputs (all of them by default)."""
        outputs = list(outputs) if outputs else [p.name for p in self.outputs]
        if session is not None:
            return session.run(names, values, outputs, list(places), timeout)
        try:
            session = self._pool.pop()
        except IndexError:
            session = self.new_session()
        try:
            return session.run(names, values, outputs, list(places), timeout)
        finally:
            self._pool.append(session)

    def to_values(self, feed):
        return list(feed), [_values.to_value(v, self._types.get(n, "")) for n, v in feed.items()]

    def run(self, outputs, feed, *, out=None, timeout=0.0):
        """A list of arrays, one for each of the named `outputs` (None: all). `out`: arrays by
        output name that are filled instead of new ones."""
        names, values = self.to_values(feed)
        outputs = list(outputs) if outputs else [p.name for p in self.outputs]
        places = [None] * len(outputs)
        for name, array in (out or {}).items():
            if name not in outputs:
                raise InvalidArgument(f"out names '{name}', which is no wanted output")
            places[outputs.index(name)] = _values.place(array)
        results = self.run_values(names, values, outputs, places, timeout)
        return [out[n] if p is not None else _values.to_numpy(r)
                for n, p, r in zip(outputs, places, results)]

    def __call__(self, *args, out=None, timeout=0.0, **kwargs):
        """The outputs for inputs by position or name: one array, or a tuple of them."""
        if len(args) > len(self.inputs):
            raise InvalidArgument(f"the model takes {len(self.inputs)} inputs, got {len(args)}")
        feed = {p.name: a for p, a in zip(self.inputs, args)}
        twice = feed.keys() & kwargs.keys()
        if twice:
            raise InvalidArgument(f"input '{min(twice)}' is given by position and by name")
        results = self.run(None, {**feed, **kwargs}, out=out, timeout=timeout)
        return results[0] if len(results) == 1 else tuple(results)

    def save(self, path, opset=0):
        """Writes the optimized model as standard ONNX."""
        self._model.save(os.fspath(path), opset)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pool.clear()

    def __repr__(self):
        return f"<treadle.Model {self.inputs} -> {self.outputs}>"


def _text(value):
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (list, tuple, set)):
        return ",".join(value)
    return str(value)


def load(source, *, threads=0, device="cpu", **settings):
    """Loads and optimizes an ONNX model: a path, bytes or an onnx.ModelProto.

    threads: 0 = the processors that this process may use. settings: the options of
    treadle_options_set (optimize, skip_pass, overridable, fallback, mmap, max_bytes, max_nodes).

    >>> model = treadle.load("model.onnx")
    >>> logits = model(pixels)
    """
    return Model(source, threads=threads, device=device, **settings)
