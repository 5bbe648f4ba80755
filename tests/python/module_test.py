#!/usr/bin/env python3
"""The Python module beside numpy and onnxruntime: conversions, both faces, threads, errors."""
import gc
import os
import pathlib
import pickle
import signal
import sys
import tempfile
import threading
import unittest

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, parser

MODULE = pathlib.Path(os.environ["TREADLE_BUILD"]) / "python"
if not MODULE.exists():
    print("skipped: this build has no Python module")
    sys.exit(77)
sys.path.insert(0, str(MODULE))
import treadle  # noqa: E402

NUMPY = [np.float32, np.float64, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8,
         np.uint16, np.uint32, np.uint64, np.bool_, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn,
         ml_dtypes.float8_e5m2, ml_dtypes.int4, ml_dtypes.uint4]


def model_of(text):
    return parser.parse_model('<ir_version: 10, opset_import: ["": 21]>' + text)


def identity(dtype, shape):
    info = [helper.make_tensor_value_info(n, dtype, shape) for n in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "g", info[:1], info[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)


ADD = model_of("add (float[N, 3] x, float[N, 3] b) => (float[N, 3] y) { y = Add(x, b) }")
SLOW = model_of("""slow (int64 n, float[400, 400] x) => (float[400, 400] y) {
  c = Constant<value = bool {1}>()
  y = Loop(n, c, x)<body = body (int64 i, bool go, float[400, 400] a)
                          => (bool go2, float[400, 400] b) {
    go2 = Identity(go)
    p = MatMul(a, a)
    b = Clip(p)
  }>
}""")


class Conversions(unittest.TestCase):
    def test_every_dtype_comes_back(self):
        rng = np.random.default_rng(0)
        for dtype in NUMPY:
            x = rng.integers(0, 2, (3, 5)).astype(dtype)
            model = treadle.load(identity(helper.np_dtype_to_tensor_dtype(x.dtype), [3, 5]))
            y = model(x)
            self.assertEqual(y.dtype, x.dtype)
            np.testing.assert_array_equal(y.astype(np.float64), x.astype(np.float64))

    def test_negative_int4(self):
        x = np.array([-8, -1, 0, 7, -3], ml_dtypes.int4)
        y = treadle.load(identity(TensorProto.INT4, [5]))(x)
        np.testing.assert_array_equal(y.astype(np.int8), x.astype(np.int8))

    def test_layouts(self):
        model = treadle.load(identity(TensorProto.FLOAT, None))
        base = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
        for x in (base, base[:, ::2], base[::-1], np.asfortranarray(base), base.T,
                  base.astype(">f4"), np.float32(3).reshape(()), base[:0], np.zeros((0, 4), "f4")):
            y = model(x)
            self.assertEqual(y.shape, x.shape)
            np.testing.assert_array_equal(y, x)

    def test_read_only(self):
        x = np.ones((2, 3), np.float32)
        x.flags.writeable = False
        np.testing.assert_array_equal(treadle.load(ADD)(x, x), x + x)

    def test_strings(self):
        model = treadle.load(identity(TensorProto.STRING, [2, 2]))
        words = [["a", "bü\0c"], ["", "dd"]]
        for x in (np.array(words, object), np.array([[w.encode() for w in r] for r in words], object)):
            self.assertEqual(model(x).tolist(), words)
        self.assertEqual(model(np.array([["x", "y"], ["z", "w"]])).tolist(), [["x", "y"], ["z", "w"]])

    def test_dlpack(self):
        class Foreign:
            def __init__(self, array):
                self.array = array

            def __dlpack__(self, **options):
                return self.array.__dlpack__(**options)

            def __dlpack_device__(self):
                return self.array.__dlpack_device__()

        x = np.ones((2, 3), np.float32)
        y = treadle.load(ADD)(Foreign(x), x)
        np.testing.assert_array_equal(np.from_dlpack(y), x + x)

    def test_sequences(self):
        model = treadle.load(model_of(
            "s (seq(float[N]) s, int64 i) => (seq(float[N]) t, float[N] e) "
            "{ e = SequenceAt(s, i)  t = SequenceInsert(s, e) }"))
        t, e = model([np.zeros(2, np.float32), np.ones(3, np.float32)], np.array(1))
        self.assertEqual([len(x) for x in t], [2, 3, 3])
        np.testing.assert_array_equal(e, np.ones(3))

    def test_out(self):
        x = np.ones((2, 3), np.float32)
        out = np.empty((2, 3), np.float32)
        self.assertIs(treadle.load(ADD)(x, x, out={"y": out}), out)
        np.testing.assert_array_equal(out, 2)
        with self.assertRaises(treadle.InvalidArgument):
            treadle.load(ADD)(x, x, out={"y": out.T})


class Errors(unittest.TestCase):
    def test_named(self):
        model = treadle.load(ADD)
        x = np.ones((2, 3), np.float32)
        for call, text in ((lambda: model(x), "'b'"), (lambda: model(x, c=x), "'c'"),
                           (lambda: model(x, np.ones((2, 4), np.float32)), "[2, 4]"),
                           (lambda: model(x, x.astype(np.float64)), "double"),
                           (lambda: model(x, x, x), "2 inputs"),
                           (lambda: model(x, x, x=x), "'x'")):
            with self.assertRaisesRegex(treadle.InvalidArgument, ".*" + text.replace("[", r"\[")):
                call()

    def test_classes(self):
        with self.assertRaises(treadle.FileError):
            treadle.load("/does/not/exist.onnx")
        with self.assertRaises(treadle.InvalidModel):
            treadle.load(b"garbage")
        with self.assertRaises(treadle.InvalidArgument):
            treadle.load(ADD, thread=1)
        with self.assertRaises(TimeoutError):
            x = np.zeros((400, 400), np.float32)
            treadle.load(SLOW)(np.array(10**9), x, timeout=0.2)

    def test_interrupt(self):
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            treadle.load(SLOW)(np.array(10**9), np.zeros((400, 400), np.float32))
        x = np.ones((2, 3), np.float32)
        np.testing.assert_array_equal(treadle.load(ADD)(x, x), 2)


class Sessions(unittest.TestCase):
    def setUp(self):
        self.x = np.arange(6, dtype=np.float32).reshape(2, 3)

    def test_onnxruntime_agrees(self):
        try:
            import onnxruntime
        except ImportError:
            self.skipTest("onnxruntime is not installed")
        data = ADD.SerializeToString()
        ours, theirs = treadle.InferenceSession(data), onnxruntime.InferenceSession(data)
        for a, b in zip(ours.get_inputs() + ours.get_outputs(),
                        theirs.get_inputs() + theirs.get_outputs()):
            self.assertEqual((a.name, a.type, a.shape), (b.name, b.type, b.shape))
        feed = {"x": self.x, "b": self.x}
        for names in (None, ["y"]):
            np.testing.assert_array_equal(ours.run(names, feed)[0], theirs.run(names, feed)[0])

    def test_threads(self):
        session = treadle.InferenceSession(ADD.SerializeToString())
        wrong = []

        def work(k):
            for i in range(100):
                x = np.full((k, 3), i, np.float32)
                if not (session.run(None, {"x": x, "b": x})[0] == 2 * i).all():
                    wrong.append(k)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 9)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])

    def test_pickle(self):
        session = treadle.InferenceSession(ADD.SerializeToString())
        again = pickle.loads(pickle.dumps(session))
        np.testing.assert_array_equal(again.run(["y"], {"x": self.x, "b": self.x})[0], 2 * self.x)

    def test_binding(self):
        session = treadle.InferenceSession(ADD.SerializeToString())
        binding = session.io_binding()
        out = np.empty((2, 3), np.float32)
        value = treadle.OrtValue.ortvalue_from_numpy(self.x)
        binding.bind_cpu_input("x", self.x)
        binding.bind_ortvalue_input("b", value)
        binding.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
        session.run_with_iobinding(binding)
        np.testing.assert_array_equal(out, 2 * self.x)
        value.update_inplace(np.zeros((2, 3), np.float32))
        session.run_with_iobinding(binding)
        np.testing.assert_array_equal(binding.copy_outputs_to_cpu()[0], self.x)
        binding.bind_output("y")
        session.run_with_iobinding(binding)
        self.assertEqual(binding.get_outputs()[0].data_type(), "tensor(float)")

    def test_async(self):
        done = threading.Event()
        got = []

        def finished(results, data, error):
            got.extend([results, data, error])
            done.set()

        treadle.InferenceSession(ADD.SerializeToString()).run_async(
            None, {"x": self.x, "b": self.x}, finished, "mine")
        self.assertTrue(done.wait(60))
        self.assertEqual(got[1:], ["mine", ""])
        np.testing.assert_array_equal(got[0][0], 2 * self.x)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            options = treadle.SessionOptions()
            options.optimized_model_filepath = folder + "/optimized.onnx"
            options.enable_profiling = True
            options.profile_file_prefix = folder + "/profile"
            path = pathlib.Path(folder) / "add.onnx"
            onnx.save(ADD, path)
            session = treadle.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            session.run(None, {"x": self.x, "b": self.x})
            self.assertIn("Add", pathlib.Path(session.end_profiling()).read_text())
            onnx.checker.check_model(onnx.load(options.optimized_model_filepath))

    def test_results_outlive(self):
        model = treadle.load(ADD)
        first = model(self.x, self.x)
        second = model(first, self.x)
        del model
        gc.collect()
        np.testing.assert_array_equal(first, 2 * self.x)
        np.testing.assert_array_equal(second, 3 * self.x)


if __name__ == "__main__":
    unittest.main()
