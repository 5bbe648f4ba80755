"""treadle train --training-info: runs whose step is what the model's file says (TrainingInfoProto)."""
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

TRAINING = "ai.onnx.preview.training"
W, RATE, ALPHA, BETA, EPSILON = np.float32([[0.5], [-1], [2]]), np.float32(0.125), 0.75, 0.875, 1e-3
X = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
T = (X @ np.float32([[1], [2], [-1]]) + 0.5).astype(np.float32)
BATCH, STEPS = 2, 5


def info(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def tensor(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def node(kind, inputs, outputs, **attributes):
    own = {"domain": TRAINING} if kind in ("Gradient", "Momentum", "Adam") else {}
    return helper.make_node(kind, inputs.split(), outputs.split(), **own, **attributes)


def model_of(nodes, states, initial=()):
    """y = x w with the loss (y - target)^2, and an algorithm of these nodes behind the gradient g of w. `states` are initializers
    with the values that they start from; each becomes NAME_next."""
    graph = helper.make_graph([node("MatMul", "x w", "y")], "line", [info("x", ["N", 3])], [info("y", ["N", 1])], [tensor("w", W)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(TRAINING, 1)], ir_version=8)
    loss = [node("Sub", "y target", "apart"), node("Mul", "apart apart", "square"), node("ReduceMean", "square", "loss", keepdims=0),
            node("Gradient", "w x", "g", xs=["w"], zs=["x"], y="loss")]
    outputs = [info("w_next", [3, 1]), info("loss", [])]
    outputs += [info(n + "_next", list(v.shape), helper.np_dtype_to_tensor_dtype(v.dtype)) for n, v in states.items()]
    own = model.training_info.add()
    own.algorithm.CopyFrom(helper.make_graph(loss + nodes, "step", [info("target", ["N", 1])], outputs,
                                             [tensor("rate", RATE), *(tensor(n, v) for n, v in states.items())]))
    for name in ("w", *states):
        own.update_binding.add(key=name, value=name + "_next")
    for name, value in initial:
        own.initialization.initializer.append(tensor("first_" + name, value))
        own.initialization.node.append(node("Identity", "first_" + name, "begin_" + name))
        own.initialization.output.append(info("begin_" + name, list(value.shape), helper.np_dtype_to_tensor_dtype(value.dtype)))
        own.initialization.name = "begin"
        own.initialization_binding.add(key=name, value="begin_" + name)
    return model


def sgd(initial=()):
    return model_of([node("Mul", "g rate", "step"), node("Sub", "w step", "w_next")], {}, initial)


def momentum():
    one = node("Constant", "", "one", value=tensor("one", np.int64(1)))
    nodes = [one, node("Momentum", "rate count w g v", "w_next v_next", alpha=ALPHA, beta=BETA, norm_coefficient=0.01, mode="nesterov"),
             node("Add", "count one", "count_next")]
    return model_of(nodes, {"v": 0 * W, "count": np.int64(0)})


def adam():
    one = node("Constant", "", "one", value=tensor("one", np.int64(1)))
    nodes = [one, node("Adam", "rate count w g m h", "w_next m_next h_next", alpha=ALPHA, beta=BETA, epsilon=EPSILON),
             node("Add", "count one", "count_next")]
    return model_of(nodes, {"m": 0 * W, "h": 0 * W, "count": np.int64(0)})


def by_numpy(rule, steps=STEPS, w=W, rate=RATE):
    """The weights and the losses, batches in their order."""
    w, v, h, losses = w.astype(np.float64), 0, 0, []
    for t in range(steps):
        at = slice(t * BATCH % len(X), t * BATCH % len(X) + BATCH)
        apart = X[at] @ w - T[at]
        losses.append((apart ** 2).mean())
        g = 2 * X[at].T @ apart / BATCH
        if rule == "sgd":
            w = w - rate * g
        elif rule == "momentum":
            g = 0.01 * w + g
            v = ALPHA * v + (BETA if t > 0 else 1) * g
            w = w - rate * (g + ALPHA * v)
        else:
            v, h = ALPHA * v + (1 - ALPHA) * g, BETA * h + (1 - BETA) * g * g
            now = rate * np.sqrt(1 - BETA ** t) / (1 - ALPHA ** t) if t > 0 else rate
            w = w - now * v / (np.sqrt(h) + EPSILON)
    return w, losses


def weights(path):
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}


def losses_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


FLAGS = "--training-info --data data.npz --val-split 0 --no-shuffle --batch-size 2 data.normalize=none"


def check_rules(folder):
    for rule, model in (("sgd", sgd()), ("momentum", momentum()), ("adam", adam())):
        onnx.save(model, str(folder / f"{rule}.onnx"))
        call(f"train {rule}.onnx {FLAGS} --steps {STEPS} --out {rule}", folder)
        w, losses = by_numpy(rule)
        told = losses_of(folder / rule)
        expect([line["step"] for line in told] == list(range(1, STEPS + 1)), f"{rule}: a line a step")
        expect(all("rate" not in line for line in told), f"{rule}: no rate, it is the file's")
        expect(np.allclose([line["loss"] for line in told], losses, rtol=1e-5), f"{rule}: {told}, by NumPy {losses}")
        call(f"export {rule} {rule}_out.onnx", folder)
        out = onnx.load(str(folder / f"{rule}_out.onnx"))
        onnx.checker.check_model(out)
        expect(len(out.training_info) == 0 and [o.name for o in out.graph.output] == ["y"], f"{rule}: inference alone")
        expect(np.allclose(weights(folder / f"{rule}_out.onnx")["w"], w, rtol=1e-5, atol=1e-6), f"{rule}: the weights, by NumPy {w}")
        apart = X @ w - T
        done = call(f"eval {rule} --data data.npz --val-split 0 --json", folder)
        expect(np.isclose(json.loads(done.stdout or '{"loss": 0}')["loss"], (apart ** 2).mean(), rtol=1e-4), f"{rule}: eval")


def check_resume(folder):
    call(f"train adam.onnx {FLAGS} --steps 3 --out parts", folder)
    call(f"train adam.onnx {FLAGS} --steps 8 --out parts --resume", folder)
    call(f"train adam.onnx {FLAGS} --steps 8 --out whole", folder)
    expect((folder / "parts/metrics.jsonl").read_bytes() == (folder / "whole/metrics.jsonl").read_bytes(), "3 steps and 5 are 8")
    expect((weights(folder / "parts/model.onnx")["w"] == weights(folder / "whole/model.onnx")["w"]).all(), "bit for bit")
    call("train whole/job.toml steps=9 resume=true", folder)
    expect(len(losses_of(folder / "whole")) == 9, "the run's own job goes on")
    start = onnx.load(str(folder / "whole/start.onnx"))
    onnx.checker.check_model(start)
    expect(len(start.training_info) == 1, "start.onnx has its training")


def check_initialization(folder):
    first, rate = -2 * W, np.float32(0.0625)
    onnx.save(sgd([("w", first), ("rate", rate)]), str(folder / "begun.onnx"))
    call(f"train begun.onnx {FLAGS} --steps 5 --out begun", folder)
    w, losses = by_numpy("sgd", w=first, rate=rate)
    expect(np.allclose([line["loss"] for line in losses_of(folder / "begun")], losses, rtol=1e-5), "initialized")
    expect(np.allclose(weights(folder / "begun/start.onnx")["w"], first), "start.onnx is what it began with")
    call("export begun begun_out.onnx", folder)
    expect(np.allclose(weights(folder / "begun_out.onnx")["w"], w, rtol=1e-5, atol=1e-6), "exported after its initialization")
    call(f"train begun.onnx {FLAGS} --steps 5 --no-initialization --out plain", folder)
    expect(np.allclose([line["loss"] for line in losses_of(folder / "plain")], by_numpy("sgd")[1], rtol=1e-5), "not initialized")


def swapped():
    """w and a second weight change places: each becomes what the other was."""
    model = model_of([node("Identity", "v", "w_next"), node("Identity", "w", "v_next")], {"v": -W})
    return model


def check_swap(folder):
    onnx.save(swapped(), str(folder / "swap.onnx"))
    for guard in ("", " train.guard=0"):
        out = "swap" + guard[-1:]
        call(f"train swap.onnx {FLAGS} --steps 3 --out {out}{guard}", folder)
        expect(np.array_equal(weights(folder / out / "model.onnx")["w"], -W), f"3 changes of places{guard}")


def check_losses(folder):
    two = sgd()
    two.training_info[0].algorithm.node.append(node("ReduceMax", "square", "worst", keepdims=0))
    two.training_info[0].algorithm.output.append(info("worst", []))
    onnx.save(two, str(folder / "two_losses.onnx"))
    call(f"train two_losses.onnx {FLAGS} --steps 1 --training-loss worst --out worst", folder)
    expect(np.isclose(losses_of(folder / "worst")[0]["loss"], ((X[:2] @ W - T[:2]) ** 2).max(), rtol=1e-5), "the loss that is named")
    call(f"train two_losses.onnx {FLAGS} --steps 1 --training-loss worse", folder, 4, ["no loss 'worse'", "worst"])
    call(f"train two_losses.onnx {FLAGS} --steps 1 --training-loss w_next", folder, 4, ["no loss 'w_next'"])
    many = sgd()
    many.training_info[0].algorithm.input.append(info("weight", ["N", 1]))
    many.training_info[0].algorithm.node.insert(1, node("Mul", "apart weight", "weighed"))
    many.training_info[0].algorithm.node[2].input[0] = "weighed"
    onnx.save(many, str(folder / "many.onnx"))
    np.savez(folder / "weighed.npz", x=X, target=T, weight=np.ones_like(T))
    flags = FLAGS.replace("data.npz", "weighed.npz")
    call(f"train many.onnx {flags} --steps 5 --out many", folder)
    expect(np.allclose([line["loss"] for line in losses_of(folder / "many")], by_numpy("sgd")[1], rtol=1e-5), "a second input")
    call(f"train many.onnx {flags} --steps 5 train.target=targets", folder, 4, ["'target', 'weight'", "'targets'"])


def check_refusals(folder):
    plain = sgd()
    del plain.training_info[:]
    none, sized = sgd(), sgd()
    none.training_info[0].algorithm.output.pop(1)
    sized.training_info[0].algorithm.node[-1].output[0] = "w_long"
    sized.training_info[0].algorithm.node.extend(
        [node("Gather", "apart zero", "first", axis=1), node("Greater", "first first", "never"), node("NonZero", "never", "where"),
         node("Squeeze", "where", "at"), node("Concat", "at all", "rows", axis=0), node("Gather", "w_long rows", "w_next")])
    sized.training_info[0].algorithm.initializer.extend([tensor("zero", np.int64(0)), tensor("all", np.int64([0, 1, 2]))])
    sized.training_info[0].algorithm.output[0].CopyFrom(info("w_next", ["K", 1]))
    for model, code, text in ((plain, 3, "holds no training"), (none, 4, "tells no loss"), (sized, 3, "known before the run")):
        onnx.save(model, str(folder / "bad.onnx"))
        call(f"train bad.onnx {FLAGS} --steps 1", folder, code, [text])
    for words, code, text in (("--lr 0.1", 4, "'rate'"), ("--optimizer sgd", 4, "'optimizer'"), ("--loss l1", 4, "'loss'"),
                              ("train.accumulate=2", 4, "'accumulate'"), ("train.average=0.9", 4, "'average'"),
                              ("--freeze w", 4, "freeze"), ("--find-lr", 2, "--find-lr"), ("train.loss_scale=8", 4, "'loss_scale'")):
        call(f"train sgd.onnx {FLAGS} --steps 1 {words}", folder, code, [text])
    call("train --training-info --data data.npz new.kind=mlp", folder, 2, ["training_info wants a model"])
    call("finetune sgd.onnx --data data.npz training_info=true", folder, 2, ["goes with train"])
    endless = sgd()
    endless.training_info[0].algorithm.initializer[0].CopyFrom(tensor("rate", np.float32(1e30)))
    onnx.save(endless, str(folder / "endless.onnx"))
    call(f"train endless.onnx {FLAGS} --steps 5 --out endless", folder, 4, ["the loss of step 2 is not finite"])


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        np.savez(folder / "data.npz", x=X, target=T)
        check_rules(folder)
        check_resume(folder)
        check_initialization(folder)
        check_swap(folder)
        check_losses(folder)
        check_refusals(folder)
        done = call("inspect adam.onnx", folder, 0, ["training", "updates count, h, m, w"])
        expect("ignored" not in done.stdout, "what can be run is not ignored")
        call("check adam.onnx --strict", folder)
    return result()


sys.exit(main())
