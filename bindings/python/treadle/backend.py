"""onnx.backend over treadle: what ONNX's own test runner drives."""

import onnx
from onnx.backend.base import Backend, BackendRep

from ._model import Model


class TreadleRep(BackendRep):
    def __init__(self, model):
        self._model = model

    def run(self, inputs, **kwargs):
        if not isinstance(inputs, (list, tuple)):
            inputs = [inputs]
        feed = {p.name: x for p, x in zip(self._model.inputs, inputs)}
        return tuple(self._model.run(None, feed))


class TreadleBackend(Backend):
    @classmethod
    def is_compatible(cls, model, device="CPU", **kwargs):
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        super().prepare(model, device, **kwargs)
        return TreadleRep(Model(model))

    @classmethod
    def run_model(cls, model, inputs, device="CPU", **kwargs):
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, **kwargs):
        super().run_node(node, inputs, device, outputs_info, **kwargs)
        import numpy as np

        def info(name, array):
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
    def supports_device(cls, device):
        return device.split(":")[0] == "CPU"


prepare = TreadleBackend.prepare
run_model = TreadleBackend.run_model
run_node = TreadleBackend.run_node
supports_device = TreadleBackend.supports_device
is_compatible = TreadleBackend.is_compatible
