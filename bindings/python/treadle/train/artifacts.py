"""onnxruntime-training's names: generate_artifacts, CheckpointState, Module, Optimizer,
LinearLRScheduler.

A script that used `onnxruntime.training` goes on with `from treadle.train import artifacts` and
`from treadle.train.artifacts import CheckpointState, Module, Optimizer`. The artifacts are the
model, a file of settings beside it, and a checkpoint: there is no optimizer or eval model, and
their paths are not read. An update leaves the sums of the gradients zero, so lazy_reset_grad is
not needed after it.
"""

from __future__ import annotations

import enum
import json
import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._errors import InvalidArgument
from .._model import Model, Source, _source, setting_text
from .trainer import Trainer

Path = "str | os.PathLike[str]"
_MODEL, _SETTINGS, _CHECKPOINT = "training_model.onnx", "training_settings.json", "checkpoint"


class LossType(enum.Enum):
    """onnxruntime's names of losses."""
    MSELoss = "mse"
    CrossEntropyLoss = "cross_entropy"
    BCEWithLogitsLoss = "bce_with_logits"
    L1Loss = "l1"


class OptimType(enum.Enum):
    """onnxruntime's names of optimizers."""
    AdamW = "adamw"
    SGD = "sgd"


def generate_artifacts(model: Source, requires_grad: Sequence[str] | None = None,
                       frozen_params: Sequence[str] | None = None,
                       loss: LossType | str = LossType.MSELoss,
                       optimizer: OptimType | str = OptimType.AdamW,
                       artifact_directory: str | os.PathLike[str] = ".", prefix: str = "",
                       **settings: Any) -> None:
    """Writes what Module reads: PREFIXtraining_model.onnx, its settings, and a checkpoint.

    requires_grad: names of the parameters that train; None: all but frozen_params. settings: of
    Trainer, which loss and optimizer may name as Trainer does too."""
    if "hooks" in settings:
        raise InvalidArgument("hooks are no setting that a file keeps")
    source = _source(model)
    given = {"loss": loss.value if isinstance(loss, LossType) else loss,
             "optimizer": optimizer.value if isinstance(optimizer, OptimType) else optimizer,
             "rate": 0.001, "accumulate": 0, **settings}
    texts: dict[str, Any] = {key: setting_text(value) for key, value in given.items()}
    frozen = list(frozen_params or ())
    if frozen or requires_grad is not None:
        everything = Trainer(source, **{**texts, "freeze": ""}).parameters
        for what, names in (("requires_grad", requires_grad or ()), ("frozen_params", frozen)):
            unknown = set(names) - set(everything)
            if unknown:
                raise InvalidArgument(f"{what} names '{min(unknown)}', expected some of "
                                      f"{everything}")
        if requires_grad is not None:
            frozen += [name for name in everything if name not in requires_grad]
    if frozen:
        texts["freeze"] = setting_text(frozen)
    trainer = Trainer(source, **texts)
    _write_all(pathlib.Path(artifact_directory), trainer,
               {prefix + _MODEL: _bytes_of(source), prefix + _SETTINGS: json.dumps(texts).encode()},
               prefix + _CHECKPOINT)


def _bytes_of(source: str | bytes) -> bytes:
    """The model's, with the weights that lie in files beside it."""
    if isinstance(source, bytes):
        return source
    data = pathlib.Path(source).read_bytes()
    if b"location" not in data:  # the key that each tensor in another file has
        return data
    with tempfile.TemporaryDirectory() as scratch:
        whole = pathlib.Path(scratch) / "whole.onnx"
        Model(source, optimize=False).save(whole)
        return whole.read_bytes()


def _write_all(folder: pathlib.Path, trainer: Trainer, files: dict[str, bytes],
               checkpoint: str) -> None:
    """Puts the files in place when all of them are written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {name: folder / f"{name}.{os.getpid()}.tmp" for name in (*files, checkpoint)}
    try:
        for name, data in files.items():
            written[name].write_bytes(data)
        trainer.save(written[checkpoint])
        for name, path in written.items():
            path.replace(folder / name)
    finally:
        for path in written.values():
            path.unlink(missing_ok=True)


def _read_settings(path: pathlib.Path) -> dict[str, Any]:
    """What generate_artifacts wrote."""
    try:
        settings = json.loads(path.read_text())
    except ValueError as error:
        raise InvalidArgument(f"'{path}' is damaged: {error}") from error
    if not isinstance(settings, dict) or {"model", "hooks"} & settings.keys():
        raise InvalidArgument(f"'{path}' is damaged: it holds no settings of a Trainer")
    return settings


class Parameter:
    """A parameter of a module; `data` is a copy, and setting it sets the parameter."""

    def __init__(self, trainer: Trainer, name: str) -> None:
        self._trainer = trainer
        self.name = name

    @property
    def data(self) -> np.ndarray[Any, Any]:
        """The numbers."""
        return self._trainer[self.name]

    @data.setter
    def data(self, value: Any) -> None:
        self._trainer[self.name] = value


class CheckpointState:
    """What a checkpoint holds; a Module of it goes on from there."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._trainer: Trainer | None = None

    @classmethod
    def load_checkpoint(cls, checkpoint_uri: str | os.PathLike[str]) -> CheckpointState:
        """Of a file that save_checkpoint or generate_artifacts wrote."""
        path = os.fspath(checkpoint_uri)
        if not os.path.isfile(path):
            raise InvalidArgument(f"there is no checkpoint '{path}'")
        return cls(path)

    @classmethod
    def save_checkpoint(cls, state: CheckpointState, checkpoint_uri: str | os.PathLike[str],
                        include_optimizer_state: bool = True) -> None:
        """Writes what the module of this state has become; the optimizer's state is always
        there."""
        state._bound().save(checkpoint_uri)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """By name; the state must be that of a Module."""
        trainer = self._bound()
        return {name: Parameter(trainer, name) for name in trainer.parameters}

    def _bound(self) -> Trainer:
        if self._trainer is None:
            raise InvalidArgument("the state belongs to no Module yet: make one with it first")
        return self._trainer


class Module:
    """A model in training: called with a batch (inputs, then the target) it returns the loss. In
    training mode gradients are added up for Optimizer.step."""

    def __init__(self, train_model_uri: str | os.PathLike[str], state: CheckpointState,
                 eval_model_uri: Any = None, device: str = "cpu") -> None:
        path = pathlib.Path(train_model_uri)
        if not path.name.endswith(_MODEL):
            raise InvalidArgument(f"'{path}' is no artifact, expected …{_MODEL}")
        settings = path.with_name(path.name.removesuffix(_MODEL) + _SETTINGS)
        if not settings.is_file():
            raise InvalidArgument(f"there is no '{settings}' beside '{path}': generate_artifacts "
                                  "writes both")
        self.trainer = Trainer(path, **{**_read_settings(settings), "device": device})
        self.trainer.load(state._path)
        state._trainer = self.trainer
        self._state = state
        self.training = True

    def __call__(self, *batch: Any) -> np.ndarray[Any, Any]:
        loss = self.trainer.accumulate(*batch).loss if self.training \
            else self.trainer.eval(*batch)[0]
        return np.array(loss, np.float32)

    def train(self, mode: bool = True) -> Module:
        """Into training mode, or (False) evaluation."""
        self.training = mode
        return self

    def eval(self) -> Module:
        """Into evaluation: calls change nothing."""
        return self.train(False)

    def lazy_reset_grad(self) -> None:
        """Forgets the sums of the gradients."""
        self.trainer.zero()

    def input_names(self) -> list[str]:
        """What a batch holds, the target last."""
        return self.trainer.inputs

    def output_names(self) -> list[str]:
        """The model's outputs."""
        return self.trainer.outputs

    def get_parameters_size(self, trainable_only: bool = True) -> int:
        """How many numbers the parameters that train hold."""
        return len(self.trainer.get_parameters())

    def get_contiguous_parameters(self, trainable_only: bool = True) -> np.ndarray[Any, Any]:
        """They as one vector."""
        return self.trainer.get_parameters()

    def copy_buffer_to_parameters(self, buffer: Any, trainable_only: bool = True) -> None:
        """Sets them from such a vector."""
        self.trainer.set_parameters(buffer)

    def export_model_for_inferencing(self, inference_model_uri: str | os.PathLike[str],
                                     graph_output_names: Sequence[str] = ()) -> None:
        """Writes the trained model as ONNX in inference form, with all its outputs."""
        self.trainer.export(inference_model_uri)


class Optimizer:
    """Makes the updates of a module."""

    def __init__(self, optimizer_uri: Any, module: Module) -> None:
        self._trainer = module.trainer

    def step(self) -> None:
        """The update by the sum of the gradients, which then is zero."""
        self._trainer.apply()

    def set_learning_rate(self, learning_rate: float) -> None:
        """Of the steps from now on."""
        self._trainer.rate = learning_rate

    def get_learning_rate(self) -> float:
        """Of the next step."""
        return self._trainer.rate


class LinearLRScheduler:
    """The rate grows from 0 to initial_lr over the warm-up, and falls to 0 at the end; `step`
    after each of the optimizer's."""

    def __init__(self, optimizer: Optimizer, warmup_step_count: int, total_step_count: int,
                 initial_lr: float) -> None:
        if not 0 <= warmup_step_count < total_step_count:
            raise InvalidArgument(f"a warm-up of {warmup_step_count} of {total_step_count} steps, "
                                  "expected fewer than all")
        self._optimizer = optimizer
        self._warmup, self._total, self._rate = warmup_step_count, total_step_count, initial_lr
        self._steps = -1
        self.step()

    def step(self) -> None:
        """Sets the rate of the optimizer's next step."""
        self._steps += 1
        share = self._steps / self._warmup if self._steps < self._warmup \
            else max(0.0, (self._total - self._steps) / (self._total - self._warmup))
        self._optimizer.set_learning_rate(self._rate * share)
