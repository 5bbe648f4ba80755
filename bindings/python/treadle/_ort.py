"""The face of onnxruntime over treadle.Model, so that scripts run with `import treadle as ort`."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _native, _values
from ._errors import InvalidArgument
from ._model import Model, Port, Source
from ._options import GraphOptimizationLevel, ModelMetadata, RunOptions, SessionOptions
from ._ort_values import (OrtDevice, OrtMemoryInfo, OrtValue, OrtValueVector, check_device,
                          cpu_memory, value_at)

Array = np.ndarray[Any, Any]


class NodeArg(Port):
    """An input or output of a session: name, type ("tensor(float)"), shape ([] where the rank is
    not known, as onnxruntime has it)."""

    def __init__(self, port: Port) -> None:
        super().__init__(port.name, port.type, port._code, port.shape or [])


def _value_of(name: str, given: OrtValue) -> _native.Value:
    if not isinstance(given, OrtValue):
        raise InvalidArgument(f"'{name}' is given as {type(given)}, expected an OrtValue")
    return given._value


class IOBinding:
    """Inputs and outputs that a session runs with again and again."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._inputs: dict[str, _native.Value] = {}
        self._outputs: dict[str, _native.Value | None] = {}
        self._results: list[_native.Value] = []

    def bind_cpu_input(self, name: str, arr_on_cpu: Array) -> None:
        """Binds an array, whose bytes are read at each run."""
        self._inputs[name] = self._session._model_for([name]).to_value(name, arr_on_cpu)

    def bind_input(self, name: str, device_type: str, device_id: int, element_type: Any,
                   shape: Sequence[int], buffer_ptr: int) -> None:
        """Binds memory that must stay valid."""
        check_device(device_type)
        self._inputs[name] = value_at(element_type, shape, buffer_ptr)

    def bind_output(self, name: str, device_type: str = "cpu", device_id: int = 0,
                    element_type: Any = None, shape: Sequence[int] | None = None,
                    buffer_ptr: int | None = None) -> None:
        """Asks for an output: written to `buffer_ptr`, or new at each run."""
        check_device(device_type)
        self._outputs[name] = (None if buffer_ptr is None
                               else value_at(element_type, shape or [], buffer_ptr))

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        """Binds a value, which is read at each run."""
        self._inputs[name] = _value_of(name, ortvalue)

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        """Binds a tensor, which each run fills."""
        self._outputs[name] = _value_of(name, ortvalue)

    def clear_binding_inputs(self) -> None:
        """Forgets the inputs."""
        self._inputs.clear()

    def clear_binding_outputs(self) -> None:
        """Forgets the outputs."""
        self._outputs.clear()
        self._results.clear()

    def synchronize_inputs(self) -> None:
        """Nothing: the CPU has no streams."""

    def synchronize_outputs(self) -> None:
        """Nothing: the CPU has no streams."""

    def _run(self, run_options: RunOptions | None) -> None:
        if not self._outputs:
            raise InvalidArgument("no output is bound")
        places = list(self._outputs.values())
        results = self._session._run(list(self._outputs), list(self._inputs),
                                     list(self._inputs.values()), run_options, places)
        self._results = [r if p is None else p for p, r in zip(places, results)]

    def get_outputs(self) -> list[OrtValue]:
        """The outputs of the last run, in the order in which they were bound."""
        return [OrtValue(v) for v in self._results]

    def get_outputs_as_ortvaluevector(self) -> OrtValueVector:
        """The same, as `run_with_ortvaluevector` takes them."""
        return OrtValueVector(self.get_outputs())

    def copy_outputs_to_cpu(self) -> list[Any]:
        """Copies of the last run's outputs, as arrays."""
        return [np.array(a) if isinstance(a, np.ndarray) else a
                for a in map(_values.to_numpy, self._results)]


_RUNNERS = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="treadle")


class InferenceSession:
    """onnxruntime's InferenceSession over treadle: the same names, the same results.

    Runs may come from several threads at once. It is pickled as its model (a path, or bytes) and
    options. Providers other than the CPU's are ignored with a warning."""

    def __init__(self, path_or_bytes: Source, sess_options: SessionOptions | None = None,
                 providers: Sequence[Any] | None = None,
                 provider_options: Sequence[Mapping[str, Any]] | None = None,
                 **kwargs: Any) -> None:
        options = sess_options or SessionOptions()
        self.set_providers(providers or options._providers, provider_options)
        self._options = options
        self._model = self._load(path_or_bytes)
        self._overridable: Model | None = None
        self._profiled: _native.Session | None = None
        self._profiling = threading.Lock()  # all runs are measured by one session
        self._profile_start = time.time_ns()
        if options.optimized_model_filepath:
            self._model.save(options.optimized_model_filepath)
        if options.enable_profiling:
            self._profiled = self._model.new_session()
            self._profiled.profile(True)

    def _load(self, source: Source, **settings: Any) -> Model:
        options = self._options
        optimize = options.graph_optimization_level != GraphOptimizationLevel.ORT_DISABLE_ALL
        return Model(source, threads=max(0, options.intra_op_num_threads), optimize=optimize,
                     dims=options._dims, denoted_dims=options._denoted_dims,
                     plugins=options._plugins, initializers=options._external,
                     optional_initializers=options._initializers, files=options._files,
                     **settings)

    def _with_overridable(self) -> Model:
        """The model whose initializers stay inputs: loaded when it is first asked for."""
        if self._overridable is None:
            self._overridable = self._load(self._model._source, overridable="*")
        return self._overridable

    def _model_for(self, names: Iterable[str]) -> Model:
        known = all(name in self._model._types for name in names)
        return self._model if known else self._with_overridable()

    def __reduce__(self) -> tuple[Any, ...]:
        return InferenceSession, (self._model.__getstate__()["_source"], self._options)

    def run(self, output_names: Iterable[str] | None, input_feed: Mapping[str, Any],
            run_options: RunOptions | None = None) -> list[Any]:
        """The named outputs (None or []: all) for arrays by input name: arrays, or lists of them
        (sequences), dicts (maps), None (an empty optional)."""
        names, values = self._model_for(input_feed).to_values(input_feed)
        return [_values.to_numpy(v) for v in self._run(output_names, names, values, run_options)]

    def _run(self, output_names: Iterable[str] | None, names: list[str],
             values: list[_native.Value], run_options: RunOptions | None,
             places: Sequence[_native.Value | None] = ()) -> list[_native.Value]:
        options = run_options or RunOptions()
        with self._profiling if self._profiled else contextlib.nullcontext():
            try:
                model = self._model_for(names)
                profiled = self._profiled if model is self._model else None
                return model.run_values(names, values, output_names, places,
                                        options.timeout_seconds, profiled, options._cancel)
            except KeyboardInterrupt:
                options.terminate = False  # which was the way to end the run
                raise

    def run_with_ort_values(self, output_names: Iterable[str] | None,
                            input_dict_ort_values: Mapping[str, OrtValue],
                            run_options: RunOptions | None = None) -> list[OrtValue]:
        """As `run`, with OrtValues in and out."""
        names = list(input_dict_ort_values)
        values = [_value_of(n, v) for n, v in input_dict_ort_values.items()]
        return [OrtValue(v) for v in self._run(output_names, names, values, run_options)]

    def run_with_ortvaluevector(self, run_options: RunOptions | None, feed_names: Sequence[str],
                                feeds: Sequence[OrtValue], fetch_names: Sequence[str],
                                fetches: list[OrtValue], fetch_devices: Sequence[Any]) -> None:
        """As `run_with_ort_values`, over lists; `fetches` becomes the outputs."""
        for device in fetch_devices:
            if device.device_type() != OrtDevice.cpu():
                raise InvalidArgument("outputs lie on the CPU alone")
        feed = dict(zip(feed_names, feeds, strict=True))
        fetches[:] = self.run_with_ort_values(fetch_names, feed, run_options)

    def run_async(self, output_names: Iterable[str] | None, input_feed: Mapping[str, Any],
                  callback: Callable[[list[Any], Any, str], Any], user_data: Any,
                  run_options: RunOptions | None = None) -> None:
        """Calls callback(results, user_data, error text) from another thread."""
        def work() -> None:
            try:
                results = self.run(output_names, input_feed, run_options)
            except Exception as error:
                callback([], user_data, str(error))
            else:
                callback(results, user_data, "")

        _RUNNERS.submit(work)

    def run_with_iobinding(self, iobinding: IOBinding,
                           run_options: RunOptions | None = None) -> None:
        """Runs with what is bound; the results are the binding's."""
        iobinding._run(run_options)

    def io_binding(self) -> IOBinding:
        """A new, empty binding."""
        return IOBinding(self)

    def get_inputs(self) -> list[NodeArg]:
        """The model's inputs."""
        return [NodeArg(p) for p in self._model.inputs]

    def get_outputs(self) -> list[NodeArg]:
        """The model's outputs."""
        return [NodeArg(p) for p in self._model.outputs]

    def get_overridable_initializers(self) -> list[NodeArg]:
        """The initializers that the file lists as inputs too; what a feed gives for one counts."""
        given = {p.name for p in self._model.inputs}
        return [NodeArg(p) for p in self._with_overridable().inputs if p.name not in given]

    def get_input_memory_infos(self) -> list[OrtMemoryInfo]:
        """The CPU's memory, for each input."""
        return [cpu_memory() for _ in self._model.inputs]

    def get_output_memory_infos(self) -> list[OrtMemoryInfo]:
        """The CPU's memory, for each output."""
        return [cpu_memory() for _ in self._model.outputs]

    def get_modelmeta(self) -> ModelMetadata:
        """What the model's file says of itself."""
        return ModelMetadata(self._model.metadata)

    def get_providers(self) -> list[str]:
        """The CPU's, the only one."""
        return get_available_providers()

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        """No options."""
        return {name: {} for name in get_available_providers()}

    def get_session_options(self) -> SessionOptions:
        """What the session was made with."""
        return self._options

    def set_providers(self, providers: Sequence[Any] | None = None,
                      provider_options: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Warns of providers that are not there; the session stays on the CPU."""
        for provider in [providers] if isinstance(providers, str) else providers or ():
            name = provider if isinstance(provider, str) else provider[0]
            if name not in get_available_providers():
                warnings.warn(f"there is no provider '{name}', only {get_available_providers()}",
                              stacklevel=3)

    def disable_fallback(self) -> None:
        """Nothing: there is no other provider to fall back to."""

    def enable_fallback(self) -> None:
        """Nothing: there is no other provider to fall back to."""

    def get_profiling_start_time_ns(self) -> int:
        """When the session was made, in nanoseconds since 1970."""
        return self._profile_start

    def end_profiling(self) -> str:
        """Writes what the runs' steps took, and returns the file's name ("" when nothing was
        profiled): a list of events as chrome://tracing reads them, one for each step, whose `dur`
        is the sum of its calls in microseconds."""
        if self._profiled is None:
            return ""
        path = (f"{self._options.profile_file_prefix}_"
                f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.getpid()}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(_events(json.loads(self._profiled.report("profile"))), file, indent=1)
        self._profiled = None
        return path


def _events(profile: dict[str, Any]) -> list[dict[str, Any]]:
    events = []
    end = 0.0
    for step in profile["steps"]:
        took = step["seconds"] * 1e6
        args = {"op_name": step["op"], "provider": "CPUExecutionProvider",
                **{k: step[k] for k in ("kernel", "shapes", "calls")}}
        events.append({"cat": "Node", "pid": os.getpid(), "tid": 0, "ph": "X", "ts": end,
                       "dur": took, "name": step["node"] + "_kernel_time", "args": args})
        end += took
    return events


def get_available_providers() -> list[str]:
    """["CPUExecutionProvider"]."""
    return ["CPUExecutionProvider"]


def get_all_providers() -> list[str]:
    """["CPUExecutionProvider"]."""
    return get_available_providers()


def get_device() -> str:
    """ "CPU"."""
    return "CPU"


def get_build_info() -> str:
    """The library's name and version."""
    return f"Treadle {_native.version()}"


def set_default_logger_severity(severity: int) -> None:
    """Nothing: the library never prints."""


def set_default_logger_verbosity(verbosity: int) -> None:
    """Nothing: the library never prints."""


def enable_telemetry_events() -> None:
    """Nothing: there is no telemetry."""


def disable_telemetry_events() -> None:
    """Nothing: there is no telemetry."""


def get_version_string() -> str:
    """Treadle's version."""
    return _native.version()
