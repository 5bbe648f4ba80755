#!/usr/bin/env python3
"""make bench's table of what compare.py measured."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

script = pathlib.Path(os.environ["TREADLE_SOURCE"]) / "scripts/bench_table.py"
rows = [{"model": "nets/a.onnx", "threads": 1, "ratio": 2.0, "equal": "equal",
         "treadle": {"min_ms": 1.5}, "ort": {"min_ms": 3.0}, "ov": {"error": "no"}},
        {"model": "nets/b.onnx", "threads": 1, "ratio": 0.5, "equal": "DIFFERS y",
         "treadle": {"min_ms": 10.25}, "ort": {"min_ms": 5.125}, "ov": {"min_ms": 6.0}},
        {"model": "nets/b.onnx", "threads": 2, "ratio": float("nan"), "equal": "FAILED",
         "treadle": {"error": "no"}, "ort": {"min_ms": 5.125}, "ov": {"min_ms": 6.0}}]

with tempfile.TemporaryDirectory() as folder:
    results, page = pathlib.Path(folder, "r.json"), pathlib.Path(folder, "p.md")
    results.write_text(json.dumps(rows))

    def write(text):
        page.write_text(text)
        return subprocess.run([sys.executable, script, results, "a machine", page],
                              capture_output=True, text=True)

    for old in ["", "an older table\n"]:
        done = write(f"before\n<!-- bench -->\n{old}<!-- /bench -->\nafter\n")
        assert done.returncode == 0, done.stderr
        text = page.read_text()
        assert text.startswith("before\n<!-- bench -->\nMeasured on a machine"), text
        assert text.endswith("<!-- /bench -->\nafter\n") and "older" not in text, text
        assert "| a | 1 | 1.5 | 3 | failed | 2.00 | equal |" in text, text
        assert "| b | 2 | failed | 5.12 | 6 | - | FAILED |" in text, text
        assert "at 1 thread(s): 1.00." in text and "at 2 thread" not in text, text
    done = write("no place")
    assert done.returncode != 0 and "must have one" in done.stderr
    assert page.read_text() == "no place"
