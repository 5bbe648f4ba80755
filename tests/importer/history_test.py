#!/usr/bin/env python3
"""importer/onnx/history.inc is what scripts/opset_history.py makes of the installed onnx."""
import os
import subprocess
import sys

try:
    import onnx
except ImportError:
    print("skipped: no Python package onnx")
    sys.exit(77)

root = os.environ.get("TREADLE_SOURCE", os.path.join(os.path.dirname(__file__), "../.."))
table = os.path.join(root, "importer/onnx/history.inc")
if f"onnx {onnx.__version__}:" not in open(table).readline():
    print(f"skipped: the table is of another version than onnx {onnx.__version__}")
    sys.exit(77)
sys.exit(subprocess.call([sys.executable, os.path.join(root, "scripts/opset_history.py"), "--check", table]))
