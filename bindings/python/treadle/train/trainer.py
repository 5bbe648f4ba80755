"""treadle.train.Trainer: a model, a loss and an optimizer, and the steps that train it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any, NamedTuple

import numpy as np

from .. import _native, _values
from .._errors import InvalidArgument
from .._model import Source, _source, setting_text

Array = np.ndarray[Any, Any]
HookFunction = Callable[[Array], Any]


class StepResult(NamedTuple):
    """loss: of the batch, before the update; rate: the learning rate; norm: of the gradients, where
    gradient_norm=True asks for it; updated: whether parameters changed."""
    loss: float
    rate: float
    norm: float
    updated: bool


class Event(NamedTuple):
    """What a fit tells. kind: started, epoch_started, step_started, step_completed,
    epoch_completed, exception or completed; epoch: from 1; step: updates so far; batch: those done
    of the epoch's batches (0: not known); numbers: loss, rate … by name; text: warnings, or what
    went wrong."""
    kind: str
    epoch: int
    step: int
    batch: int
    batches: int
    numbers: dict[str, float]
    text: str = ""


class FitResult(NamedTuple):
    """steps: updates of the trainer; epochs: of this call; history: the numbers of each epoch;
    best: of the monitor; stopped_early: by patience; cancelled: by what on_event returned."""
    steps: int
    epochs: int
    history: list[dict[str, float]]
    best: float = 0.0
    stopped_early: bool = False
    cancelled: bool = False


_KINDS = ("started", "epoch_started", "step_started", "step_completed", "epoch_completed",
          "exception", "completed")


def _samples_of(data: Any) -> bool:
    """Whether they are arrays of all samples, not batches to go through."""
    return isinstance(data, Mapping) or hasattr(data, "__array__") or hasattr(data, "__dlpack__")


class Trainer:
    """Trains a model: a path, bytes, an onnx.ModelProto or a Network.

    loss: cross_entropy, mse, l1, huber, nll, bce_with_logits, kl, hinge, output (the model's
    output is the loss), a formula as "mean((y - target)^2)", or an ONNX file. optimizer: sgd,
    momentum, nesterov, adagrad, rmsprop, adadelta, adam, adamw, lion, lamb. rate: the learning
    rate. settings: the other options of treadle_train_options_set (schedule, weight_decay, freeze,
    clip_norm, threads …) as texts, numbers, lists or dicts.

    fetch: names of values, or "grad:NAME", for `fetched`. hooks: functions by the name of a value,
    by "grad:NAME" (the gradient of one) or "part:NAME" (each of the gradients that are summed to
    it). A hook is called with a copy of the array as it is made; what it returns, if not None,
    takes its place for the rest of the step.

    A batch is given by position (the model's inputs in order, then the target) or by name. Calls
    release Python's lock; a second one at the same time, or in a hook, raises Busy, and so does
    what trains or loads in on_event of a fit of arrays."""

    def __init__(self, model: Source, loss: str = "mse", optimizer: str = "sgd",
                 rate: float = 0.01, *, fetch: Sequence[str] = (),
                 hooks: Mapping[str, HookFunction] | None = None, **settings: Any) -> None:
        given = {"loss": loss, "optimizer": optimizer, "rate": rate, **settings}
        if fetch:
            given["fetch"] = [fetch] if isinstance(fetch, str) else fetch
        called = [(name, self._hook(name, f)) for name, f in (hooks or {}).items()]
        texts = {k: setting_text(v) for k, v in given.items()}
        self._native = _native.Trainer(_source(model), texts, called)
        self._types = {name: (text, code) for name, text, code in self._native.inputs}

    @staticmethod
    def _hook(name: str, function: HookFunction) -> Callable[[str, _native.Value], Any]:
        def call(_: str, value: _native.Value) -> _native.Value | None:
            array = _values.to_numpy(value)
            left = function(array)
            if left is None:
                return None
            left = np.asarray(left)
            if left.shape != array.shape:
                raise InvalidArgument(f"the hook on '{name}' returned an array of shape "
                                      f"{left.shape}, expected {array.shape}")
            return _values.tensor(left.astype(array.dtype, copy=False))
        return call

    # ---- Batches

    @property
    def inputs(self) -> list[str]:
        """Names of what a batch holds: the model's inputs, then the target."""
        return list(self._types)

    @property
    def outputs(self) -> list[str]:
        """Names of the model's outputs."""
        return self._native.outputs

    @property
    def warnings(self) -> list[str]:
        """What was noticed at creation, such as parameters that the loss does not depend on."""
        return self._native.warnings

    def _value(self, name: str, x: Any) -> _native.Value:
        text, code = self._types.get(name, ("", 0))
        try:
            if hasattr(x, "__dlpack__") and not isinstance(x, (np.ndarray, np.generic)):
                value = _values.from_dlpack(x)
                if value.dtype == code or not code:
                    return value
                x = _values.to_numpy(value)
            array = _values.as_array(x, text)
            if code:  # integers of any width are classes, numbers of any width the model's
                dtype = _values.numpy_dtype(code)
                if array.dtype.kind in "iu" and dtype.kind in "iu":
                    array = _values.as_dtype(array, dtype)
                array = array.astype(dtype, casting="same_kind", copy=False)
            return _values.tensor(array)
        except (TypeError, ValueError) as error:
            expected = f", expected {text}" if text else ""
            raise InvalidArgument(f"input '{name}': {error}{expected}") from error

    def _batch(self, args: Sequence[Any], named: Mapping[str, Any]
               ) -> tuple[list[str], list[_native.Value]]:
        if len(args) == 1 and isinstance(args[0], Mapping):
            return self._batch((), {**args[0], **named})
        if len(args) > len(self._types):
            raise InvalidArgument(f"a batch holds {self.inputs}, got {len(args)} arrays")
        feed = dict(zip(self._types, args))
        twice = feed.keys() & named.keys()
        if twice:
            raise InvalidArgument(f"'{min(twice)}' is given by position and by name")
        feed.update(named)
        return list(feed), [self._value(n, x) for n, x in feed.items()]

    def step(self, *batch: Any, **named: Any) -> StepResult:
        """A batch forward and back, and the update.

        InvalidData where the loss is not finite, naming the first node whose result is not."""
        return StepResult(*self._native.step(*self._batch(batch, named)))

    def accumulate(self, *batch: Any, **named: Any) -> StepResult:
        """A batch forward and back; its gradients are added to their sums. Wants accumulate=0."""
        return StepResult(*self._native.accumulate(*self._batch(batch, named)))

    def apply(self, factor: float = 1.0) -> StepResult:
        """The update by `factor` times the sums (1/n: the mean of n batches), which then are
        zero."""
        return StepResult(*self._native.apply(factor))

    def zero(self) -> None:
        """Forgets the sums of the gradients."""
        self._native.zero()

    def eval(self, *batch: Any, **named: Any) -> tuple[float, dict[str, Array]]:
        """The loss of a batch, and the model's outputs by name, in inference form."""
        loss, outputs = self._native.eval(*self._batch(batch, named))
        return loss, {n: _values.to_numpy(v) for n, v in zip(self.outputs, outputs)}

    def fetched(self, name: str) -> Array:
        """What the last batch yielded of what `fetch` names."""
        array: Array = _values.to_numpy(self._native.fetched(name))
        return array

    # ---- State

    @property
    def steps(self) -> int:
        """Updates made so far."""
        return self._native.steps

    @property
    def rate(self) -> float:
        """The learning rate of the next step. Setting it takes the place of the schedule; None
        gives the schedule back."""
        return self._native.rate

    @rate.setter
    def rate(self, value: float | None) -> None:
        if value is not None and not value >= 0:
            raise InvalidArgument(f"the learning rate is {value}, expected a number of at least 0")
        self._native.set_rate(-1.0 if value is None else value)

    def measured(self, value: float) -> None:
        """Tells the schedule "plateau" what an epoch measured; less is better."""
        self._native.measured(value)

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters that train."""
        return self._native.parameters

    def __getitem__(self, name: str) -> Array:
        """A copy of a parameter, a running statistic, or a slot of the optimizer
        ("velocity/NAME")."""
        array: Array = _values.to_numpy(self._native.get(name))
        return array

    def __setitem__(self, name: str, value: Any) -> None:
        """Sets one, from an array of its shape."""
        own = self._native.get(name)
        array = np.asarray(value)
        if list(array.shape) != own.dims:
            raise InvalidArgument(f"'{name}' is of shape {own.dims}, given {list(array.shape)}")
        dtype = _values.numpy_dtype(own.dtype)
        self._native.set(name, _values.tensor(array.astype(dtype, copy=False)))

    def get_parameters(self) -> Array:
        """All parameters as one vector of float32, in the order of `parameters`."""
        flat = np.empty(self._native.parameter_count, np.float32)
        self._native.get_parameters(flat)
        return flat

    def set_parameters(self, values: Any) -> None:
        """Sets them all from such a vector."""
        flat = np.array(values, np.float32).reshape(-1)
        self._native.set_parameters(flat)

    # ---- Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a checkpoint, from which a trainer of the same model and options goes on bit for
        bit."""
        self._native.save(os.fspath(path))

    def load(self, path: str | os.PathLike[str]) -> None:
        """Goes on from a checkpoint."""
        self._native.load(os.fspath(path))

    def export(self, path: str | os.PathLike[str], *, fold_batchnorm: bool = False) -> None:
        """Writes the trained model as ONNX in inference form."""
        self._native.export(os.fspath(path), fold_batchnorm)

    # ---- Fitting

    def fit(self, data: Any, target: Any = None, *, epochs: int = 0, steps: int = 0,
            val: Any = None, batch: int = 32, shuffle: bool = True, seed: int = 0,
            drop_last: bool = False, loader_threads: int = 1, patience: int = 0,
            monitor: str = "val_loss", out: str | os.PathLike[str] | None = None,
            resume: bool = False, checkpoint_steps: int = 0,
            on_event: Callable[[Event], Any] | None = None,
            fields: Mapping[str, Any] | None = None) -> FitResult:
        """Trains for so many epochs, or steps (with resume: so many in all).

        data: arrays of all samples (`fit(x, y)`, or a dict by name, the target among them), or
        what yields batches each time it is iterated, as a DataLoader does: tuples or dicts. val:
        likewise, `(x, y)` or a dict or batches, measured after each epoch. on_event: called with
        an Event; a true answer ends the fit after the step, as Ctrl-C does.

        data may also be the path of a file or folder that `treadle train --data` takes, with what
        is validated in it; fields: what docs/training.md lists of data and augmentation, as
        {"augment.flip_x": True}. Inputs' means and deviations become metadata of the model.

        Of arrays and files: batch, shuffle, seed, drop_last, loader_threads (that prepare batches);
        patience: epochs without a better `monitor` that end the fit; out: a folder for
        checkpoints, metrics, event files for TensorBoard and curves; resume: from its newest
        checkpoint; checkpoint_steps: a checkpoint also every so many steps."""
        if (epochs > 0) == (steps > 0):
            raise InvalidArgument("give either epochs or steps, a number above 0")
        if batch < 1 or loader_threads < 0:
            raise InvalidArgument(f"a batch of {batch} samples by {loader_threads} threads, "
                                  "expected 1 and 0 at least")
        history: list[dict[str, float]] = []

        def tell(kind: int, *rest: Any) -> bool:
            event = Event(_KINDS[kind], *rest)
            if event.kind == "epoch_completed":
                history.append(event.numbers)
            return bool(on_event is not None and on_event(event))

        files = isinstance(data, (str, os.PathLike))
        if files and (target is not None or val is not None):
            raise InvalidArgument("a path to data goes without target and val: both are in it")
        if fields is not None and not files:
            raise InvalidArgument("fields go with a path to data")
        if target is None and not files and not _samples_of(data):
            if out is not None or resume or patience or checkpoint_steps:
                raise InvalidArgument("out, resume, patience and checkpoint_steps want the samples "
                                      "as arrays, not batches")
            return _Loop(self, data, val, tell).run(epochs, steps, history)
        options = {"epochs": epochs, "steps": steps, "batch": batch, "seed": seed % 2**64,
                   "in_order": int(not shuffle), "drop_last": int(drop_last),
                   "threads": loader_threads, "patience": patience, "resume": int(resume),
                   "checkpoint_steps": checkpoint_steps}
        folder = None if out is None else os.fspath(out)
        if files:
            texts = {key: setting_text(value) for key, value in (fields or {}).items()}
            done = self._native.fit_data(os.fspath(data), list(texts), list(texts.values()),
                                         options, monitor, folder, tell)
        else:
            names, values = self._samples(data, target)
            pair = val if isinstance(val, (tuple, list)) else (val,)
            other = None if val is None else self._samples(*pair)
            done = self._native.fit(names, values, other, options, monitor, folder, tell)
        total, made, best, stopped, cancelled = done
        return FitResult(total, made, history, best, stopped, cancelled)

    def _samples(self, data: Any, target: Any = None) -> tuple[list[str], list[_native.Value]]:
        if isinstance(data, Mapping):
            named = dict(data) if target is None else {**data, self.inputs[-1]: target}
            return self._batch((), named)
        return self._batch((data,) if target is None else (data, target), {})


class _Loop:
    """Epochs of batches that Python yields; what the library does with samples in memory."""

    def __init__(self, trainer: Trainer, data: Iterable[Any], val: Any,
                 tell: Callable[..., bool]) -> None:
        self.trainer = trainer
        self.data = data
        self.val = [val] if _is_batch(val) else val
        self.told = tell
        self.epoch = 0
        self.batches = len(data) if isinstance(data, Sized) else 0
        self.batch = 0

    def tell(self, kind: int, numbers: dict[str, float] | None = None, text: str = "") -> bool:
        return self.told(kind, self.epoch, self.trainer.steps, self.batch, self.batches,
                         numbers or {}, text)

    def run(self, epochs: int, steps: int, history: list[dict[str, float]]) -> FitResult:
        last = self.trainer.steps + steps if steps else None
        stop = self.tell(0, text="\n".join(self.trainer.warnings))
        try:
            while not stop and (self.epoch < epochs if last is None
                                else self.trainer.steps < last):
                stop = self.one_epoch(last)
        except Exception as error:
            self.tell(5, text=str(error))
            raise
        self.tell(6, history[-1] if history else {})
        return FitResult(self.trainer.steps, len(history), history, cancelled=stop)

    def one_epoch(self, last: int | None) -> bool:
        self.epoch += 1
        self.batch = 0
        losses, sizes, stop = [], [], self.tell(1)
        for batch in self.data:
            if stop or (last is not None and self.trainer.steps >= last):
                break
            stop = self.tell(2)
            parts = _parts(batch)
            result = self.trainer.step(*parts)
            losses.append(result.loss)
            sizes.append(_size(parts))
            self.batch += 1
            stop = self.tell(3, {"loss": result.loss, "rate": result.rate}) or stop
        if not losses:
            raise InvalidArgument("the data yield no batch: they must be iterable once an epoch")
        numbers = {"train_loss": _mean(losses, sizes)}
        if self.val is not None:
            others = [_parts(b) for b in self.val]
            if not others:
                raise InvalidArgument("val yields no batch: it must be iterable once an epoch")
            measured = [self.trainer.eval(*b)[0] for b in others]
            numbers["val_loss"] = _mean(measured, [_size(b) for b in others])
            self.trainer.measured(numbers["val_loss"])
        return self.tell(4, numbers) or stop


def _parts(batch: Any) -> tuple[Any, ...]:
    """A batch's arrays by position, or its dict."""
    return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)


def _size(parts: tuple[Any, ...]) -> int:
    """How many samples a batch has."""
    first = next(iter(parts[0].values())) if isinstance(parts[0], Mapping) else parts[0]
    return len(first)


def _mean(losses: list[float], sizes: list[int]) -> float:
    """Over samples, of means over batches."""
    return float(np.average(losses, weights=sizes))


def _is_batch(val: Any) -> bool:
    if isinstance(val, Mapping):
        return True
    return isinstance(val, (tuple, list)) and len(val) > 0 and _samples_of(val[0]) \
        and not isinstance(val[0], Mapping)
