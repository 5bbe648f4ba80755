"""RNN, GRU and LSTM with every option."""
import numpy as np

from case import Case, operator
from draw import FLOATS

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
# What a gate may be; those with parameters take one or two.
ACTIVATIONS = {"Tanh": 0, "Sigmoid": 0, "Relu": 0, "Softsign": 0, "Softplus": 0, "LeakyRelu": 1,
               "ThresholdedRelu": 1, "Elu": 1, "Affine": 2, "HardSigmoid": 2, "ScaledTanh": 2}
EACH = {"RNN": 1, "GRU": 2, "LSTM": 3}


def activations(d, name, directions):
    """Attributes that name every gate's activation."""
    names = [d.pick(list(ACTIVATIONS)) for _ in range(EACH[name] * directions)]
    alpha = [d.float(0.2, 1) for n in names if ACTIVATIONS[n] > 0]
    beta = [d.float(0.2, 1) for n in names if ACTIVATIONS[n] > 1]
    return {"activations": names} | ({"activation_alpha": alpha} if alpha else {}) | \
        ({"activation_beta": beta} if beta else {})


@operator("RNN", "GRU", "LSTM", since=7)
def recurrent(d, name):
    direction = d.pick(["forward", "reverse", "bidirectional"])
    ways = 2 if direction == "bidirectional" else 1
    steps, batch, size, hidden = d.int(1, 4), d.int(1, 3), d.int(1, 4), d.int(1, 4)
    dtype, gates = d.dtype(FLOATS[:3]), GATES[name]
    attributes = {"hidden_size": hidden, "direction": direction}
    layout = d.int(0, 1) if d.opset >= 14 else 0
    if layout:
        attributes["layout"] = 1
    if d.maybe(0.3):
        attributes |= activations(d, name, ways)
    attributes |= d.some(clip=d.float(0.3, 2)) if d.maybe(0.4) else {}
    if name == "GRU":
        attributes |= d.some(linear_before_reset=d.int(0, 1))
    if name == "LSTM" and d.maybe(0.2):
        attributes["input_forget"] = 1

    def state():
        return d.array(dtype, [batch, ways, hidden] if layout else [ways, batch, hidden], -1, 1)

    inputs = [d.array(dtype, [batch, steps, size] if layout else [steps, batch, size], -1, 1),
              d.array(dtype, [ways, gates * hidden, size], -1, 1),
              d.array(dtype, [ways, gates * hidden, hidden], -1, 1),
              d.array(dtype, [ways, 2 * gates * hidden], -1, 1) if d.maybe() else None,
              d.random.integers(1, steps + 1, batch).astype(np.int32) if d.maybe(0.4) else None,
              state() if d.maybe() else None]
    if name == "LSTM":
        inputs += [state() if d.maybe() else None,
                   d.array(dtype, [ways, 3 * hidden], -1, 1) if d.maybe(0.4) else None]
    return Case(inputs, attributes, outputs=3 if name == "LSTM" else 2,
                constants=(1, 2) if d.maybe(0.4) else (),
                rtol=1e-2 if dtype == "float16" else None)
