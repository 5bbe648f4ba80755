"""Train ONNX networks from Python.

    net = train.Sequential(train.Flatten(), train.Linear(100), train.ReLU(), train.Linear(10))
    trainer = train.Trainer(net.build((1, 8, 8)), loss="cross_entropy", optimizer="adam")
    trainer.fit(pictures, classes, epochs=20, val=(other_pictures, their_classes))
    trainer.export("digits.onnx")

The model may be any ONNX file too. `treadle.train.artifacts` has the names of
onnxruntime-training.
"""

from .layers import (ELU, GELU, LSTM, AveragePool, BatchNorm, Concat, Conv2d, ConvTranspose2d,
                     Dropout, Embedding, Flatten, GlobalAveragePool, HardSwish, Layer, LayerNorm,
                     LeakyReLU, Linear, MaxPool, Mish, Network, Op, ReLU, Reshape, Residual,
                     Sequential, Sigmoid, Softmax, Tanh, Tensor, new)
from .trainer import Event, FitResult, StepResult, Trainer

__all__ = [
    "AveragePool", "BatchNorm", "Concat", "Conv2d", "ConvTranspose2d", "Dropout", "ELU",
    "Embedding", "Event", "FitResult", "Flatten", "GELU", "GlobalAveragePool", "HardSwish",
    "LSTM", "Layer", "LayerNorm", "LeakyReLU", "Linear", "MaxPool", "Mish", "Network", "Op",
    "ReLU", "Reshape", "Residual", "Sequential", "Sigmoid", "Softmax", "StepResult", "Tanh",
    "Tensor", "Trainer", "new",
]
