#!/usr/bin/env python3
"""Networks layer by layer: what treadle.train makes of them, and what it refuses."""
import unittest

import numpy as np
import onnx

from common import treadle

from treadle import train


class Layers(unittest.TestCase):
    def check(self, network, shape, dtype=np.float32):
        data = network.SerializeToString()
        onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
        x = np.random.default_rng(0).integers(0, 5, (3, *shape)).astype(dtype)
        return treadle.load(network)(x), x

    def test_every_layer(self):
        m = train
        picture = m.Sequential(
            m.Conv2d(8, 3, bias=False), m.BatchNorm(), m.ReLU(), m.MaxPool(), m.LeakyReLU(0.1),
            m.Residual(m.Conv2d(8, 5, groups=4), m.ELU(), m.Dropout(0.1)), m.AveragePool(3, 1, 1),
            m.Conv2d(6, 2, 2, 0, initializer="xavier_uniform"), m.HardSwish(), m.Mish(),
            m.GlobalAveragePool(), m.Linear(5, bias=False), m.GELU(), m.Sigmoid(), m.Tanh(),
            m.Softmax())
        y, _ = self.check(picture.build((3, 12, 12)), (3, 12, 12))
        self.assertEqual(y.shape, (3, 5))
        np.testing.assert_allclose(y.sum(1), 1, rtol=1e-5)
        y, _ = self.check(m.Sequential(m.ConvTranspose2d(4), m.ConvTranspose2d(
            2, 3, 2, 1, output_padding=1, bias=False)).build((3, 5, 7)), (3, 5, 7))
        self.assertEqual(y.shape, (3, 2, 20, 28))
        text = m.Sequential(m.Embedding(9, 6), m.LSTM(7), m.LayerNorm(), m.Reshape(0, -1),
                            m.Linear(2))
        y, _ = self.check(text.build((4,), np.int64), (4,), np.int64)
        self.assertEqual(y.shape, (3, 2))

    def test_functional(self):
        net = train.Network(seed=3)
        x = net.input((6,))
        h = train.Linear(6, name="hidden")(x)
        both = train.Concat()(h * x + x, h - x)
        net.output(train.Op("Transpose", perm=[1, 0])(both), "both")
        net.output(train.Op("Clip")(h / h), "ones")
        (both, ones), given = self.check(net, (6,))
        model = onnx.load_from_string(net.SerializeToString())
        weights = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
        h = given @ weights["hidden.weight"] + weights["hidden.bias"]
        np.testing.assert_allclose(both.T, np.hstack([h * given + given, h - given]), rtol=1e-4,
                                   atol=1e-5)
        self.assertEqual(ones.shape, (3, 6))

    def test_seeds(self):
        def weights(seed):
            net = train.Sequential(train.Linear(3)).build((4,), seed=seed)
            return train.Trainer(net)["linear1.weight"]

        np.testing.assert_array_equal(weights(1), weights(1))
        self.assertTrue((weights(1) != weights(2)).all())

    def test_known(self):
        model = onnx.load_from_string(train.new("lenet", classes=7, seed=1))
        self.assertEqual(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value, 7)
        y = treadle.load(train.new("mlp", input_shape=(1, 4, 4), hidden=(5,)))(
            np.zeros((2, 1, 4, 4), np.float32))
        self.assertEqual(y.shape, (2, 10))

    def test_errors(self):
        m = train
        for build, text in (
                (lambda: m.Sequential(m.Conv2d(2)).build((4,)), "'conv1' .conv..*rank 4"),
                (lambda: m.Sequential(m.Linear(2)).build((None,)), "dimension 1 must be a number"),
                (lambda: m.Sequential(m.Linear(-2)).build((4,)), "'units' is '-2', expected 1 to"),
                (lambda: m.Sequential(m.Conv2d(2, 2)).build((1, 4, 4)), "only odd ones"),
                (lambda: m.Sequential(m.Conv2d(3, groups=2)).build((4, 4, 4)), "2 groups"),
                (lambda: m.Sequential(m.Op("Relo")).build((4,)), "no such layer"),
                (lambda: m.Sequential(m.Op("Clip", mn=0)).build((4,)), "no 'mn'"),
                (lambda: m.Sequential(m.ConvTranspose2d(2, output_padding=2)).build((1, 4, 4)),
                 "'output_padding' is '2', expected 0 to 1"),
                (lambda: m.Sequential(m.Dropout(1)).build((4,)), "ratio of 1"),
                (lambda: m.Sequential(m.Linear(2, initializer="hee")).build((4,)), "mean 'he'"),
                (lambda: m.Sequential(m.Linear(2, name="a"), m.Linear(2, name="a")).build((4,)),
                 "name is empty or taken"),
                (lambda: m.Sequential(m.Linear("3 bias=0")).build((4,)), "which has spaces"),
                (lambda: m.Sequential(m.Linear(3)).build((4,), input="y"), "an input has this name"),
                (lambda: m.ReLU()(np.zeros(2)), "values of a network"),
                (lambda: m.Network().input((2,)) + 1, "given int"),
                (lambda: m.Network().input((2,)) + m.Network().input((2,)), "of one network"),
                (lambda: m.Network().save("/tmp/never.onnx"), "no output"),
                (lambda: m.new("lenett"), "mean 'lenet'")):
            with self.assertRaisesRegex(treadle.InvalidArgument, text):
                build()


if __name__ == "__main__":
    unittest.main()
