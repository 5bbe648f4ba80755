"""treadle grad and check --train: what they write runs in onnxruntime and has the right values."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    print("skipped: the Python packages onnx, onnxruntime and numpy are needed:", missing)
    sys.exit(77)

TOOL = os.environ["TREADLE_TOOL"]
HEADER = '<ir_version: 8, opset_import: ["" : 18]>'
MODELS = {
    "square.onnx": HEADER + """
f (float a, float b, float c) => (float y) {
  s = Add (a, b)
  p = Mul (s, c)
  y = Mul (p, p)
}""",
    "flow.onnx": HEADER + """
f (bool up, float[2] x, float[3, 2] xs, int64 n) => (float[2] y, float[3, 2] zs)
<float[2, 2] w = {0.5, -0.25, 0.125, 0.75}> {
  h = If (up) <
    then_branch = t () => (float[2] u) { u = Tanh (x) },
    else_branch = e () => (float[2] v) { v = Mul (x, x) }>
  last, zs = Scan <num_scan_inputs = 1, body = b (float[2] s, float[2] r) => (float[2] o, float[2] z) {
    m = MatMul (w, s)
    a = Add (m, r)
    o = Sigmoid (a)
    z = Identity (o)
  }> (h, xs)
  y = Loop (n, "", last) <body = l (int64 i, bool on, float[2] s) => (bool more, float[2] o) {
    more = Identity (on)
    m = MatMul (w, s)
    o = Add (m, x)
  }>
}""",
    "recurrent.onnx": HEADER + """
f (float[3, 1, 2] x, float[1, 8, 2] w, float[1, 8, 2] r) => (float[3, 1, 1, 2] y) {
  y = LSTM <hidden_size = 2> (x, w, r)
}""",
    "rounded.onnx": HEADER + """
f (float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
  p = Mul (x, w)
  r = Round (p)
  y = Add (r, w)
}""",
    "softmax11.onnx": '<ir_version: 6, opset_import: ["" : 11]>' + """
f (float[2, 3, 2] x, float[2, 3, 2] k) => (float[2, 3, 2] y) {
  s = Softmax <axis = 1> (x)
  l = LogSoftmax <axis = 1> (x)
  a = Mul (s, k)
  y = Add (a, l)
}""",
    "refused.onnx": '<ir_version: 8, opset_import: ["" : 18, "ai.onnx.ml" : 3]>' + """
f (float[N, 2] x) => (float[N, 1] y) <float[2] w = {1, 2}> {
  p = Mul (x, w)
  q = ai.onnx.ml.Scaler <offset = [1.0], scale = [2.0]> (p)
  y = ai.onnx.ml.LinearRegressor <coefficients = [1.0, 2.0]> (q)
}""",
}
# command line, exit code, texts that it must give
CASES = [
    ("grad square.onnx out.onnx", 2, ["--wrt"]),
    ("grad square.onnx out.onnx --wrt q", 4, ["'q'"]),
    ("grad square.onnx out.onnx --wrt a --order 3", 2, ["--order"]),
    ("grad square.onnx out.onnx --wrt a,b,c --check", 0, ["agrees", "c:", "out.onnx"]),
    ("grad flow.onnx flow_grad.onnx --wrt x,xs,w --check --seed 3", 0, ["agrees"]),
    ("grad flow.onnx second.onnx --wrt x,w --order 2 --check --tolerance 1e-4", 0, ["agrees"]),
    ("grad recurrent.onnx lstm.onnx --wrt x,w,r --check", 0, ["agrees"]),
    ("grad rounded.onnx out.onnx --wrt x", 4, ["no gradient reaches 'x'", "Round"]),
    ("grad refused.onnx out.onnx --wrt w", 3, ["no gradient for 2 nodes", "Scaler", "LinearRegressor", "path"]),
    ("check --train refused.onnx", 3, ["ai.onnx.ml.Scaler)", "ai.onnx.ml.LinearRegressor)", "path"]),
    ("check --train flow.onnx", 0, ["can be differentiated"]),
    ("ops Conv", 0, ["gradient: "]),
]
failures = []


def run(line: str) -> subprocess.CompletedProcess:
    return subprocess.run([TOOL, *line.split()], capture_output=True, text=True, timeout=120)


def check(what: str, holds: bool, detail: object = "") -> None:
    if not holds:
        failures.append(f"{what}: {detail}")


def results(path: str, inputs: dict) -> list:
    onnx.checker.check_model(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def scalars(**values: float) -> dict:
    return {name: np.array(value, np.float32) for name, value in values.items()}


def square() -> None:
    run("grad square.onnx out.onnx --wrt a,b,c")
    got = results("out.onnx", scalars(a=1, b=2, c=2))
    check("first order", [float(g) for g in got] == [24, 24, 36], got)
    opset = onnx.load("out.onnx").opset_import[0].version
    check("the lowest opset", opset <= 14, opset)
    run("grad square.onnx out.onnx --wrt a,b,c --order 2")
    for direction, want in {"a": [8, 8, 24], "b": [8, 8, 24], "c": [24, 24, 18]}.items():
        along = {f"direction_{n}": np.array(float(n == direction), np.float32) for n in "abc"}
        got = results("out.onnx", scalars(a=1, b=2, c=2) | along)
        check(f"second order along {direction}", [float(g) for g in got[3:]] == want, got)


def runs_in_onnxruntime() -> None:
    rng = np.random.default_rng(0)
    x, xs = rng.normal(size=2).astype(np.float32), rng.normal(size=(3, 2)).astype(np.float32)
    run("grad flow.onnx flow_grad.onnx --wrt x,xs,w --keep-outputs")
    for up in (True, False):
        for trips in (1, 2):  # onnxruntime's Scan takes no empty input
            inputs = {"up": np.array(up), "x": x, "xs": xs, "n": np.array(trips, np.int64)}
            y, zs, *grads = results("flow_grad.onnx", inputs)
            step = 1e-2
            moved = [results("flow.onnx", inputs | {"x": x + s * np.array([1, 0], np.float32)})
                     for s in (step, -step)]
            slope = (sum(o.sum() for o in moved[0]) - sum(o.sum() for o in moved[1])) / (2 * step)
            check(f"If {up}, {trips} trips", abs(grads[0][0] - slope) < 2e-3, (grads[0], slope))
    run("grad recurrent.onnx lstm.onnx --wrt x")
    weights = rng.normal(size=(2, 1, 8, 2)).astype(np.float32)
    got = results("lstm.onnx", {"x": rng.normal(size=(3, 1, 2)).astype(np.float32),
                                "w": weights[0], "r": weights[1]})
    check("the shape for x", got[0].shape == (3, 1, 2), got[0].shape)


def trap_10_softmax_over_all_axes_behind_one() -> None:
    """Before opset 13 Softmax flattens what follows its axis, which is 1 unless told."""
    x, k = np.random.default_rng(1).normal(size=(2, 2, 3, 2)).astype(np.float32)
    check("trap 10", run("grad softmax11.onnx out.onnx --wrt x --check").returncode == 0)
    got, = results("out.onnx", {"x": x, "k": k})
    s = np.exp(x) / np.exp(x).sum((1, 2), keepdims=True)
    want = s * (k - (s * k).sum((1, 2), keepdims=True)) + 1 - s * 6
    check("trap 10", np.allclose(got, want, atol=1e-5), (got, want))


def json_output() -> None:
    done = json.loads(run("grad square.onnx out.onnx --wrt a --check --json").stdout)
    check("json", done["outputs"] == ["grad_a"] and done["written"], done)
    check("json differences", done["checked"][0]["relative"] < 1e-5, done)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for name, text in MODELS.items():
        onnx.save(onnx.parser.parse_model(text), name)
    for line, code, texts in CASES:
        done = run(line)
        said = done.stdout + done.stderr
        check(line, done.returncode == code, f"exit {done.returncode}, expected {code}: {said}")
        for text in texts:
            check(line, text in said, f"'{text}' is not in: {said}")
    square()
    runs_in_onnxruntime()
    trap_10_softmax_over_all_axes_behind_one()
    json_output()
print("\n".join(failures) or "all right")
sys.exit(bool(failures))
