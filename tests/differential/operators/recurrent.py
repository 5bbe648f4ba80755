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
    clipped = name == "LSTM" and "clip" in attributes
    return Case(inputs, attributes, outputs=3 if name == "LSTM" else 2,
                constants=(1, 2) if d.maybe(0.4) else (),
                rtol=1e-2 if dtype == "float16" else None,
                numpy=(lambda: lstm(attributes, inputs)) if clipped else None)


FUNCTIONS = {
    "Tanh": np.tanh, "Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Relu": lambda x: np.maximum(x, 0),
    "Softsign": lambda x: x / (1 + np.abs(x)), "Softplus": lambda x: np.log1p(np.exp(x)),
    "LeakyRelu": lambda x, a: np.where(x < 0, a * x, x),
    "ThresholdedRelu": lambda x, a: np.where(x > a, x, 0),
    "Elu": lambda x, a: np.where(x < 0, a * np.expm1(x), x), "Affine": lambda x, a, b: a * x + b,
    "HardSigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "ScaledTanh": lambda x, a, b: a * np.tanh(b * x)}


def lstm(attributes, inputs):
    """ONNX's text, in double: `clip` bounds what every activation is given, the cell's too."""
    ways, width, _ = inputs[2].shape
    hidden, kind, layout = width // 4, inputs[0].dtype, attributes.get("layout", 0)
    x, w, r, bias, lengths, h0, c0, peep = (
        None if i is None else i.astype(np.float64) for i in inputs)
    if layout:
        x, h0, c0 = (t if t is None else np.swapaxes(t, 0, 1) for t in (x, h0, c0))
    steps, batch, _ = x.shape
    zeros = np.zeros((ways, batch, hidden))
    h, c = (zeros.copy() if t is None else t.copy() for t in (h0, c0))
    bias = np.zeros((ways, 8 * hidden)) if bias is None else bias
    peep = np.zeros((ways, 3 * hidden)) if peep is None else peep
    names = attributes.get("activations", ["Sigmoid", "Tanh", "Tanh"] * ways)
    parameters = [iter(attributes.get(f"activation_{p}", ())) for p in ("alpha", "beta")]
    bound = attributes["clip"]
    functions = []
    for name in names:
        given = [next(p) for p in parameters[:ACTIVATIONS[name]]]
        functions.append(lambda v, f=FUNCTIONS[name], g=given: f(np.clip(v, -bound, bound), *g))
    y = np.zeros((steps, ways, batch, hidden))
    for way, b in np.ndindex(ways, batch):
        gate, cell, out = functions[3 * way: 3 * way + 3]
        length = steps if lengths is None else int(lengths[b])
        back = attributes["direction"] == "reverse" or way == 1
        pi, po, pf = np.split(peep[way], 3)
        for t in range(length)[::-1 if back else 1]:
            i, o, f, g = np.split(w[way] @ x[t, b] + r[way] @ h[way, b] +
                                  bias[way, :width] + bias[way, width:], 4)
            i = gate(i + pi * c[way, b])
            f = 1 - i if attributes.get("input_forget") else gate(f + pf * c[way, b])
            c[way, b] = f * c[way, b] + i * cell(g)
            h[way, b] = gate(o + po * c[way, b]) * out(c[way, b])
            y[t, way, b] = h[way, b]
    if layout:
        y, h, c = y.transpose(2, 0, 1, 3), h.swapaxes(0, 1), c.swapaxes(0, 1)
    return [t.astype(kind) for t in (y, h, c)]
