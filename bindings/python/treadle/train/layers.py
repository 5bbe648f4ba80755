"""Networks layer by layer. Shapes are followed and initial values drawn by the library; what comes
out is an ONNX model.

In a row:        Sequential(Conv2d(8), ReLU(), Flatten(), Linear(10)).build((1, 28, 28))
As functions:    net = Network()
                 x = net.input((3, 32, 32))
                 y = ReLU()(BatchNorm()(Conv2d(3)(x))) + x
                 net.output(Linear(10)(GlobalAveragePool()(y)))
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .. import _native, _values
from .._errors import InvalidArgument
from .._model import setting_text

import numpy as np


def _words(owner: str, settings: dict[str, Any]) -> str:
    """Settings as the library takes them; None is not given."""
    texts = {k: setting_text(v) for k, v in settings.items() if v is not None}
    for key, text in texts.items():
        if any(c.isspace() for c in text):
            raise InvalidArgument(f"{owner}: {key} is '{text}', which has spaces")
    return " ".join(f"{k}={text}" for k, text in texts.items())


class Tensor:
    """A value of a network that is being built. +, -, * and / with another one add a layer."""

    def __init__(self, network: Network, number: int) -> None:
        self.network = network
        self._number = number

    def _with(self, kind: str, other: Any) -> Tensor:
        return self.network._add(kind, None, (self, other), {})

    def __add__(self, other: Tensor) -> Tensor:
        return self._with("Add", other)

    def __sub__(self, other: Tensor) -> Tensor:
        return self._with("Sub", other)

    def __mul__(self, other: Tensor) -> Tensor:
        return self._with("Mul", other)

    def __truediv__(self, other: Tensor) -> Tensor:
        return self._with("Div", other)


class Network:
    """A network under construction, which is a model as soon as it has an output: Trainer and
    treadle.load take it.

    seed: of the initial values, which depend on it and the layers' names."""

    def __init__(self, seed: int = 0) -> None:
        self._native = _native.Network(seed % 2**64)
        self._counts: dict[str, int] = {}

    def input(self, shape: Sequence[int | None], dtype: Any = np.float32,
              name: str = "x") -> Tensor:
        """An input of samples of this shape, without the batch's dimension, which is put before
        it; None is a dimension of any size."""
        dims = [-1, *(-1 if d is None else int(d) for d in shape)]
        code = _values.dtype_code(np.dtype(dtype))
        return Tensor(self, self._native.input(name, code, dims))

    def _add(self, kind: str, name: str | None, inputs: Sequence[Any],
             settings: dict[str, Any]) -> Tensor:
        for x in inputs:
            if not isinstance(x, Tensor) or x.network is not self:
                raise InvalidArgument(f"layer {kind} is given {type(x).__name__}, expected values "
                                      "of one network")
        if name is None:
            stem = kind.lower()
            self._counts[stem] = self._counts.get(stem, 0) + 1
            name = f"{stem}{self._counts[stem]}"
        words = _words(f"layer {kind}", settings)
        return Tensor(self, self._native.layer(kind, name, [x._number for x in inputs], words))

    def output(self, value: Tensor, name: str = "y") -> None:
        """Makes a value an output of the model."""
        if not isinstance(value, Tensor) or value.network is not self:
            raise InvalidArgument(f"output '{name}' is {type(value).__name__}, expected a value of "
                                  "this network")
        self._native.output(name, value._number)

    def SerializeToString(self) -> bytes:
        """The model as the bytes of an ONNX file."""
        return self._native.model()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model as an ONNX file."""
        with open(path, "wb") as file:
            file.write(self.SerializeToString())


class Layer:
    """What is called with values of a network and gives one. Each call makes a layer of its own,
    with weights of its own.

    name: what its parameters begin with ("NAME.weight"); else made of its kind and a number."""

    def __init__(self, kind: str, *, name: str | None = None, **settings: Any) -> None:
        self.kind = kind
        self.name = name
        self.settings = settings

    def __call__(self, *inputs: Tensor) -> Tensor:
        network = getattr(inputs[0], "network", None) if inputs else None
        if not isinstance(network, Network):
            raise InvalidArgument(f"layer {self.kind} is called with values of a network")
        return network._add(self.kind, self.name, inputs, self.settings)

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v!r}" for k, v in self.settings.items() if v is not None)
        return f"{type(self).__name__}({given})"


class Sequential(Layer):
    """Layers one after another."""

    def __init__(self, *layers: Layer) -> None:
        super().__init__("sequential")
        self.layers = layers

    def __call__(self, *inputs: Tensor) -> Tensor:
        for layer in self.layers:
            inputs = (layer(*inputs),)
        return inputs[0]

    def build(self, shape: Sequence[int | None], dtype: Any = np.float32, *, seed: int = 0,
              input: str = "x", output: str = "y") -> Network:
        """The network of these layers for samples of this shape (without the batch)."""
        network = Network(seed)
        network.output(self(network.input(shape, dtype, input)), output)
        return network

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


class Residual(Sequential):
    """What the layers make of the input, plus the input."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return super().__call__(*inputs) + inputs[0]


class Op(Layer):
    """Any operator of ONNX with one output: Op("Clip"), Op("Transpose", perm=[0, 2, 1])."""


class Linear(Layer):
    """x·W + b of the last axis. initializer: "xavier" (default), "he", "normal" …"""

    def __init__(self, units: int, bias: bool = True, *, initializer: str | None = None,
                 name: str | None = None) -> None:
        super().__init__("linear", name=name, units=units, bias=bias, initializer=initializer)


class Conv2d(Layer):
    """A convolution of [N, C, H, W] by windows of kernel × kernel. pad: on each side; None keeps
    the size at stride 1, of odd kernels. initializer: "he" (default) …"""

    def __init__(self, filters: int, kernel: int = 3, stride: int = 1, pad: int | None = None, *,
                 dilation: int = 1, groups: int = 1, bias: bool = True,
                 initializer: str | None = None, name: str | None = None) -> None:
        super().__init__("conv", name=name, filters=filters, kernel=kernel, stride=stride, pad=pad,
                         dilation=dilation, groups=groups, bias=bias, initializer=initializer)


class ConvTranspose2d(Layer):
    """A transposed convolution of [N, C, H, W]: `stride` times the size, less 2·pad, plus kernel -
    stride + output_padding."""

    def __init__(self, filters: int, kernel: int = 2, stride: int = 2, pad: int = 0, *,
                 output_padding: int = 0, bias: bool = True, initializer: str | None = None,
                 name: str | None = None) -> None:
        super().__init__("conv_transpose", name=name, filters=filters, kernel=kernel,
                         stride=stride, pad=pad, output_padding=output_padding, bias=bias,
                         initializer=initializer)


class BatchNorm(Layer):
    """Batch normalization of each channel; a trained model uses the running statistics."""

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__("batch_norm", name=name)


class LayerNorm(Layer):
    """Layer normalization of the last axis."""

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__("layer_norm", name=name)


class MaxPool(Layer):
    """The greatest of each window of [N, C, H, W]; the stride is the kernel by default."""

    def __init__(self, kernel: int = 2, stride: int | None = None, pad: int = 0, *,
                 name: str | None = None) -> None:
        super().__init__("max_pool", name=name, kernel=kernel, stride=stride, pad=pad)


class AveragePool(Layer):
    """The mean of each window of [N, C, H, W]; the stride is the kernel by default."""

    def __init__(self, kernel: int = 2, stride: int | None = None, pad: int = 0, *,
                 name: str | None = None) -> None:
        super().__init__("average_pool", name=name, kernel=kernel, stride=stride, pad=pad)


class GlobalAveragePool(Layer):
    """[N, C, H, W] to the mean of each channel, [N, C]."""

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__("global_average_pool", name=name)


class Flatten(Layer):
    """[N, …] to [N, numbers of a sample]."""

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__("flatten", name=name)


class Dropout(Layer):
    """Drops this share of the numbers in training, none in the exported model."""

    def __init__(self, ratio: float = 0.5, *, name: str | None = None) -> None:
        super().__init__("dropout", name=name, ratio=ratio)


class Embedding(Layer):
    """Integers below `count` to vectors of `width`."""

    def __init__(self, count: int, width: int, *, initializer: str | None = None,
                 name: str | None = None) -> None:
        super().__init__("embedding", name=name, count=count, width=width,
                         initializer=initializer)


class LSTM(Layer):
    """[N, T, C] to the hidden states [N, T, width]."""

    def __init__(self, width: int, *, initializer: str | None = None,
                 name: str | None = None) -> None:
        super().__init__("lstm", name=name, width=width, initializer=initializer)


class Reshape(Layer):
    """To this shape, the batch included: 0 is the dimension as it is, -1 the rest."""

    def __init__(self, *shape: int, name: str | None = None) -> None:
        super().__init__("reshape", name=name, shape=shape)


class Concat(Layer):
    """Joins its inputs along an axis."""

    def __init__(self, axis: int = 1, *, name: str | None = None) -> None:
        super().__init__("Concat", name=name, axis=axis)


class Softmax(Layer):
    """exp(x) / sum of exp(x). The loss cross_entropy takes scores without it."""

    def __init__(self, axis: int = -1, *, name: str | None = None) -> None:
        super().__init__("Softmax", name=name, axis=axis)


class LeakyReLU(Layer):
    """x, or alpha·x below 0."""

    def __init__(self, alpha: float = 0.01, *, name: str | None = None) -> None:
        super().__init__("LeakyRelu", name=name, alpha=alpha)


class _Activation(Layer):
    _kind = ""

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(self._kind, name=name)


class ReLU(_Activation):
    """max(x, 0)."""
    _kind = "Relu"


class ELU(_Activation):
    """x, or exp(x) - 1 below 0."""
    _kind = "Elu"


class GELU(_Activation):
    """x times the normal distribution up to x."""
    _kind = "Gelu"


class HardSwish(_Activation):
    """x·min(max(x/6 + 1/2, 0), 1)."""
    _kind = "HardSwish"


class Mish(_Activation):
    """x·tanh(log(1 + exp(x)))."""
    _kind = "Mish"


class Sigmoid(_Activation):
    """1 / (1 + exp(-x))."""
    _kind = "Sigmoid"


class Tanh(_Activation):
    """The hyperbolic tangent."""
    _kind = "Tanh"


def new(kind: str, *, classes: int = 10, input_shape: Sequence[int] | None = None,
        hidden: Sequence[int] | None = None, filters: int | None = None,
        dropout: float | None = None, seed: int = 0) -> bytes:
    """An untrained network as `treadle new` makes it, as the bytes of an ONNX file: mlp, cnn,
    lenet, resnet18, mobilenetv2, unet, char-rnn, transformer."""
    given = {"classes": classes, "input_shape": input_shape, "hidden": hidden, "filters": filters,
             "dropout": dropout}
    return _native.Network.known(kind, _words(kind, given), seed % 2**64)
