#!/usr/bin/env python3
"""The Python module's own face: numpy and DLPack in and out, errors, interrupts, types."""
import gc
import inspect
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

from common import ADD, SLOW, identity, model_of, treadle

NUMPY = [np.float32, np.float64, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8,
         np.uint16, np.uint32, np.uint64, np.bool_, np.complex64, np.complex128,
         ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz,
         ml_dtypes.float8_e5m2, ml_dtypes.float8_e5m2fnuz, ml_dtypes.float8_e8m0fnu,
         ml_dtypes.float4_e2m1fn, ml_dtypes.float6_e2m3fn, ml_dtypes.float6_e3m2fn, ml_dtypes.int4,
         ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2]
SUBBYTE = NUMPY[-7:]


class Importing(unittest.TestCase):
    def test_without_the_compiled_module(self):
        package = pathlib.Path(treadle.__file__).parent
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(package, pathlib.Path(folder) / "treadle",
                            ignore=shutil.ignore_patterns("_native*", "__pycache__"))
            done = subprocess.run([sys.executable, "-c", "import treadle"], capture_output=True,
                                  text=True, check=False, env={"PYTHONPATH": folder})
            self.assertIn("make build", done.stderr)
            self.assertIn(folder, done.stderr)


class Conversions(unittest.TestCase):
    def test_every_dtype_comes_back(self):
        rng = np.random.default_rng(0)
        for dtype in NUMPY:
            x = rng.integers(0, 2, (3, 5)).astype(dtype)
            model = treadle.load(identity(helper.np_dtype_to_tensor_dtype(x.dtype), [3, 5]))
            y = model(x)
            self.assertEqual(y.dtype, x.dtype)
            self.assertEqual(model.inputs[0].dtype, x.dtype)
            self.assertEqual(y.tobytes(), x.tobytes())

    def test_bytes_are_shared(self):
        for dtype in NUMPY:
            x = np.ones((3, 5), np.int8).astype(dtype)
            value = treadle.OrtValue.ortvalue_from_numpy(x)
            self.assertEqual(value.data_ptr() == x.ctypes.data, dtype not in SUBBYTE, dtype)
            self.assertEqual(value.numpy().tobytes(), x.tobytes())

    def test_unaligned(self):
        for dtype in (np.float32, np.int64, np.complex64):
            x = np.arange(6).astype(dtype).reshape(2, 3)
            memory = np.empty(x.nbytes + 4 + 1, np.uint8)
            for offset in (1, 4):
                odd = memory[offset:offset + x.nbytes].view(dtype).reshape(2, 3)
                odd[...] = x
                model = treadle.load(identity(helper.np_dtype_to_tensor_dtype(x.dtype), [2, 3]))
                np.testing.assert_array_equal(model(odd), x)
                if odd.ctypes.data % x.itemsize:
                    with self.assertRaisesRegex(treadle.InvalidArgument, "'y'.*aligned"):
                        model(x, out=odd)

    def test_negative_int4(self):
        x = np.array([-8, -1, 0, 7, -3], ml_dtypes.int4)
        y = treadle.load(identity(TensorProto.INT4, [5]))(x)
        np.testing.assert_array_equal(y.astype(np.int8), x.astype(np.int8))

    def test_maps_take_the_declared_types(self):
        model = onnx.parser.parse_model('''<ir_version: 10, opset_import: ["ai.onnx.ml": 1, "": 21]>
            m (map(string, float) x) => (float[1, 2] y) {
              y = ai.onnx.ml.DictVectorizer<string_vocabulary = ["b", "a"]>(x) }''')
        for given in ({"a": 1, "b": 2.5}, {"b": np.float64(2.5), "a": True}):
            y = treadle.load(model)(given)
            self.assertEqual(y.dtype, np.float32)
            np.testing.assert_array_equal(y, [[2.5, 1]])

    def test_types_of_sequences_and_maps(self):
        model = treadle.load(model_of("m (seq(int64[N]) x) => (int64 n) { n = SequenceLength(x) }"))
        self.assertEqual(model([np.arange(3), np.arange(2)]), 2)
        with self.assertRaisesRegex(treadle.InvalidArgument, "'x'.*expected"):
            model([np.arange(3), np.zeros(2, np.float32)])

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
        latin = np.array([[b"\xff", "a"], ["b", "c"]], object)  # which is no UTF-8
        self.assertEqual(model(model(latin))[0, 0].encode(errors="surrogateescape"), b"\xff")

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
        strided = np.ones((3, 2), np.float32).T
        np.testing.assert_array_equal(treadle.load(ADD)(Foreign(strided), x), x + x)
        out = Foreign(np.empty((2, 3), np.float32))
        self.assertIs(treadle.load(ADD)(x, x, out=out), out)
        np.testing.assert_array_equal(out.array, x + x)
        odd = Foreign(np.empty((2, 3), ml_dtypes.bfloat16))  # which numpy cannot export
        with self.assertRaisesRegex(treadle.InvalidArgument, "'y' cannot be written into this"):
            treadle.load(ADD)(x, x, out=odd)

    def test_dlpack_of_what_numpy_lacks(self):
        for dtype in set(NUMPY) - set(SUBBYTE):
            x = np.arange(6).reshape(2, 3).astype(dtype)
            given = treadle.OrtValue.ortvalue_from_numpy(x)
            taken = treadle.OrtValue.from_dlpack(given)
            self.assertEqual(given.__dlpack_device__(), (1, 0))
            self.assertEqual(taken.data_ptr(), x.ctypes.data)
            self.assertEqual(taken.data_type(), given.data_type())
            y = taken.numpy()
            del given, taken
            gc.collect()
            self.assertEqual(y.tobytes(), x.tobytes())
        with self.assertRaises(BufferError):
            treadle.OrtValue.ortvalue_from_numpy(np.ones(2, ml_dtypes.int4)).__dlpack__()

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
        self.assertIs(treadle.load(ADD)(x, 2 * x, out=out), out)
        np.testing.assert_array_equal(out, 3)
        for wrong in (out.T, out.astype(">f4"), np.empty((2, 4), np.float32), out.astype(float)):
            with self.assertRaisesRegex(treadle.InvalidArgument, "'y'"):
                treadle.load(ADD)(x, x, out=wrong)
        with self.assertRaisesRegex(treadle.InvalidArgument, "'z'"):
            treadle.load(ADD)(x, x, out={"z": out})


class Errors(unittest.TestCase):
    def test_named(self):
        model = treadle.load(ADD)
        x = np.ones((2, 3), np.float32)
        for call, text in ((lambda: model(x), "'b'"), (lambda: model(x, c=x), "'c'"),
                           (lambda: model(x, np.ones((2, 4), np.float32)), "[2, 4]"),
                           (lambda: model(x, x.astype(np.float64)), "double"),
                           (lambda: model(x, x, x), "2 inputs"),
                           (lambda: model(x, x, x=x), "'x'"), (lambda: model(x, B=x), "mean 'b'"),
                           (lambda: model(x, None), "'b': got NoneType.*float"),
                           (lambda: model(x, np.zeros(3, "M8[s]")), "'b'.*datetime.*float"),
                           (lambda: model(x, [[1], [2, 3]]), "'b'.*float"),
                           (lambda: model(x, x[0]), "'b'.*rank 2"),
                           (lambda: model.run(["Y"], {"x": x, "b": x}), "mean 'y'"),
                           (lambda: model.run("y", {"x": x, "b": x}), "list of names"),
                           (lambda: model.run([None], {"x": x, "b": x}), "outputs are.*None"),
                           (lambda: model.run(None, {"x": x, "b": x, 1: x}), "inputs are.*1"),
                           (lambda: model({"x": x, "b": x}), "'x': got dict, expected"),
                           (lambda: model.run(None, [x, x]), "dict")):
            with self.assertRaisesRegex(treadle.InvalidArgument, ".*" + text.replace("[", r"\[")):
                call()

    def test_classes(self):
        with self.assertRaises(treadle.FileError):
            treadle.load("/does/not/exist.onnx")
        with self.assertRaises(treadle.InvalidModel):
            treadle.load(b"garbage")
        with self.assertRaises(treadle.InvalidArgument):
            treadle.load(ADD, thread=1)
        with self.assertRaises(treadle.DeviceError):
            treadle.load(ADD, device=None)
        with self.assertRaises(TypeError):
            treadle._native.Value.sequence([None])
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

    def test_interrupt_with_another_handler(self):
        noted = []
        before = signal.getsignal(signal.SIGINT)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        for handler in (signal.SIG_IGN, lambda *_: noted.append(1)):
            signal.signal(signal.SIGINT, handler)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            with self.assertRaises(treadle.Timeout):
                treadle.load(SLOW)(np.array(10**9), np.zeros((400, 400), np.float32), timeout=1)
        self.assertEqual(noted, [1])


class Models(unittest.TestCase):
    def test_ports(self):
        model = treadle.load(model_of("p (float[N, ?, 3] x, float z) => (float[N, ?, 3] y) "
                                      "{ y = Add(x, z) }"), dims={"N": 2})
        self.assertEqual([p.shape for p in model.inputs + model.outputs],
                         [[2, None, 3], [], [2, None, 3]])
        self.assertIsNone(treadle.load(identity(TensorProto.FLOAT, None)).inputs[0].shape)

    def test_results_outlive(self):
        x = np.arange(6, dtype=np.float32).reshape(2, 3)
        model = treadle.load(ADD)
        first = model(x, x)
        second = model(first, x)
        del model
        gc.collect()
        np.testing.assert_array_equal(first, 2 * x)
        np.testing.assert_array_equal(second, 3 * x)

    def test_pickle(self):
        x = np.ones((2, 3), np.float32)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "add.onnx"
            onnx.save(ADD, path)
            before = os.getcwd()
            try:
                os.chdir(folder)
                pickled = pickle.dumps(treadle.load("add.onnx", threads=1))
            finally:
                os.chdir(before)
            np.testing.assert_array_equal(pickle.loads(pickled)(x, x), 2)


class Types(unittest.TestCase):
    def test_stub_is_what_the_module_has(self):
        from nanobind import stubgen

        made = stubgen.StubGen(treadle._native)
        made.put(treadle._native)
        kept = pathlib.Path(treadle._ort.__file__).parent / "_native.pyi"
        self.assertEqual(made.get().strip(), kept.read_text().strip(),
                         "python -m nanobind.stubgen -m treadle._native -o "
                         "bindings/python/treadle/_native.pyi  makes it anew")

    def test_documented_and_annotated(self):
        import treadle.backend

        public = [getattr(treadle, name) for name in treadle.__all__]
        for thing in public + [treadle, treadle.backend, treadle.backend.TreadleBackend]:
            self.assertTrue(inspect.getdoc(thing), thing)
            members = vars(thing).values() if inspect.isclass(thing) else [thing]
            for member in members:
                function = inspect.unwrap(getattr(member, "__func__", member))
                if not (inspect.isfunction(function) and function.__module__.startswith("treadle")):
                    continue
                self.assertIn("return", function.__annotations__, function)
                if not function.__name__.startswith("_"):
                    self.assertTrue(inspect.getdoc(function), function)


if __name__ == "__main__":
    unittest.main()
