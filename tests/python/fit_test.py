#!/usr/bin/env python3
"""Trainer.fit on arrays and on batches: events, interrupts, what is kept."""
import json
import os
import pathlib
import signal
import tempfile
import threading
import unittest

import numpy as np
import onnx

from common import LINE_T as T, LINE_X as X, line, treadle
from treadle import train


class Fits(unittest.TestCase):
    def test_events(self):
        class Batches:
            def __len__(self):
                return 2

            def __iter__(self):
                return iter([(X[:2], T[:2]), {"x": X[2:], "target": T[2:]}])

        for data in ((X, T), (Batches(),)):
            events = []
            done = line().fit(*data, epochs=3, batch=2, val=(X, T), on_event=events.append)
            kinds = [e.kind for e in events]
            step = ["step_started", "step_completed"]
            self.assertEqual(kinds, ["started",
                                     *(["epoch_started", *step, *step, "epoch_completed"] * 3),
                                     "completed"])
            self.assertEqual((done.steps, done.epochs, done.cancelled), (6, 3, False))
            self.assertEqual([e.step for e in events if e.kind == "step_completed"],
                             list(range(1, 7)))
            self.assertEqual({e.batches for e in events}, {2})
            self.assertLess(done.history[-1]["val_loss"], done.history[0]["val_loss"])
            self.assertLessEqual({"train_loss", "val_loss"}, done.history[0].keys())

    def test_the_same_by_arrays_and_by_batches(self):
        a, b = line(), line()
        a.fit(X, T, steps=5, batch=4, shuffle=False)
        b.fit([(X, T)], steps=5)
        np.testing.assert_array_equal(a.get_parameters(), b.get_parameters())

    def test_on_files(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for kind, grey in {"bright": 200, "dark": 20}.items():
                (folder / kind).mkdir()
                for i in range(10):
                    picture = bytes((grey + i + j) % 256 for j in range(64))
                    (folder / kind / f"{i}.pgm").write_bytes(b"P5 8 8 255\n" + picture)
            network = train.Sequential(train.Flatten(), train.Linear(2)).build((1, 8, 8))
            trainer = train.Trainer(network, loss="cross_entropy", rate=0.05)
            done = trainer.fit(folder, epochs=5, batch=4, out=folder / "run",
                               fields={"augment.flip_x": True, "data.split_tail": False})
            self.assertEqual((done.steps, done.epochs), (20, 5))
            self.assertEqual(done.history[-1]["val_accuracy"], 1)
            trainer.export(folder / "m.onnx")
            words = {p.key: p.value for p in onnx.load(folder / "m.onnx").metadata_props}
            self.assertEqual(words["treadle.classes"].split(), ["bright", "dark"])
            self.assertIn("mean=", words["treadle.preprocess"])
            with self.assertRaisesRegex(treadle.InvalidArgument, "did you mean 'data.format'"):
                trainer.fit(folder, epochs=1, fields={"data.formt": "images"})
            with self.assertRaisesRegex(treadle.InvalidArgument, "both are in it"):
                trainer.fit(folder, T, epochs=1)
            with self.assertRaisesRegex(treadle.InvalidArgument, "fields go with a path"):
                trainer.fit(X, T, epochs=1, fields={})
            (folder / "real.csv").write_text("".join(f"{i},{i / 8}\n" for i in range(64)))
            with self.assertRaisesRegex(treadle.InvalidArgument, "data.regression=true"):
                trainer.fit(folder / "real.csv", epochs=1)

    def test_on_event_uses_the_trainer(self):
        for data in ((X, T), ([(X, T)],)):
            trainer = line()
            rates, losses = [], []

            def follow(event):
                if event.kind == "step_completed":
                    rates.append(event.numbers["rate"])
                    trainer.rate = trainer.rate / 2
                    losses.append(trainer.eval(X, T)[0])

            trainer.fit(*data, steps=3, on_event=follow)
            trainer.fit(*data, steps=1, on_event=follow)
            self.assertEqual(rates, [0.05, 0.025, 0.0125, 0.00625])
            self.assertEqual(losses, sorted(losses, reverse=True))

    def test_on_event_may_not_train(self):
        trainer = line()

        def meddle(event):
            for call in (lambda: trainer.step(X, T), lambda: trainer.load("none"),
                         lambda: trainer.fit(X, T, epochs=1)):
                with self.assertRaises(treadle.Busy):
                    call()

        trainer.fit(X, T, steps=2, on_event=meddle)
        self.assertEqual(trainer.steps, 2)

    def test_patience_wants_its_monitor(self):
        for settings in ({}, {"val": (X, T), "monitor": "nonsense"}):
            with self.assertRaisesRegex(treadle.InvalidArgument, "patience wants a number '"):
                line().fit(X, T, epochs=9, patience=1, **settings)

    def test_on_event_ends(self):
        for data in ((X, T), ([(X, T)],)):
            done = line().fit(*data, epochs=100, on_event=lambda e: e.step == 3)
            self.assertEqual((done.steps, done.cancelled), (3, True))

    def test_on_event_fails(self):
        def fail(event):
            if event.step == 2:
                raise KeyError("mine")

        for data in ((X, T), ([(X, T)],)):
            trainer = line()
            with self.assertRaisesRegex(KeyError, "mine"):
                trainer.fit(*data, epochs=100, on_event=fail)
            self.assertEqual(trainer.steps, 2)

    def test_exception_is_told(self):
        told = []
        for data in ((X * np.float32(np.inf), T), ([(X * np.float32(np.inf), T)],)):
            with self.assertRaises(treadle.InvalidData):
                line().fit(*data, epochs=1, on_event=told.append)
        self.assertEqual([e.kind for e in told if e.text], ["exception", "exception"])

    def test_interrupt(self):
        for data in ((X, T), ([(X, T)],)):
            trainer = line()
            timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            with self.assertRaises(KeyboardInterrupt):
                trainer.fit(*data, epochs=10**9)
            self.assertGreater(trainer.steps, 0)
            trainer.step(X, T)

    def test_run_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "run"
            whole = line(optimizer="adam")
            whole.fit(X, T, epochs=6, batch=2, val=(X, T), seed=3)
            line(optimizer="adam").fit(X, T, epochs=4, batch=2, val=(X, T), seed=3, out=out)
            parts = line(optimizer="adam")
            parts.fit(X, T, epochs=6, batch=2, val=(X, T), seed=3, out=out, resume=True)
            np.testing.assert_array_equal(whole.get_parameters(), parts.get_parameters())
            lines = (out / "metrics.jsonl").read_text().splitlines()
            self.assertEqual([json.loads(text)["step"] for text in lines], list(range(1, 13)))
            np.testing.assert_allclose(treadle.load(out / "model.onnx")(X),
                                       parts.eval(X, T)[1]["y"], rtol=1e-5)


if __name__ == "__main__":
    unittest.main()
