"""Training from the command line: new networks, runs, what they leave, and what is refused."""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
except ImportError as missing:
    print("skipped: the Python packages onnx and numpy are needed:", missing)
    sys.exit(77)

TOOL = os.environ["TREADLE_TOOL"]
FAILURES = []


def call(line, folder, code=0, texts=()):
    done = subprocess.run([TOOL, *line.split()], capture_output=True, text=True, cwd=folder, timeout=300)
    missing = [t for t in texts if t not in done.stdout + done.stderr]
    if done.returncode != code or missing:
        FAILURES.append(f"`treadle {line}`: exit {done.returncode}, expected {code}; missing {missing}\n"
                        f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def expect(condition, what):
    if not condition:
        FAILURES.append(what)


NEW = ["mlp --input-shape 1x8x8 --hidden 100", "cnn --input-shape 1x8x8", "lenet", "resnet18 --input-shape 3x32x32",
       "mobilenetv2 --input-shape 3x32x32", "unet --input-shape 1x31x32 --filters 4", "char-rnn --hidden 32",
       "transformer --hidden 32 --input-shape 16"]


def new_networks(folder):
    for line in NEW:
        kind = line.split()[0]
        call(f"new {line} --classes 5 {kind}.onnx", folder, 0, ["parameters"])
        onnx.checker.check_model(str(folder / f"{kind}.onnx"), full_check=True)
        call(f"run {kind}.onnx --fill zeros", folder, 0, ["scores  float[1, 5"])
    call("new mlpp x.onnx", folder, 4, ["did you mean 'mlp'"])
    call("new mlp x.onnx --input-shape 3y3", folder, 2, ["--input-shape"])
    call("new unet x.onnx --input-shape 1x4x4", folder, 4, ["from 16 on"])


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        new_networks(folder)
    for failure in FAILURES:
        print("FAILED", failure)
    return 1 if FAILURES else 0


sys.exit(main())
