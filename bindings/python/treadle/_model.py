"""treadle.load: a model that is called like a function."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from . import _native, _values
from ._errors import InvalidArgument

Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Any"
Shape: TypeAlias = "list[int | str | None]"


class Port:
    """An input or output of a model.

    name; type, as onnxruntime spells it: "tensor(float)"; shape: numbers, names of symbolic
    dimensions, None for one that has no name; None where the rank is not known."""

    def __init__(self, name: str, type: str, code: int, shape: Shape | None) -> None:
        self.name = name
        self.type = type
        self.shape = shape
        self._code = code

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """numpy's dtype (ml_dtypes' for bfloat16 and the like); None where it is no tensor."""
        return _values.numpy_dtype(self._code) if self._code else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, type={self.type!r}, shape={self.shape})"


def _source(source: Source) -> str | bytes:
    """What _native.Model takes: a path, or the bytes of a model."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if hasattr(source, "SerializeToString"):
        source = source.SerializeToString()
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    raise InvalidArgument(f"a model is a path, bytes or an onnx.ModelProto, not {type(source)}")


def _check_names(what: str, names: list[Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgument(f"{what}s are named by text, got {name!r}")


class Model:
    """A loaded, optimized network, that is called with its inputs.

    Usable from any number of threads: each call that runs takes a session of its own from a pool.
    Pickled as its source (a path, or bytes) and options. `inputs` and `outputs` are its Ports,
    `metadata` what the file says of itself."""

    def __init__(self, source: Source, *, threads: int = 0, device: str = "cpu",
                 initializers: Mapping[str, Any] | None = None,
                 optional_initializers: Mapping[str, Any] | None = None,
                 files: Mapping[str, bytes] | None = None, **settings: Any) -> None:
        self._source = _source(source)
        self._given = [(name, _values.as_array(x.numpy() if hasattr(x, "numpy") else x), required)
                       for given, required in ((initializers, True), (optional_initializers, False))
                       for name, x in (given or {}).items()]
        self._files = [(name, bytes(data)) for name, data in (files or {}).items()]
        self._settings = {k: setting_text(v) for k, v in {"device": device, **settings}.items()}
        self._threads = int(threads)
        self._open()

    def _open(self) -> None:
        # Their bytes are the model's: they live as long.
        self._tensors = [(n, _values.tensor(x), required) for n, x, required in self._given]
        self._model = _native.Model(self._source, self._settings, self._tensors, self._files)
        given, made = self._model.inputs, self._model.outputs
        # The library names the dimensions that the file does not.
        nameless = {"?"} | {f"{name}_dim{i}" for name, _, _, dims in given
                            for i in range(len(dims or ()))}

        def port(name: str, type: str, code: int, dims: list[int | str] | None) -> Port:
            shape = None if dims is None else [None if d in nameless else d for d in dims]
            return Port(name, type, code, shape)

        self.inputs: list[Port] = [port(*p) for p in given]
        self.outputs: list[Port] = [port(*p) for p in made]
        self.metadata: dict[str, str] = self._model.metadata
        self._types = {p.name: p.type for p in self.inputs}
        self._pool: list[_native.Session] = []  # a list's append and pop are atomic

    def __getstate__(self) -> dict[str, Any]:
        source = self._source
        source = os.path.abspath(source) if isinstance(source, str) else source
        return {"_source": source, "_settings": self._settings, "_threads": self._threads,
                "_given": self._given, "_files": self._files}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def new_session(self) -> _native.Session:
        """A session beside those of the pool, as `run_values` takes one."""
        return _native.Session(self._model, {"threads": str(self._threads)})

    def run_values(self, names: list[str], values: list[_native.Value],
                   outputs: Iterable[str] | None, places: Sequence[_native.Value | None] = (),
                   timeout: float = 0.0, session: _native.Session | None = None,
                   cancel: _native.Cancel | None = None) -> list[_native.Value]:
        """The values of the named outputs (all of them by default); those with a place are
        written there."""
        wanted = self._wanted(outputs)
        _check_names("input", names)
        if session is not None:
            return session.run(names, values, wanted, list(places), timeout, cancel)
        try:
            session = self._pool.pop()
        except IndexError:
            session = self.new_session()
        try:
            return session.run(names, values, wanted, list(places), timeout, cancel)
        finally:
            self._pool.append(session)

    def _wanted(self, outputs: Iterable[str] | None) -> list[str]:
        if isinstance(outputs, str):
            raise InvalidArgument(f"outputs are a list of names, not the text '{outputs}'")
        names = list(outputs or ()) or [p.name for p in self.outputs]
        _check_names("output", names)
        return names

    def to_values(self, feed: Mapping[str, Any]) -> tuple[list[str], list[_native.Value]]:
        """The names of a feed, and the library's values of its arrays."""
        if not isinstance(feed, Mapping):
            raise InvalidArgument(f"inputs are a dict of arrays by name, not {type(feed)}")
        return list(feed), [self.to_value(n, x) for n, x in feed.items()]

    def to_value(self, name: str, x: Any) -> _native.Value:
        """The library's value of what is given for the input `name`."""
        declared = self._types.get(name, "")
        try:
            return _values.to_value(x, declared)
        except (TypeError, ValueError) as error:
            expected = f", expected {declared}" if declared else ""
            raise InvalidArgument(f"input '{name}': {error}{expected}") from error

    def run(self, outputs: Iterable[str] | None, feed: Mapping[str, Any], *,
            out: Mapping[str, np.ndarray[Any, Any]] | None = None,
            timeout: float = 0.0) -> list[Any]:
        """A list of arrays, one for each of the named `outputs` (None: all).

        out: arrays (or DLPack tensors) by output name that are filled instead of new ones.
        timeout: in seconds, 0 for none; a run that takes longer raises Timeout. Ctrl-C ends a run
        on the main thread, unless the program has a handler of SIGINT of its own."""
        names, values = self.to_values(feed)
        wanted = self._wanted(outputs)
        places: list[_native.Value | None] = [None] * len(wanted)
        given = out or {}
        for name, array in given.items():
            if name not in wanted:
                raise InvalidArgument(f"out names '{name}', expected one of {wanted}")
            places[wanted.index(name)] = _values.place(name, array)
        results = self.run_values(names, values, wanted, places, timeout)
        return [given[n] if p is not None else _values.to_numpy(r)
                for n, p, r in zip(wanted, places, results)]

    def __call__(self, *args: Any, out: Any = None, timeout: float = 0.0, **kwargs: Any) -> Any:
        """The outputs for inputs by position or name: one array, or a tuple of them.

        out: an array that the only output fills, or a dict of arrays by output name."""
        if len(args) > len(self.inputs):
            raise InvalidArgument(f"the model takes {len(self.inputs)} inputs, got {len(args)}")
        feed = {p.name: a for p, a in zip(self.inputs, args)}
        twice = feed.keys() & kwargs.keys()
        if twice:
            raise InvalidArgument(f"input '{min(twice)}' is given by position and by name")
        if out is not None and not isinstance(out, Mapping):
            if len(self.outputs) != 1:
                raise InvalidArgument("out is a dict of arrays by name: there are "
                                      f"{len(self.outputs)} outputs")
            out = {self.outputs[0].name: out}
        results = self.run(None, {**feed, **kwargs}, out=out, timeout=timeout)
        return results[0] if len(results) == 1 else tuple(results)

    def save(self, path: str | os.PathLike[str], opset: int = 0) -> None:
        """Writes the optimized model as standard ONNX, of the lowest legal opset by default."""
        self._model.save(os.fspath(path), opset)

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def __repr__(self) -> str:
        return f"<treadle.Model {self.inputs} -> {self.outputs}>"


def setting_text(value: Any) -> str:
    """An option's value as the C API takes it."""
    if isinstance(value, (bool, np.bool_)):
        return "1" if value else "0"
    if isinstance(value, Mapping):
        return ",".join(f"{k}={v}" for k, v in value.items())
    if isinstance(value, (list, tuple, set)):
        return ",".join(map(str, value))
    return str(value)


def load(source: Source, *, threads: int = 0, device: str = "cpu",
         initializers: Mapping[str, Any] | None = None,
         optional_initializers: Mapping[str, Any] | None = None,
         files: Mapping[str, bytes] | None = None, **settings: Any) -> Model:
    """Loads and optimizes an ONNX model: a path, bytes or an onnx.ModelProto.

    threads: 0 = the processors that this process may use. initializers: arrays that stand for the
    model's of those names, shared and not to be changed; the optional ones are ignored where it
    has none. files: what external data's files hold, by location. settings: the options of
    treadle_options_set (optimize, winograd, dims, skip_pass, overridable, fallback, defer,
    mmap, max_bytes, max_nodes, max_depth, max_weight_bytes), as texts, numbers, lists or dicts.

    >>> model = treadle.load("model.onnx", dims={"batch": 1})
    >>> logits = model(pixels)
    """
    return Model(source, threads=threads, device=device, initializers=initializers,
                 optional_initializers=optional_initializers, files=files, **settings)


def set_seed(seed: int) -> None:
    """Random operators that state no seed go on from this one, in all models of the process."""
    _native.set_seed(int(seed) % 2**64)
