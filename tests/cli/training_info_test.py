"""treadle run --training-steps: the training that a model's file holds (TrainingInfoProto)."""
import json
import pathlib
import sys
import tempfile

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from command import call, expect, result
except ImportError as missing:
    print("skipped: the Python packages onnx and numpy are needed:", missing)
    sys.exit(77)

W, RATE = np.float32([[0.5], [-1], [2]]), np.float32(0.25)
X, T = np.float32([[1, 2, 3], [-1, 0.5, 2]]), np.float32([[1], [-2]])
ALPHA, BETA, EPSILON = 0.75, 0.875, 1e-3


def tensor(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def line():
    """y = x w, trained by Adam with ONNX's Gradient; w begins at W, the file's is another."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "line", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])], [tensor("w", 0 * W)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17),
                                                    helper.make_opsetid("ai.onnx.preview.training", 1)], ir_version=8)
    training = "ai.onnx.preview.training"
    steps = [helper.make_node("Sub", ["y", "target"], ["apart"]), helper.make_node("Mul", ["apart", "apart"], ["square"]),
             helper.make_node("ReduceMean", ["square"], ["loss"], keepdims=0),
             helper.make_node("Gradient", ["w", "x"], ["g"], domain=training, xs=["w"], zs=["x"], y="loss"),
             helper.make_node("Adam", ["rate", "count", "w", "g", "m", "h"], ["w_next", "m_next", "h_next"],
                              domain=training, alpha=ALPHA, beta=BETA, epsilon=EPSILON),
             helper.make_node("Add", ["count", "one"], ["count_next"])]
    zeros = np.zeros_like(W)
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
               for n, s in (("loss", []), ("w_next", [3, 1]), ("m_next", [3, 1]), ("h_next", [3, 1]))]
    outputs.append(helper.make_tensor_value_info("count_next", TensorProto.INT64, []))
    info = model.training_info.add()
    info.algorithm.CopyFrom(helper.make_graph(
        steps, "adam", [helper.make_tensor_value_info("target", TensorProto.FLOAT, ["N", 1])], outputs,
        [tensor("rate", RATE), tensor("count", np.int64(0)), tensor("one", np.int64(1)), tensor("m", zeros),
         tensor("h", zeros)]))
    for name in ("w", "m", "h", "count"):
        info.update_binding.add(key=name, value=name + "_next")
    info.initialization.CopyFrom(helper.make_graph(
        [helper.make_node("Identity", ["first"], ["begin"])], "begin", [],
        [helper.make_tensor_value_info("begin", TensorProto.FLOAT, [3, 1])], [tensor("first", W)]))
    info.initialization_binding.add(key="w", value="begin")
    return model


def by_numpy(steps, m=0, h=0, first=0):
    w, loss = W.astype(np.float64), None
    for t in range(first, first + steps):
        apart = X @ w - T
        loss, g = (apart ** 2).mean(), X.T @ apart
        rate = RATE * np.sqrt(1 - BETA ** t) / (1 - ALPHA ** t) if t > 0 else RATE
        m, h = ALPHA * m + (1 - ALPHA) * g, BETA * h + (1 - BETA) * g * g
        w = w - rate * m / (np.sqrt(h) + EPSILON)
    return w, loss


def weights(path):
    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    own = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    return own | {t.name: numpy_helper.to_array(t) for t in model.training_info[0].algorithm.initializer}


def hostile():
    """Models that are refused, each with its exit code and what must be named."""
    cases = []

    def bad(code, text, edit):
        model = line()
        edit(model, model.training_info[0], model.training_info[0].algorithm)
        cases.append((model, code, text))

    def rebound(kind, shape, *node, **attributes):
        def edit(model, info, algorithm):
            algorithm.node.append(helper.make_node(*node, ["other"], **attributes))
            algorithm.output.append(helper.make_tensor_value_info("other", kind, shape))
            info.update_binding[0].value = "other"
        return edit

    def begins(value, name="w", takes=()):
        def edit(model, info, algorithm):
            info.initialization.initializer[0].CopyFrom(tensor("first", value))
            info.initialization.output[0].ClearField("type")
            info.initialization.output[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(value.dtype)
            info.initialization.input.extend(takes)
            info.initialization_binding[0].key = name
        return edit

    def strings(model, info, algorithm):
        algorithm.initializer.append(helper.make_tensor("words", TensorProto.STRING, [1], [b"a"]))
        algorithm.node.append(helper.make_node("Identity", ["words"], ["words_next"]))
        algorithm.output.append(helper.make_tensor_value_info("words_next", TensorProto.STRING, [1]))
        info.update_binding.add(key="words", value="words_next")

    def reads_loss(model, info, algorithm):
        model.graph.node.append(helper.make_node("Add", ["y", "loss"], ["z"]))
        model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 1]))

    def tells_loss(model, info, algorithm):
        model.graph.output.append(helper.make_tensor_value_info("loss", TensorProto.FLOAT, []))

    def empty(model, info, algorithm):
        info.ClearField("algorithm")
        info.ClearField("update_binding")

    bad(3, "no algorithm", empty)
    bad(3, "updates no initializer", lambda m, i, a: i.ClearField("update_binding"))
    bad(3, "'z', which is no initializer", lambda m, i, a: i.update_binding.add(key="z", value="w_next"))
    bad(3, "'x', which is no initializer", lambda m, i, a: i.update_binding.add(key="x", value="w_next"))
    bad(3, "'z', which is no initializer", begins(W, "z"))
    bad(3, "'' to ''", lambda m, i, a: i.update_binding.add())
    bad(3, "'w', float[3, 1], to 'other', double[3, 1]",
        rebound(TensorProto.DOUBLE, [3, 1], "Cast", ["w_next"], to=TensorProto.DOUBLE))
    bad(3, "'w', float[3, 1], to 'other', float[1, 3]", rebound(TensorProto.FLOAT, [1, 3], "Transpose", ["w_next"]))
    bad(3, "'w', float[3, 1], to 'begin', double[3, 1]", begins(W.astype(np.float64)))
    bad(3, "'w', float[3, 1], to 'begin', float[2, 1]", begins(W[:2]))
    bad(3, "takes 'seed'", begins(W, takes=[helper.make_tensor_value_info("seed", TensorProto.FLOAT, [])]))
    bad(3, "'words'", strings)
    bad(3, "reads 'loss'", reads_loss)
    bad(3, "reads 'loss'", tells_loss)
    bad(3, "'y' is defined twice", lambda m, i, a: a.node.append(helper.make_node("Neg", ["target"], ["y"])))
    bad(3, "'w' is defined twice", lambda m, i, a: a.initializer.append(tensor("w", W)))
    bad(3, "'x' is defined twice", lambda m, i, a: a.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])))
    bad(3, "cycle", lambda m, i, a: a.node[0].input.__setitem__(1, "square"))
    bad(3, "'nothing' is missing", lambda m, i, a: a.node[0].input.__setitem__(1, "nothing"))
    bad(3, "'begin', which is no output", lambda m, i, a: i.ClearField("initialization"))
    bad(3, "'w' is bound twice", lambda m, i, a: i.initialization_binding.add(key="w", value="begin"))
    return cases


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        onnx.save(line(), str(folder / "line.onnx"))
        np.savez(folder / "batch.npz", x=X, target=T)
        np.save(folder / "x.npy", X)
        np.save(folder / "t.npy", T)
        batch = "--input x=x.npy --input target=t.npy "
        done = call(f"run line.onnx {batch} --training-steps 5 --save-model five.onnx --json", folder)
        w, loss = by_numpy(5)
        told = {o["name"]: o for o in json.loads(done.stdout or "{}").get("outputs", [])}
        expect({"y", "loss", "w_next"} <= told.keys(), f"outputs {told.keys()}")
        five = weights(folder / "five.onnx")
        expect(np.allclose(five["w"], w, rtol=1e-5) and five["count"] == 5, f"{five}, by NumPy {w}")
        call(f"run five.onnx {batch} --training-steps 5 --no-initialization --save-model ten.onnx", folder, 0, ["loss"])
        expect(np.allclose(weights(folder / "ten.onnx")["w"], by_numpy(10)[0], rtol=1e-5), "10 steps in two calls")
        call(f"run five.onnx {batch} --training-steps 5 --save-model again.onnx", folder)
        anew = by_numpy(5, five["m"], five["h"], 5)[0]
        expect(np.allclose(weights(folder / "again.onnx")["w"], anew, rtol=1e-5), "initialization sets w alone")
        np.save(folder / "y.npy", X @ five["w"])
        call("run five.onnx --input x=x.npy --save-outputs got.npy", folder)
        expect(np.allclose(np.load(folder / "got.npy"), X @ five["w"], rtol=1e-5), "inference of what was trained")
        call("run line.onnx --input x=x.npy --training-steps 1", folder, 2, ["'target' is not given"])
        call("run line.onnx --input x=x.npy --save-model m.onnx", folder, 2, ["--training-steps"])
        plain, lost, twice, two = line(), line(), line(), line()
        del plain.training_info[:]
        lost.training_info[0].update_binding[0].value = "nowhere"
        twice.training_info[0].update_binding.add(key="w", value="h_next")
        two.training_info.add()
        for model, code, text in ((plain, 3, "holds no training"), (lost, 3, "'nowhere'"), (twice, 3, "bound twice"),
                                  (two, 3, "2 TrainingInfoProto")):
            onnx.save(model, str(folder / "bad.onnx"))
            call(f"run bad.onnx {batch} --training-steps 1", folder, code, ["bad.onnx", text])
        for model, code, text in hostile():
            onnx.save(model, str(folder / "bad.onnx"))
            call(f"run bad.onnx {batch} --training-steps 2 --save-model never.onnx", folder, code, ["bad.onnx", text])
        expect(not (folder / "never.onnx").exists(), "nothing is written of what is refused")
    return result()


sys.exit(main())
