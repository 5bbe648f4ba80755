"""A model that needs a plugin, by every subcommand and from Python; and plugins that are none."""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
except ImportError as missing:
    print("skipped: the Python packages onnx and numpy are needed:", missing)
    sys.exit(77)

TOOL, SOURCE = os.environ["TREADLE_TOOL"], pathlib.Path(os.environ["TREADLE_SOURCE"])
BUILD = pathlib.Path(os.environ["TREADLE_BUILD"])
PLUGIN = str(BUILD / "lib" / "libc_api_window_mean_plugin.so")
MODEL = "window_mean.onnx"
X = np.arange(8, dtype=np.float32).reshape(2, 4)
SAVED = "out.onnx"

# arguments, exit code, texts
CASES = [
    (["run", MODEL, "--shape", "x:1x8", "--fill", "ones"], 3, ["example.WindowMean", "'smooth'"]),
    (["check", MODEL], 3, ["example.WindowMean"]),
    (["check", MODEL, "--plugin", PLUGIN], 0, []),
    (["run", MODEL, "--plugin", PLUGIN, "--shape", "x:1x8", "--fill", "ones"], 0, ["[1, 6]"]),
    (["run", MODEL, "--plugin", PLUGIN, "--shape", "x:1x8", "--fill", "ones",
      "--no-fallback"], 0, ["[1, 6]"]),
    (["run", MODEL, "--plugin", PLUGIN, "--shape", "x:1x2", "--fill", "ones"], 4, ["'smooth'", "shorter than the window"]),
    (["inspect", MODEL, "--plugin", PLUGIN], 0, ["steps - 2"]),
    (["inspect", MODEL, "--plugin", PLUGIN, "--shape", "x:1x8", "--show", "placement"], 0,
     ["example.WindowMean", "callback"]),
    (["bench", MODEL, "--plugin", PLUGIN, "--shape", "x:1x8", "--duration", "0.05"], 0, []),
    (["profile", MODEL, "--plugin", PLUGIN, "--shape", "x:1x8"], 0, ["WindowMean"]),
    (["compare", MODEL, "--plugin", PLUGIN, "--shape", "x:1x8", "--devices", "cpu,reference"], 0,
     []),
    (["optimize", MODEL, SAVED, "--plugin", PLUGIN, "--shape", "x:1x8"], 0, []),
    (["run", SAVED, "--plugin", PLUGIN, "--shape", "x:1x8", "--fill", "ones"], 0, ["[1, 6]"]),
    (["run", "wide.onnx", "--plugin", PLUGIN, "--shape", "x:1x8"], 3,
     ["window must be at least 1", "'smooth'"]),
    (["check", MODEL, "--train", "--plugin", PLUGIN], 0, ["can be differentiated"]),
    (["grad", MODEL, "grad.onnx", "--wrt", "x", "--check", "--tolerance", "1e-3", "--plugin", PLUGIN,
      "--shape", "x:1x8"], 0, ["agrees"]),
    (["run", "grad.onnx", "--plugin", PLUGIN, "--shape", "x:1x8", "--fill", "ones"], 0, []),
    (["train", "trained.onnx", "--data", "data.npz", "--epochs", "3", "--out", "tuned"], 3,
     ["example.WindowMean"]),
    (["train", "trained.onnx", "--data", "data.npz", "--epochs", "3", "--out", "tuned", "--plugin",
      PLUGIN], 0, ["train_loss"]),
    (["eval", "tuned", "--plugin", PLUGIN], 0, ["samples"]),
    (["export", "tuned", "tuned.onnx", "--plugin", PLUGIN], 0, ["after 24 steps"]),
    (["finetune", "trained.onnx", "--data", "data.npz", "--epochs", "1", "--out", "again",
      "--plugin", PLUGIN], 0, ["train_loss"]),
    (["run", MODEL, "--plugin", "missing.so"], 4, ["missing.so"]),
    (["run", MODEL, "--plugin", MODEL], 4, ["cannot be opened", MODEL]),
    (["run", MODEL, "--plugin", str(BUILD / "lib" / "libtreadle.so")], 4, ["no plugin"]),
    (["run", MODEL, "--plugin", PLUGIN, "--plugin", PLUGIN], 4, ["there already"]),
]


def check_command(arguments, code, texts):
    done = subprocess.run([TOOL, *arguments], capture_output=True, text=True)
    said = done.stdout + done.stderr
    wrong = [f"exit code {done.returncode}, expected {code}"] if done.returncode != code else []
    wrong += [f"no {text!r}" for text in texts if text not in said]
    return [f"treadle {' '.join(arguments)}: {'; '.join(wrong)}\n{said}"] if wrong else []


def check_python():
    sys.path.insert(0, str(BUILD / "python"))
    import treadle

    try:
        treadle.load(MODEL)
        return ["treadle.load without the plugin: no error"]
    except treadle.Unsupported as error:
        wrong = [] if "example.WindowMean" in str(error) else [str(error)]
    got = treadle.load(MODEL, plugins=[PLUGIN])(X)
    if not np.allclose(got, [[1, 2], [5, 6]]):
        wrong.append(f"treadle.load with the plugin: {got}")
    options = treadle.SessionOptions()
    options.register_custom_ops_library(str(PLUGIN))
    if not np.allclose(treadle.InferenceSession(str(MODEL), options).run(None, {"x": X})[0], got):
        wrong.append("InferenceSession with the plugin gives something else")
    return wrong


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    subprocess.check_call([sys.executable, SOURCE / "examples" / "window_mean_model.py", "."])
    model = onnx.load(MODEL)
    model.graph.node[0].attribute[0].i = 0
    onnx.save(model, "wide.onnx")
    # example.WindowMean between a weight and the loss.
    weight = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [4], [1, 2, 3, 4])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", ["x", "w"], ["p"]),
         onnx.helper.make_node("WindowMean", ["p"], ["y"], "smooth", domain="example", window=2)], "trained",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 4])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 3])], [weight])
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[
        onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("example", 1)]), "trained.onnx")
    np.savez("data.npz", x=np.ones((320, 4), np.float32), target=np.ones((320, 3), np.float32))
    failed = [f for case in CASES for f in check_command(*case)]
    if {o.domain: o.version for o in onnx.load(SAVED).opset_import}.get("example") != 1:
        failed.append(f"{SAVED} does not import domain example")
    if (BUILD / "python" / "treadle").exists():
        failed += check_python()
print(*failed, sep="\n")
sys.exit(1 if failed else 0)
