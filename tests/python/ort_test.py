#!/usr/bin/env python3
"""onnxruntime's face of the Python module, beside onnxruntime where that is installed."""
import inspect
import json
import os
import pathlib
import pickle
import signal
import tempfile
import threading
import time
import unittest
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper

from common import ADD, SLOW, identity, model_of, treadle

try:
    import onnxruntime
except ImportError:
    onnxruntime = None
needs_onnxruntime = unittest.skipIf(onnxruntime is None, "onnxruntime is not installed")


@needs_onnxruntime
class Beside(unittest.TestCase):
    def test_ports_and_metadata(self):
        model = model_of("m (float[N, ?, 3] x, int64 i, string[2] s) => (float[N, ?, 3] y) "
                         "{ y = Identity(x) }")
        model.producer_name, model.doc_string = "maker", "of a test"
        helper.set_model_props(model, {"classes": "a b"})
        for m in (model, identity(TensorProto.FLOAT16, None)):
            m.opset_import[0].version = 21
            m.ir_version = 10
            m.model_version = 3
            ours, theirs = (r.InferenceSession(m.SerializeToString()) for r in (treadle, onnxruntime))
            for a, b in zip(ours.get_inputs() + ours.get_outputs(),
                            theirs.get_inputs() + theirs.get_outputs(), strict=True):
                self.assertEqual((a.name, a.type, a.shape), (b.name, b.type, b.shape))
                self.assertEqual(str(a), str(b))
            a, b = ours.get_modelmeta(), theirs.get_modelmeta()
            for key in ("producer_name", "domain", "version", "description", "graph_name",
                        "custom_metadata_map"):
                self.assertEqual(getattr(a, key), getattr(b, key))

    def test_overridable_initializers(self):
        model = model_of("m (float[2] x, float[2] w) => (float[2] y) { y = Add(x, w) }")
        model.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [2], [10, 20]))
        x, w = np.float32([1, 2]), np.float32([3, 4])
        for ir in (10, 3):
            model.ir_version = ir
            ours, theirs = (r.InferenceSession(model.SerializeToString())
                            for r in (treadle, onnxruntime))
            a, b = ours.get_overridable_initializers(), theirs.get_overridable_initializers()
            self.assertEqual([(v.name, v.type, v.shape) for v in a],
                             [(v.name, v.type, v.shape) for v in b])
            self.assertEqual(len(ours.get_inputs()), 1)
            np.testing.assert_array_equal(ours.run(None, {"x": x})[0], [11, 22])
            if a:
                for session in (ours, theirs):
                    np.testing.assert_array_equal(session.run(None, {"x": x, "w": w})[0], [4, 6])
        with self.assertRaises(ValueError):
            ours.run(None, {"x": x, "z": w})

    def test_devices(self):
        session = treadle.InferenceSession(ADD.SerializeToString())
        theirs = onnxruntime.InferenceSession(ADD.SerializeToString())
        for kind in ("input", "output"):
            a, b = (getattr(s, f"get_{kind}_memory_infos")() for s in (session, theirs))
            for field in ("name", "device_id", "mem_type"):
                self.assertEqual([getattr(m, field) for m in a],
                                 [getattr(getattr(m, field), "value", getattr(m, field)) for m in b])
        ours, theirs = (r.OrtDevice.make("cpu", 0) for r in (treadle, onnxruntime))
        for field in ("device_id", "device_type", "device_mem_type", "device_vendor_id"):
            self.assertEqual(getattr(ours, field)(), getattr(theirs, field)())
        for name in ("OrtAllocatorType", "OrtMemType"):
            theirs = getattr(onnxruntime, name).__members__
            self.assertEqual({k: int(v) for k, v in getattr(treadle, name).__members__.items()},
                             {k: v.value for k, v in theirs.items()})
        with self.assertRaises(treadle.DeviceError):
            treadle.OrtDevice.make("cuda", 0)

    def test_exceptions(self):
        for name in treadle.capi.onnxruntime_pybind11_state.__all__:
            self.assertTrue(hasattr(onnxruntime.capi.onnxruntime_pybind11_state, name), name)
        with self.assertRaises(treadle.capi.onnxruntime_pybind11_state.NoSuchFile):
            treadle.InferenceSession("missing.onnx")

    def test_signatures(self):
        for name in ("InferenceSession", "OrtValue", "IOBinding"):
            ours, theirs = getattr(treadle, name), getattr(onnxruntime, name)
            for member, function in inspect.getmembers(ours, inspect.isfunction):
                if member.startswith("_"):
                    continue
                given = list(inspect.signature(function).parameters)
                wanted = list(inspect.signature(getattr(theirs, member)).parameters)
                self.assertEqual(given, wanted[:len(given)], f"{name}.{member}")

    def test_options(self):
        for name in ("SessionOptions", "RunOptions"):
            ours, theirs = getattr(treadle, name)(), getattr(onnxruntime, name)()
            own = {"timeout_seconds", "profile_file_prefix"}
            for field in {f for f in dir(ours) if not f.startswith("_")} - own:
                a, b = getattr(ours, field), getattr(theirs, field)
                if not callable(b):
                    self.assertEqual(a, getattr(b, "value", b), field)


class Sessions(unittest.TestCase):
    def setUp(self):
        self.x = np.arange(6, dtype=np.float32).reshape(2, 3)
        self.session = treadle.InferenceSession(ADD.SerializeToString())

    def test_threads(self):
        options = treadle.SessionOptions()
        options.enable_profiling = True
        profiled = treadle.InferenceSession(ADD.SerializeToString(), options)
        wrong = []

        def work(k):
            for i in range(100):
                x = np.full((k, 3), i, np.float32)
                for session in (self.session, profiled):
                    if not (session.run(None, {"x": x, "b": x})[0] == 2 * i).all():
                        wrong.append(k)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 9)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])

    def test_pickle(self):
        options = treadle.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_free_dimension_override_by_name("N", 2)
        session = treadle.InferenceSession(ADD.SerializeToString(), options)
        again = pickle.loads(pickle.dumps(session))
        np.testing.assert_array_equal(again.run(["y"], {"x": self.x, "b": self.x})[0], 2 * self.x)
        self.assertEqual(again.get_session_options().intra_op_num_threads, 1)
        self.assertEqual(again.get_inputs()[0].shape, [2, 3])

    def test_binding(self):
        x, b = self.x, self.x.copy()
        binding = self.session.io_binding()
        self.assertEqual(binding.get_outputs(), [])
        out = np.empty((2, 3), np.float32)
        value = treadle.OrtValue.ortvalue_from_numpy(b)
        binding.bind_cpu_input("x", x)
        binding.bind_ortvalue_input("b", value)
        with self.assertRaisesRegex(treadle.InvalidArgument, "no output"):
            self.session.run_with_iobinding(binding)
        binding.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
        self.session.run_with_iobinding(binding)
        np.testing.assert_array_equal(out, 2 * x)
        value.update_inplace(np.zeros((2, 3), np.float32))
        self.session.run_with_iobinding(binding)
        np.testing.assert_array_equal(binding.copy_outputs_to_cpu()[0], x)
        np.testing.assert_array_equal(b, 0)  # the array that the value was made of
        b[...] = 5
        self.session.run_with_iobinding(binding)
        np.testing.assert_array_equal(out, x + 5)
        place = treadle.OrtValue.ortvalue_from_shape_and_type([2, 3], TensorProto.FLOAT)
        binding.bind_ortvalue_output("y", place)
        binding.bind_input("b", "cpu", 0, np.float32, x.shape, x.ctypes.data)
        self.session.run_with_iobinding(binding)
        np.testing.assert_array_equal(place.numpy(), 2 * x)
        binding.bind_output("y")
        self.session.run_with_iobinding(binding)
        self.assertEqual(binding.get_outputs()[0].data_type(), "tensor(float)")
        with self.assertRaisesRegex(treadle.DeviceError, "'cuda'"):
            binding.bind_output("y", "cuda")
        with self.assertRaisesRegex(treadle.InvalidArgument, "'x'.*float"):
            binding.bind_cpu_input("x", None)

    def test_ort_values(self):
        value = treadle.OrtValue.ortvalue_from_numpy(self.x)
        [y] = self.session.run_with_ort_values(["y"], {"x": value, "b": value})
        np.testing.assert_array_equal(y, 2 * self.x)
        self.assertEqual(
            (y.shape(), y.element_type(), y.device_name(), y.tensor_size_in_bytes(), y.is_tensor(),
             y.is_tensor_sequence(), y.is_sparse_tensor(), y.has_value()),
            ([2, 3], 1, "cpu", 24, True, False, False, True))
        kept = self.x.copy()
        kept.flags.writeable = False
        treadle.OrtValue.ortvalue_from_numpy(kept).update_inplace(np.zeros_like(kept))
        np.testing.assert_array_equal(kept, self.x)
        for wrong in (self.x[:1], self.x.astype(int)):
            with self.assertRaisesRegex(treadle.InvalidArgument, r"float32 \[2, 3\]"):
                value.update_inplace(wrong)
        text = treadle.OrtValue.ortvalue_from_numpy(np.array(["a"], object))
        with self.assertRaises(treadle.Unsupported):
            text.update_inplace(text.numpy())
        half = treadle.OrtValue.ortvalue_from_numpy_with_onnx_type(
            np.array([0x3f80], np.uint16), TensorProto.BFLOAT16)
        self.assertEqual((half.data_type(), half.numpy().astype(float)), ("tensor(bfloat16)", 1))

    def test_sequences(self):
        session = treadle.InferenceSession(model_of(
            "s (float[2] x) => (seq(float[2]) s) { s = SequenceConstruct(x, x) }"))
        value = treadle.OrtValue.ortvalue_from_numpy(np.ones(2, np.float32))
        [s] = session.run_with_ort_values(None, {"x": value})
        self.assertEqual((s.data_type(), s.is_tensor_sequence()), ("seq(tensor(float))", True))
        self.assertEqual([e.tolist() for e in s.numpy()], [[1, 1], [1, 1]])
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", value)
        binding.bind_output("s")
        session.run_with_iobinding(binding)
        self.assertEqual(len(binding.copy_outputs_to_cpu()[0]), 2)

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

    def test_terminate(self):
        session = treadle.InferenceSession(SLOW)
        options = treadle.RunOptions()
        feed = {"n": np.array(10**9), "x": np.zeros((400, 400), np.float32)}
        threading.Timer(0.3, setattr, (options, "terminate", True)).start()
        with self.assertRaises(treadle.Cancelled):
            session.run(None, feed, options)
        feed["n"] = np.array(1)
        with self.assertRaises(treadle.Cancelled):
            session.run(None, feed, options)
        options.terminate = False
        session.run(None, feed, options)
        options.timeout_seconds = 0.2
        with self.assertRaises(TimeoutError):
            session.run(None, {**feed, "n": np.array(10**9)}, options)

    def test_interrupt(self):
        session = treadle.InferenceSession(SLOW)
        options = treadle.RunOptions()
        feed = {"n": np.array(10**9), "x": np.zeros((400, 400), np.float32)}
        for given in (None, options):
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            with self.assertRaises(KeyboardInterrupt):
                session.run(None, feed, given)
        session.run(None, {**feed, "n": np.array(1)}, options)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            options = treadle.SessionOptions()
            options.optimized_model_filepath = folder + "/optimized.onnx"
            options.enable_profiling = True
            options.profile_file_prefix = folder + "/profile"
            path = pathlib.Path(folder) / "add.onnx"
            onnx.save(ADD, path)
            before = time.time_ns()
            session = treadle.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.assertTrue(before <= session.get_profiling_start_time_ns() <= time.time_ns())
            for _ in range(2):
                session.run(None, {"x": self.x, "b": self.x})
            [event] = json.loads(pathlib.Path(session.end_profiling()).read_text())
            self.assertEqual((event["cat"], event["args"]["op_name"], event["args"]["calls"]),
                             ("Node", "Add", 2))
            self.assertGreater(event["dur"], 0)
            self.assertEqual(session.end_profiling(), "")
            onnx.checker.check_model(onnx.load(options.optimized_model_filepath))

    def test_given_initializers(self):
        model = model_of("m (float[2, 3] x) => (float[2, 3] y) { y = Add(x, w) }")
        w = onnx.numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
        model.graph.initializer.append(w)
        inside = model.SerializeToString()
        w = model.graph.initializer[0]
        w.ClearField("raw_data")
        w.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "w.bin"), ("offset", "8"), ("length", "24")):
            w.external_data.add(key=key, value=value)
        outside = model.SerializeToString()
        x = np.zeros((2, 3), np.float32)
        two = treadle.OrtValue.ortvalue_from_numpy(np.full((2, 3), 2, np.float32))

        def result(source, give):
            options = treadle.SessionOptions()
            give(options)
            session = pickle.loads(pickle.dumps(treadle.InferenceSession(source, options)))
            return session.run(None, {"x": x})[0]

        for source in (inside, outside):
            for give in (lambda o: o.add_initializer("w", two),
                         lambda o: o.add_external_initializers(["w"], [two])):
                np.testing.assert_array_equal(result(source, give), two.numpy())
        np.testing.assert_array_equal(result(inside, lambda o: o.add_initializer("v", two)), 1)
        with self.assertRaisesRegex(treadle.InvalidArgument, "no initializer 'v'"):
            result(inside, lambda o: o.add_external_initializers(["v"], [two]))
        with self.assertRaisesRegex(treadle.InvalidArgument, r"'w' is float\[3\]"):
            result(inside, lambda o: o.add_initializer(
                "w", treadle.OrtValue.ortvalue_from_numpy(x[0])))
        with self.assertRaises(treadle.InvalidArgument):
            treadle.SessionOptions().add_external_initializers(["w"], [])
        file = np.arange(8, dtype=np.float32)
        np.testing.assert_array_equal(
            result(outside, lambda o: o.add_external_initializers_from_files_in_memory(
                ["w.bin"], [file], [32])), file[2:].reshape(2, 3))
        loaded = treadle.load(outside, initializers={"w": np.full((2, 3), 5, np.float32)})
        np.testing.assert_array_equal(loaded(x), 5)

    def test_vectors(self):
        session = treadle.InferenceSession(ADD.SerializeToString())
        x = np.ones((2, 3), np.float32)
        feeds = treadle.capi.onnxruntime_pybind11_state.OrtValueVector()
        feeds.push_back(treadle.OrtValue.ortvalue_from_numpy(x))
        feeds.push_back(treadle.OrtValue.ortvalue_from_numpy(x))
        fetches = type(feeds)()
        session.run_with_ortvaluevector(None, ["x", "b"], feeds, ["y"], fetches,
                                        [treadle.OrtDevice.make("cpu", 0)])
        np.testing.assert_array_equal(fetches[0].numpy(), 2)
        binding = session.io_binding()
        binding.bind_cpu_input("x", x)
        binding.bind_cpu_input("b", x)
        binding.bind_output("y")
        session.run_with_iobinding(binding)
        self.assertEqual(len(binding.get_outputs_as_ortvaluevector()), 1)

    def test_sparse_is_refused(self):
        with self.assertRaisesRegex(treadle.Unsupported, "dense"):
            treadle.SparseTensor.sparse_coo_from_numpy([4], np.ones(1), np.zeros(1, np.int64),
                                                       treadle.OrtDevice.make("cpu", 0))

    def test_what_is_no_value(self):
        session = treadle.InferenceSession(ADD.SerializeToString())
        binding = session.io_binding()
        for call in (lambda: binding.bind_input("x", "cpu", 0, np.float32, (2, 3), 0),
                     lambda: binding.bind_output("y", "cpu", 0, np.float32, (2, 3), 0),
                     lambda: binding.bind_input("x", "cpu", 0, 99, (2, 3), self.x.ctypes.data),
                     lambda: binding.bind_ortvalue_input("x", self.x),
                     lambda: session.run_with_ort_values(None, {"x": self.x, "b": self.x})):
            with self.assertRaises(treadle.InvalidArgument):
                call()

    def test_seed(self):
        model = treadle.load(model_of(
            "m (float[8] x) => (float[8] y) { y = RandomUniformLike(x) }").SerializeToString())
        x = np.zeros(8, np.float32)

        def drawn(seed):
            treadle.set_seed(seed)
            return [model(x).tolist(), model(x).tolist()]

        first = drawn(7)
        self.assertEqual(drawn(7), first)
        self.assertNotEqual(first[0], first[1])
        self.assertNotEqual(drawn(8), first)

    def test_free_dimensions(self):
        model = onnx.ModelProto()
        model.CopyFrom(ADD)
        model.graph.input[1].type.tensor_type.shape.dim[0].ClearField("dim_param")
        model.graph.input[1].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
        for runtime in filter(None, (treadle, onnxruntime)):
            options = runtime.SessionOptions()
            options.add_free_dimension_override_by_name("N", 2)
            options.add_free_dimension_override_by_name("of another model", 2)
            options.add_free_dimension_override_by_denotation("DATA_BATCH", 1)
            session = runtime.InferenceSession(model.SerializeToString(), options)
            shapes = [p.shape for p in session.get_inputs() + session.get_outputs()]
            self.assertEqual(shapes, [[2, 3], [1, 3], [2, 3]])

    def test_options_that_are_not_there(self):
        for options in (treadle.SessionOptions(), treadle.RunOptions()):
            with self.assertRaises(AttributeError):
                options.intra_op_threads = 1
        options = treadle.SessionOptions()
        options.add_session_config_entry("session.disable_prepacking", "1")
        self.assertEqual(options.get_session_config_entry("session.disable_prepacking"), "1")
        with self.assertRaises(RuntimeError):
            options.get_session_config_entry("session.nothing")

    def test_providers(self):
        data = ADD.SerializeToString()
        with self.assertWarnsRegex(UserWarning, "CUDAExecutionProvider"):
            session = treadle.InferenceSession(
                data, providers=[("CUDAExecutionProvider", {"device_id": 0}),
                                 "CPUExecutionProvider"])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            treadle.InferenceSession(data, providers=treadle.get_available_providers())
            session.set_providers(["CPUExecutionProvider"], [{}])
        self.assertEqual(session.get_providers(), ["CPUExecutionProvider"])
        self.assertEqual(session.get_provider_options(), {"CPUExecutionProvider": {}})


if __name__ == "__main__":
    unittest.main()
