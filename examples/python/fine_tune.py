#!/usr/bin/env python3
"""Trains a classifier on from where its file left off, and writes the result as ONNX again, as
../fine_tune.c does:   fine_tune.py MODEL.onnx OUT.onnx STEPS < samples

Each line of the samples holds the numbers of the model's one input, then the class."""
import sys

import numpy as np
from treadle import train

rows = np.loadtxt(sys.stdin, dtype=np.float32, ndmin=2)
trainer = train.Trainer(sys.argv[1], loss="cross_entropy", optimizer="adam", rate=0.001)
for warning in trainer.warnings:
    print("warning:", warning, file=sys.stderr)


def tell(event):
    if event.kind == "step_completed" and event.step % 100 == 1:
        print(f"step {event.step - 1}: loss {event.numbers['loss']:f}")


trainer.fit(rows[:, :-1], rows[:, -1].astype(np.int64), steps=int(sys.argv[3]), batch=16,
            shuffle=False, on_event=tell)
trainer.export(sys.argv[2], fold_batchnorm=True)
