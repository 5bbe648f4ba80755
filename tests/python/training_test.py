#!/usr/bin/env python3
"""treadle.train: steps and what they leave, and networks trained on real data."""
import gc
import gzip
import inspect
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
import weakref

import numpy as np
import onnx

from common import MODULE, LINE_T as T, LINE_X as X, line, treadle

from treadle import train
from treadle.train import artifacts

SHARED = pathlib.Path(os.environ.get("TREADLE_SHARED") or "/nowhere") / "data/training"
SOURCE = pathlib.Path(os.environ["TREADLE_SOURCE"])
DIGITS = SOURCE / ".deps/digits.csv.gz"
TOOL = pathlib.Path(os.environ["TREADLE_TOOL"])


class Steps(unittest.TestCase):
    def test_by_hand(self):
        trainer = line(gradient_norm=True)
        w, b = np.array([[0.5], [-1.0]]), 0.25
        self.assertEqual(trainer.inputs, ["x", "target"])
        self.assertEqual((trainer.outputs, trainer.warnings), (["y"], []))
        for i in range(5):
            d = X @ w + b - T
            result = trainer.step(X, T) if i % 2 else trainer.step({"target": T, "x": X})
            self.assertAlmostEqual(result.loss, float((d**2).mean()), 5)
            gradient = [X.T @ d * 2 / 4, 2 * d.mean()]
            self.assertAlmostEqual(
                result.norm, float(np.sqrt((gradient[0]**2).sum() + gradient[1]**2)), 5)
            self.assertTrue(result.updated)
            w, b = w - 0.05 * gradient[0], b - 0.05 * gradient[1]
        np.testing.assert_allclose(trainer["w"], w, rtol=1e-5)
        loss, outputs = trainer.eval(x=X, target=T)
        np.testing.assert_allclose(outputs["y"], X @ w + b, rtol=1e-4)
        self.assertAlmostEqual(loss, float(((X @ w + b - T)**2).mean()), 5)
        self.assertEqual(trainer.steps, 5)

    def test_dtypes_are_brought_to_the_models(self):
        self.assertEqual(line().step(X.astype(np.float64), T.tolist()).loss, line().step(X, T).loss)

    def test_integers_are_kept_or_refused(self):
        network = train.Sequential(train.Embedding(8, 2), train.Flatten(), train.Linear(3))
        trainer = train.Trainer(network.build((1,), np.int32), loss="cross_entropy")
        self.assertEqual(trainer.step(np.array([[3], [1]]), np.array([2, 0], np.uint64)).loss,
                         train.Trainer(network.build((1,), np.int32), loss="cross_entropy").step(
                             [[3], [1]], [2, 0]).loss)
        for x, target, text in (
                (np.array([[3], [2**32 + 3]]), [0, 1], "'x': 4294967299 is no int32"),
                ([[3], [2**32 + 3]], [0, 1], "'x': 4294967299 is no int32"),
                ([[3], [1.5]], [0, 1], "'x': 1.5 is no int32"),
                ([[3], [1]], np.array([0, 2**64 - 1], np.uint64), "'target': .* is no int64")):
            with self.assertRaisesRegex(treadle.InvalidArgument, text):
                trainer.step(x, target)
        self.assertEqual(trainer.steps, 1)

    def test_texts_with_nul_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            trainer, path = line(), folder + "/a"
            for call in (lambda: trainer.save(path + "\0b"),
                         lambda: trainer.export(path + "\0b"),
                         lambda: trainer.fit(X, T, epochs=1, out=path + "\0b"),
                         lambda: trainer["w\0"],
                         lambda: line(loss="mse\0"),
                         lambda: train.Sequential(train.Linear(2, name="a\0b")).build((2,))):
                with self.assertRaisesRegex(ValueError, "a NUL follows '"):
                    call()
            self.assertEqual(os.listdir(folder), [])
            trainer.save(path)
            trainer.export(folder + "/m.onnx")
            for call in (lambda: trainer.load(path + "\0b"),
                         lambda: treadle.load(folder + "/m.onnx\0zzz"),
                         lambda: train.Trainer(folder + "/m.onnx\0zzz")):
                with self.assertRaisesRegex(ValueError, "a NUL follows '"):
                    call()

    def test_busy_in_a_hook(self):
        done = []

        def meddle(_):
            for call in (lambda: trainer.step(X, T), lambda: trainer.load("none"),
                         lambda: trainer.save("none"), lambda: trainer["w"]):
                with self.assertRaises(treadle.Busy):
                    call()
                done.append(call)

        trainer = line(hooks={"product": meddle})
        trainer.step(X, T)
        self.assertEqual((trainer.steps, len(done)), (1, 4))

    def test_accumulation(self):
        whole, halves = line(optimizer="adam"), line(optimizer="adam", accumulate=0)
        for _ in range(3):
            whole.step(X, T)
            halves.accumulate(X[:1], T[:1])
            halves.zero()
            self.assertFalse(halves.accumulate(X[:2], T[:2]).updated)
            halves.accumulate(X[2:], T[2:])
            self.assertTrue(halves.apply(1 / 2).updated)
        np.testing.assert_allclose(whole.get_parameters(), halves.get_parameters(), rtol=1e-4)
        with self.assertRaisesRegex(treadle.InvalidArgument, "accumulate must be 0"):
            whole.apply()

    def test_parameters(self):
        trainer = line(optimizer="momentum")
        self.assertEqual(trainer.parameters, ["w", "b"])
        np.testing.assert_array_equal(trainer.get_parameters(), np.float32([0.5, -1, 0.25]))
        trainer.set_parameters([1, 2, 3])
        np.testing.assert_array_equal(trainer["w"], [[1], [2]])
        trainer["w"] = np.array([[3], [4]])
        np.testing.assert_array_equal(trainer.get_parameters(), [3, 4, 3])
        trainer.step(X, T)
        self.assertEqual(trainer["velocity/w"].shape, (2, 1))

    def test_rates(self):
        trainer = line(schedule="step", period=1, gamma=0.5)
        trainer.step(X, T)
        self.assertEqual(trainer.rate, 0.025)
        trainer.rate = 0.3
        self.assertEqual(trainer.step(X, T).rate, 0.3)
        trainer.rate = None
        self.assertEqual(trainer.rate, 0.0125)

    def test_fetched_and_hooks(self):
        seen = []
        trainer = line(fetch=["product", "grad:w"], hooks={"product": seen.append,
                                                           "grad:b": lambda g: 0 * g})
        trainer.step(X, T)
        np.testing.assert_array_equal(seen[0], X @ np.float32([[0.5], [-1]]))
        np.testing.assert_array_equal(trainer.fetched("product"), seen[0])
        self.assertEqual(trainer.fetched("grad:w").shape, (2, 1))
        self.assertEqual(trainer["b"], np.float32(0.25))
        self.assertNotEqual(trainer["w"][0, 0], np.float32(0.5))

    def test_hooks_that_fail(self):
        def divide(_):
            return 1 / 0

        with self.assertRaises(ZeroDivisionError):
            line(hooks={"product": divide}).step(X, T)
        with self.assertRaisesRegex(treadle.InvalidArgument, "'grad:w'.*expected .2, 1."):
            line(hooks={"grad:w": lambda g: g[0]}).step(X, T)

    def test_checkpoints(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "c.ckpt"
            one, two = line(optimizer="adam"), line(optimizer="adam")
            one.step(X, T)
            one.save(path)
            two.load(path)
            self.assertEqual(one.step(X, T), two.step(X, T))
            np.testing.assert_array_equal(one.get_parameters(), two.get_parameters())
            with self.assertRaises(treadle.InvalidArgument):
                line().load(path)

    def test_threads(self):
        losses = {}

        def work(i):
            trainer = line()
            losses[i] = [trainer.step(X, T).loss for _ in range(50)]

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len({tuple(v) for v in losses.values()}), 1)

    def test_one_call_at_a_time(self):
        def step(_):
            trainer.step(X, T)

        trainer = line(hooks={"product": step})
        with self.assertRaises(treadle.Busy):
            trainer.step(X, T)
        trainer = line()
        busy = []

        def many():
            for _ in range(200):
                try:
                    trainer.step(X, T)
                except treadle.Busy:
                    busy.append(1)

        threads = [threading.Thread(target=many) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(trainer.steps + len(busy), 600)

    def test_hooks_keep_nothing_alive(self):
        def step(_):
            trainer.step(X, T)

        trainer = line(hooks={"product": step})
        kept = weakref.ref(trainer)
        del trainer, step
        gc.collect()
        self.assertIsNone(kept())

    def test_errors(self):
        trainer = line()
        for call, text in (
                (lambda: trainer.step(X), "lacks 'target'"),
                (lambda: trainer.step(X, T, T), "holds .'x', 'target'., got 3"),
                (lambda: trainer.step(X, x=X), "by position and by name"),
                (lambda: trainer.step(X, targt=T), "mean 'target'|lacks 'target'"),
                (lambda: trainer.step(X, [["a"]]), "'target'.*expected tensor.float"),
                (lambda: trainer.step(np.array(["a"]), T), "'x'.*expected tensor.float"),
                (lambda: trainer["W"], "mean 'w'"),
                (lambda: trainer.__setitem__("w", X), r"'w' is of shape \[2, 1\]"),
                (lambda: trainer.set_parameters([1, 2]), "2 numbers for 3"),
                (lambda: trainer.fetched("y"), "'y' is not fetched"),
                (lambda: setattr(trainer, "rate", -1), "at least 0"),
                (lambda: line(momentm=1), "mean 'momentum'"),
                (lambda: line(loss="msee"), "mean 'mse'"),
                (lambda: line(hooks={"grad:nothing": print}), "'nothing' for a hook"),
                (lambda: train.Trainer(3), "a model is a path"),
                (lambda: trainer.fit(X, T, epochs=1, batch=0), "batch of 0 samples"),
                (lambda: trainer.fit(X, T, epochs=1, patience=-1), "patience is -1"),
                (lambda: trainer.fit(X, T, epochs=1, resume=True), "resume wants"),
                (lambda: trainer.fit([(X, T)], epochs=1, resume=True), "as arrays, not batches"),
                (lambda: trainer.fit(X, T, epochs=1, val=(X[:0], T[:0])), "'val' holds no samples"),
                (lambda: line(beta1=-1), "'beta1' is '-1', expected at least 0"),
                (lambda: line(fetch="y").fetched("y"), "make a step first"),
                (lambda: trainer.fit(X, T), "either epochs or steps"),
                (lambda: trainer.fit(X, T[:3], epochs=1), "samples of the target"),
                (lambda: trainer.fit([(X, T)], epochs=1, out="x"), "as arrays, not batches"),
                (lambda: trainer.fit(iter(()), epochs=1), "yield no batch")):
            with self.assertRaisesRegex(treadle.InvalidArgument, text):
                call()
        for settings, text in (({"steps": 2.5}, "steps is 2.5, expected an integer"),
                               ({"steps": 1, "batch": 2**64}, "batch is 18446744073709551616"),
                               ({"steps": 1, "loader_threads": 2**31}, "threads is 2147483648")):
            with self.assertRaisesRegex(TypeError, text):
                trainer.fit(X, T, **settings)
        with self.assertRaisesRegex(treadle.InvalidData, "'x' holds nan"):
            trainer.step(X * np.float32(np.nan), T)
        with self.assertRaises(treadle.FileError):
            train.Trainer("/nowhere.onnx")
        self.assertEqual(trainer.steps, 0)


def digits():
    """Pictures [N, 1, 8, 8] in 0..1 and classes, to train on and held out."""
    rows = np.loadtxt(gzip.open(DIGITS, "rt"), delimiter=",", dtype=np.float32)
    order = np.random.default_rng(0).permutation(len(rows))
    x = (rows[order, :-1] / 16).reshape(-1, 1, 8, 8)
    y = rows[order, -1].astype(np.int64)
    held = len(rows) // 5
    return (x[held:], y[held:]), (x[:held], y[:held])


class Networks(unittest.TestCase):
    @unittest.skipUnless(DIGITS.exists(), f"{DIGITS} is not there")
    def test_digits(self):
        m = train
        network = m.Sequential(m.Conv2d(16), m.BatchNorm(), m.ReLU(), m.MaxPool(), m.Conv2d(32),
                               m.BatchNorm(), m.ReLU(), m.MaxPool(), m.Flatten(), m.Dropout(0.2),
                               m.Linear(10)).build((1, 8, 8))
        data, val = digits()
        trainer = m.Trainer(network, "cross_entropy", "adam", 0.003, schedule="one_cycle",
                            steps=15 * 45)
        done = trainer.fit(*data, epochs=15, val=val, batch=32)
        self.assertGreaterEqual(done.history[-1]["val_accuracy"], 0.97)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "digits.onnx"
            trainer.export(path, fold_batchnorm=True)
            onnx.checker.check_model(str(path), full_check=True)
            scores = treadle.load(path)(val[0])
            self.assertEqual((scores.argmax(1) == val[1]).mean(), done.history[-1]["val_accuracy"])
            np.testing.assert_allclose(scores, trainer.eval(*val)[1]["y"], rtol=1e-3, atol=1e-3)
            try:
                import onnxruntime
            except ImportError:
                self.skipTest("onnxruntime is not installed")
            theirs = onnxruntime.InferenceSession(path).run(None, {"x": val[0]})[0]
            np.testing.assert_allclose(scores, theirs, rtol=1e-4, atol=1e-4)

    @unittest.skipUnless(DIGITS.exists(), f"{DIGITS} is not there")
    @unittest.skipUnless(TOOL.exists(), "this build has no command")
    def test_the_same_as_the_command(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            data, val = digits()
            for part, (x, y) in (("train", data), ("val", val)):
                (folder / "data" / part).mkdir(parents=True)
                np.save(folder / "data" / part / "x.npy", x)
                np.save(folder / "data" / part / "target.npy", y)
            (folder / "cnn.onnx").write_bytes(train.new("cnn", input_shape=(1, 8, 8), seed=2))
            settings = {"loss": "cross_entropy", "optimizer": "adam", "rate": 0.003,
                        "schedule": "one_cycle", "steps": 6 * 45}
            line = [TOOL, "train", "cnn.onnx", "--data", "data", "--epochs", "6", "--out", "theirs",
                    "data.normalize=none", *(f"train.{k}={v}" for k, v in settings.items())]
            done = subprocess.run(line, capture_output=True, text=True, cwd=folder, timeout=600)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            trainer = train.Trainer(folder / "cnn.onnx", **settings)
            fitted = trainer.fit(*data, epochs=6, val=val, out=folder / "ours")
            self.assertEqual((folder / "ours/metrics.jsonl").read_text(),
                             (folder / "theirs/metrics.jsonl").read_text())
            theirs = json.loads((folder / "theirs/epochs.jsonl").read_text().splitlines()[-1])
            self.assertEqual(fitted.history[-1]["val_accuracy"], theirs["val_accuracy"])
            self.assertGreaterEqual(theirs["val_accuracy"], 0.98)

    def run_example(self, script, *arguments, given=""):
        done = subprocess.run([sys.executable, SOURCE / "examples/python" / script, *arguments],
                              input=given, capture_output=True, text=True, timeout=600,
                              env={**os.environ, "PYTHONPATH": MODULE})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_example_of_fine_tuning(self):
        with tempfile.TemporaryDirectory() as folder:
            model, out = (pathlib.Path(folder) / n for n in ("mlp.onnx", "tuned.onnx"))
            model.write_bytes(train.new("mlp", classes=2, input_shape=(2,), hidden=(8,)))
            points = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
            lines = "".join(f"{a} {b} {int(a > b)}\n" for a, b in points)
            told = self.run_example("fine_tune.py", model, out, "801", given=lines)
            self.assertEqual([text.split(":")[0] for text in told.splitlines()],
                             [f"step {i}" for i in range(0, 801, 100)])
            scores = treadle.load(out)(points)
            self.assertGreater((scores.argmax(1) == (points[:, 0] > points[:, 1])).mean(), 0.9)

    @unittest.skipUnless(DIGITS.exists(), f"{DIGITS} is not there")
    def test_example(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "digits.onnx"
            told = self.run_example("train_digits.py", DIGITS, out)
            self.assertGreater(float(told.split()[-1]), 0.96)
            self.assertEqual(treadle.load(out).outputs[0].shape[1], 10)

    @unittest.skipUnless(SHARED.exists(), "no folder of recorded training runs (TREADLE_SHARED)")
    def test_losses_of_pytorch(self):
        for name, loss in (("mlp", "mse"), ("lenet", "cross_entropy")):
            want = json.loads((SHARED / name / "losses.json").read_text())["losses"]
            batch = dict(np.load(SHARED / name / "batch.npz"))
            trainer = train.Trainer(SHARED / name / f"{name}.onnx", loss, rate=0.01)
            got = [trainer.step(batch).loss for _ in want]
            np.testing.assert_allclose(got, want, rtol=1e-4)


class Types(unittest.TestCase):
    def test_documented_and_annotated(self):
        things = [train, artifacts, *(getattr(train, name) for name in train.__all__)]
        things += [thing for thing in vars(artifacts).values()
                   if getattr(thing, "__module__", "").startswith("treadle.train")]
        for thing in things:
            self.assertTrue(inspect.getdoc(thing), thing)
            for member in vars(thing).values() if inspect.isclass(thing) else [thing]:
                function = inspect.unwrap(getattr(member, "__func__", member))
                if not (inspect.isfunction(function)
                        and function.__module__.startswith("treadle.train")):
                    continue
                self.assertIn("return", function.__annotations__, function)
                if not function.__name__.startswith("_"):
                    self.assertTrue(inspect.getdoc(function), function)


if __name__ == "__main__":
    unittest.main()
