#!/usr/bin/env python3
"""onnxruntime-training's names: generate_artifacts, CheckpointState, Module, Optimizer."""
import pathlib
import tempfile
import unittest

import numpy as np
import onnx

from common import LINE, LINE_T as T, LINE_X as X, treadle

from treadle import train
from treadle.train import artifacts


class Artifacts(unittest.TestCase):
    def test_a_script_of_onnxruntime_training(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name) / "artifacts"
            artifacts.generate_artifacts(LINE, requires_grad=["w"], loss=artifacts.LossType.MSELoss,
                                         optimizer=artifacts.OptimType.SGD,
                                         artifact_directory=folder)
            state = artifacts.CheckpointState.load_checkpoint(folder / "checkpoint")
            module = artifacts.Module(folder / "training_model.onnx", state,
                                      folder / "eval_model.onnx")
            optimizer = artifacts.Optimizer(folder / "optimizer_model.onnx", module)
            optimizer.set_learning_rate(0.05)
            plain = train.Trainer(LINE, rate=0.05, freeze=["b"])
            module.train()
            for _ in range(4):
                loss = module(X, T)
                optimizer.step()
                module.lazy_reset_grad()
                self.assertAlmostEqual(float(loss), plain.step(X, T).loss, 5)
            self.assertEqual(optimizer.get_learning_rate(), 0.05)
            schedule = artifacts.LinearLRScheduler(optimizer, 2, 6, 0.4)
            rates = []
            for _ in range(7):
                rates.append(optimizer.get_learning_rate())
                schedule.step()
            np.testing.assert_allclose(rates, [0, 0.2, 0.4, 0.3, 0.2, 0.1, 0], atol=1e-12)
            module.eval()
            self.assertEqual(float(module(X, T)), float(module(X, T)))
            np.testing.assert_allclose(state.parameters["w"].data, plain["w"], rtol=1e-5)
            self.assertEqual(list(state.parameters), ["w"])
            artifacts.CheckpointState.save_checkpoint(state, folder / "later")
            later = artifacts.CheckpointState.load_checkpoint(folder / "later")
            with self.assertRaisesRegex(treadle.InvalidArgument, "belongs to no Module"):
                later.parameters
            again = artifacts.Module(folder / "training_model.onnx", later)
            np.testing.assert_array_equal(again.get_contiguous_parameters(),
                                          module.get_contiguous_parameters())
            self.assertEqual(module.input_names(), ["x", "target"])
            module.export_model_for_inferencing(folder / "out.onnx", module.output_names())
            np.testing.assert_allclose(treadle.load(folder / "out.onnx")(X),
                                       plain.eval(X, T)[1]["y"], rtol=1e-5)

    def test_weights_in_another_file(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            model = onnx.ModelProto()
            model.CopyFrom(LINE)
            for tensor in model.graph.initializer:
                array = onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
            (folder / "given").mkdir()
            onnx.save(model, folder / "given/line.onnx", save_as_external_data=True,
                      location="line.bin", size_threshold=0)
            artifacts.generate_artifacts(folder / "given/line.onnx", artifact_directory=folder)
            (folder / "given/line.bin").unlink()
            state = artifacts.CheckpointState.load_checkpoint(folder / "checkpoint")
            module = artifacts.Module(folder / "training_model.onnx", state)
            np.testing.assert_array_equal(module.get_contiguous_parameters(),
                                          np.float32([0.5, -1, 0.25]))

    def test_nothing_is_written_on_failure(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "training_model.onnx").write_bytes(b"mine")
            for settings in ({"rate": object()}, {"hooks": {"y": print}}, {"prefix": "none/"}):
                with self.assertRaises((treadle.Error, OSError)):
                    artifacts.generate_artifacts(LINE, artifact_directory=folder, **settings)
                self.assertEqual([p.name for p in folder.iterdir()], ["training_model.onnx"])
                self.assertEqual((folder / "training_model.onnx").read_bytes(), b"mine")

    def test_settings_of_numpy_and_damaged_ones(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            artifacts.generate_artifacts(LINE, rate=np.float32(0.1), artifact_directory=folder)
            state = artifacts.CheckpointState.load_checkpoint(folder / "checkpoint")
            module = artifacts.Module(folder / "training_model.onnx", state)
            self.assertEqual(module.trainer.rate, 0.1)
            self.assertEqual(len(list(folder.iterdir())), 3)
            for text in ("{bad", "[1]", '{"model": 1}'):
                (folder / "training_settings.json").write_text(text)
                with self.assertRaisesRegex(treadle.InvalidArgument, "settings.json' is damaged"):
                    artifacts.Module(folder / "training_model.onnx", state)

    def test_errors(self):
        with tempfile.TemporaryDirectory() as folder:
            for call, text in (
                    (lambda: artifacts.generate_artifacts(LINE, requires_grad=["v"],
                                                          artifact_directory=folder), "'v'"),
                    (lambda: artifacts.generate_artifacts(LINE, frozen_params=["v"],
                                                          artifact_directory=folder), "'v'"),
                    (lambda: artifacts.CheckpointState.load_checkpoint(folder + "/x"), "no checkpoint"),
                    (lambda: artifacts.LinearLRScheduler(None, 3, 3, 0.1), "fewer than all"),
                    (lambda: artifacts.Module(folder + "/a.onnx",
                                              artifacts.CheckpointState("x")), "no artifact")):
                with self.assertRaisesRegex(treadle.InvalidArgument, text):
                    call()


if __name__ == "__main__":
    unittest.main()
