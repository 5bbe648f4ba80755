#!/usr/bin/env python3
"""Trains a small network on pictures and writes it as ONNX:   train_digits.py DATA.csv OUT.onnx

Each line of the data (.gz too) holds the 64 numbers of a picture of 8 by 8, 0 to 16, and its
class: UCI's handwritten digits, as scikit-learn has them in datasets/data/digits.csv.gz."""
import sys

import numpy as np
from treadle import train

rows = np.loadtxt(sys.argv[1], delimiter=",", dtype=np.float32)
rows = rows[np.random.default_rng(0).permutation(len(rows))]
pictures, classes = rows[:, :-1].reshape(-1, 1, 8, 8) / 16, rows[:, -1].astype(np.int64)
held = len(rows) // 5

network = train.Sequential(
    train.Conv2d(16), train.BatchNorm(), train.ReLU(), train.MaxPool(),
    train.Residual(train.Conv2d(16), train.BatchNorm(), train.ReLU()),
    train.Flatten(), train.Dropout(0.2), train.Linear(10)).build((1, 8, 8))
trainer = train.Trainer(network, loss="cross_entropy", optimizer="adam", rate=0.003)


def tell(event):
    if event.kind == "epoch_completed":
        print(f"epoch {event.epoch}: loss {event.numbers['train_loss']:.4f}, "
              f"accuracy {event.numbers['val_accuracy']:.4f}")


trainer.fit(pictures[held:], classes[held:], epochs=10, val=(pictures[:held], classes[:held]),
            on_event=tell)
trainer.export(sys.argv[2], fold_batchnorm=True)
