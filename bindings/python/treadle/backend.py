"""onnx.backend over treadle: what ONNX's own test runner drives."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep

from ._model import Model


class TreadleRep(BackendRep):
    """A prepared model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The outputs for the inputs in the model's order: a list of arrays, or one array."""
        if not isinstance(inputs, (list, tuple)):
            inputs = [inputs]
        feed = {p.name: x for p, x in zip(self._model.inputs, inputs)}
        return tuple(self._model.run(None, feed))


class TreadleBackend(Backend):
    """onnx.backend.base.Backend over treadle; the only device is "CPU"."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether the device is there; whether the model is supported shows when it is prepared."""
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> TreadleRep:
        """Checks and loads a model, to be run any number of times."""
        super().prepare(model, device, **kwargs)
        return TreadleRep(Model(model))

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU",
                  **kwargs: Any) -> tuple[Any, ...]:
        """Prepares the model, and runs it once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU",
                 outputs_info: Any = None, **kwargs: Any) -> tuple[Any, ...]:
        """Runs one node, of onnx's newest opset or `opset_version`."""
        super().run_node(node, inputs, device, outputs_info, **kwargs)

        def info(name: str, array: Any) -> onnx.ValueInfoProto:
            dtype = onnx.helper.np_dtype_to_tensor_dtype(np.asarray(array).dtype)
            return onnx.helper.make_tensor_value_info(name, dtype, np.shape(array))

        given = [info(n, x) for n, x in zip(node.input, inputs)]
        wanted = [onnx.helper.make_empty_tensor_value_info(n) for n in node.output if n]
        graph = onnx.helper.make_graph([node], "node", given, wanted)
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)])
        return cls.run_model(model, inputs, device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether the device is "CPU", with or without a number."""
        return device.split(":")[0] == "CPU"


prepare = TreadleBackend.prepare
run_model = TreadleBackend.run_model
run_node = TreadleBackend.run_node
supports_device = TreadleBackend.supports_device
is_compatible = TreadleBackend.is_compatible
