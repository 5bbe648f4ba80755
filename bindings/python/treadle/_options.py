"""What scripts for onnxruntime set before a session or a run, and what they read of a model."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from . import _native
from ._errors import InvalidArgument
from ._ort_values import OrtValue


class GraphOptimizationLevel(enum.IntEnum):
    """DISABLE_ALL: nothing is optimized; every other level: all is."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    """Accepted, and without effect: a step runs on all threads of its session."""

    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class ExecutionOrder(enum.IntEnum):
    """Accepted, and without effect."""

    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


class _Entries:
    """Texts by key, which are kept and change nothing."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, str] = {}

    def _entry(self, key: str) -> str:
        if key not in self._entries:
            raise InvalidArgument(f"no entry '{key}' was added")
        return self._entries[key]


def _same_length(*lists: Sequence[Any]) -> None:
    counts = [len(items) for items in lists]
    if len(set(counts)) > 1:
        raise InvalidArgument(f"lists of one length are expected, got {counts}")


class SessionOptions(_Entries):
    """How a session is made.

    Read are intra_op_num_threads (0: the processors that this process may use),
    graph_optimization_level, enable_profiling, profile_file_prefix, optimized_model_filepath and
    the free dimensions. The other fields of onnxruntime's are accepted and change nothing; a
    misspelt one is an AttributeError."""

    __slots__ = (
        "intra_op_num_threads", "inter_op_num_threads", "graph_optimization_level",
        "execution_mode", "execution_order", "enable_profiling", "profile_file_prefix",
        "optimized_model_filepath", "enable_mem_pattern", "enable_mem_reuse",
        "enable_cpu_mem_arena", "use_deterministic_compute", "use_per_session_threads",
        "log_severity_level", "log_verbosity_level", "logid", "_dims", "_denoted_dims", "_plugins",
        "_providers", "_initializers", "_external", "_files")

    def __init__(self) -> None:
        super().__init__()
        self.intra_op_num_threads: int = 0
        self.inter_op_num_threads: int = 0
        self.graph_optimization_level: int = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.execution_mode: int = ExecutionMode.ORT_SEQUENTIAL
        self.execution_order: int = ExecutionOrder.DEFAULT
        self.enable_profiling: bool = False
        self.profile_file_prefix: str = "treadle_profile"
        self.optimized_model_filepath: str = ""
        self.enable_mem_pattern: bool = True
        self.enable_mem_reuse: bool = True
        self.enable_cpu_mem_arena: bool = True
        self.use_deterministic_compute: bool = False
        self.use_per_session_threads: bool = True
        self.log_severity_level: int = -1
        self.log_verbosity_level: int = 0
        self.logid: str = ""
        self._dims: dict[str, int] = {}
        self._denoted_dims: dict[str, int] = {}
        self._plugins: list[str] = []
        self._providers: list[tuple[str, dict[str, str]]] = []
        self._initializers: dict[str, OrtValue] = {}
        self._external: dict[str, OrtValue] = {}
        self._files: dict[str, bytes] = {}

    def add_provider(self, name: str, options: Mapping[str, str]) -> None:
        """Asks for a provider, as InferenceSession's `providers` does."""
        self._providers.append((name, dict(options)))

    def has_providers(self) -> bool:
        """Whether one was asked for."""
        return bool(self._providers)

    def add_initializer(self, name: str, value: OrtValue) -> None:
        """Takes the value, shared, for the initializer of this name in the models that have one."""
        self._initializers[name] = value

    def add_external_initializers(self, names: Sequence[str], values: Sequence[OrtValue]) -> None:
        """Takes values, shared, for initializers that the model must have; where they lie in
        files of external data, those are not read."""
        _same_length(names, values)
        self._external.update(zip(names, values))

    def add_external_initializers_from_files_in_memory(
            self, names: Sequence[str], buffers: Sequence[Any], lengths: Sequence[int]) -> None:
        """Takes buffers for the files of external data that the model names."""
        _same_length(names, buffers, lengths)
        for name, buffer, length in zip(names, buffers, lengths):
            self._files[name] = bytes(memoryview(buffer).cast("B")[:length])

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Keeps the entry; none changes anything."""
        self._entries[key] = value

    def get_session_config_entry(self, key: str) -> str:
        """The entry that was added."""
        return self._entry(key)

    def add_free_dimension_override_by_name(self, name: str, value: int) -> None:
        """Fixes the size of every input dimension of this name; ignored where no input has it."""
        self._dims[name] = value

    def add_free_dimension_override_by_denotation(self, denotation: str, value: int) -> None:
        """Fixes the size of every input dimension of this denotation, such as "DATA_BATCH"."""
        self._denoted_dims[denotation] = value

    def register_custom_ops_library(self, path: str) -> None:
        """Loads operators from a plugin of Treadle's. A library made for onnxruntime calls that,
        and is refused when the session is made."""
        self._plugins.append(path)


class RunOptions(_Entries):
    """Of one run or several. `timeout_seconds` (0: none) is treadle's own; the fields beside it
    and `terminate` are accepted and change nothing."""

    __slots__ = ("log_severity_level", "log_verbosity_level", "logid",
                 "only_execute_path_to_fetches", "timeout_seconds", "_cancel", "_terminate")

    def __init__(self) -> None:
        super().__init__()
        self.log_severity_level: int = -1
        self.log_verbosity_level: int = 0
        self.logid: str = ""
        self.only_execute_path_to_fetches: bool = False
        self.timeout_seconds: float = 0.0
        self._terminate = False
        self._cancel = _native.Cancel()

    @property
    def terminate(self) -> bool:
        """Set to True, from any thread, it ends the runs that have these options, and prevents new
        ones until it is False again."""
        return self._terminate

    @terminate.setter
    def terminate(self, on: bool) -> None:
        self._terminate = bool(on)
        if on:
            self._cancel.signal()
        else:
            self._cancel = _native.Cancel()

    def add_run_config_entry(self, key: str, value: str) -> None:
        """Keeps the entry; none changes anything."""
        self._entries[key] = value

    def get_run_config_entry(self, key: str) -> str:
        """The entry that was added."""
        return self._entry(key)


class ModelMetadata:
    """What a model's file says of itself."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        rest = dict(metadata)
        self.producer_name: str = rest.pop("producer_name", "")
        rest.pop("producer_version", "")
        self.domain: str = rest.pop("domain", "")
        self.version: int = int(rest.pop("model_version", 0))
        self.description: str = rest.pop("description", "")
        self.graph_name: str = rest.pop("graph_name", "")
        self.graph_description: str = ""  # the library does not keep it
        self.custom_metadata_map: dict[str, str] = rest
