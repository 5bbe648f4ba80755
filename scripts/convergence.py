#!/usr/bin/env python3
"""usage: convergence.py TREADLE [NAME ...]   Trains networks on real data: to the bar?

NAME: digits-mlp, digits-cnn, digits-tail, fashion-mlp, fashion-cnn, ants-bees, ants-bees-all,
membrane (all by default). --seeds N (3), --first N (0). Data: digits from the PyPI wheel
scikit-learn (setup.sh), Fashion-MNIST from the Debian package dataset-fashion-mnist, the others
from TREADLE_SHARED; what is not there is skipped, and said so.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIGITS = ROOT / ".deps/digits.csv.gz"
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
SHARED = pathlib.Path(os.environ.get("TREADLE_SHARED", ROOT.parent / "shared"))
EFFICIENTNET = SHARED / "models/efficientnet-lite0/model.onnx"
RGB = "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"

ONE_CYCLE = "--schedule one_cycle --optimizer adamw"
# Pixels are 0 to 16: noise of 2 before they are divided.
DIGITS_MLP = f"--mean 0 --std 16 augment.noise=2 --epochs 60 --lr 0.01 {ONE_CYCLE}"
DIGITS_CNN = f"--mean 0 --std 16 augment.noise=2 --epochs 15 --lr 0.003 {ONE_CYCLE}"
# name: (data, network, how it trains, {metric: bar})
CASES = {
    "digits-mlp": (DIGITS, "mlp --input-shape 1x8x8 --hidden 100", DIGITS_MLP,
                   {"accuracy": 0.975}),
    "digits-cnn": (DIGITS, "cnn --input-shape 1x8x8", DIGITS_CNN, {"accuracy": 0.986}),
    "digits-tail": (DIGITS, "cnn --input-shape 1x8x8", DIGITS_CNN + " data.split_tail=true",
                    {"accuracy": 0.958}),
    "fashion-mlp": (FASHION, "mlp --input-shape 1x28x28 --hidden 256",
                    f"--epochs 8 --batch-size 128 --lr 0.005 {ONE_CYCLE}", {"accuracy": 0.88}),
    "fashion-cnn": (FASHION, "cnn --input-shape 1x28x28 --filters 16",
                    f"--epochs 4 --batch-size 64 --lr 0.003 {ONE_CYCLE}", {"accuracy": 0.91}),
    "ants-bees": (SHARED / "data/ants_bees", EFFICIENTNET,
                  f"{RGB} --train-last 1 --epochs 8 --batch-size 16 --lr 0.002",
                  {"accuracy": 0.865}),
    "ants-bees-all": (SHARED / "data/ants_bees", EFFICIENTNET,
                      f"{RGB} --epochs 6 --batch-size 16 --lr 0.0003 {ONE_CYCLE} "
                      "augment.flip_x=true augment.crop=0.2 train.label_smoothing=0.1 "
                      "train.average=0.95 averaged=true",
                      {"accuracy": 0.89}),
    "membrane": (SHARED / "data/membrane", "unet --input-shape 1x256x256 --classes 2",
                 f"--epochs 20 --batch-size 2 --lr 0.002 {ONE_CYCLE} augment.flip_x=true "
                 "augment.flip_y=true",
                 {"accuracy": 0.90, "iou_0": 0.57}),
}


def run(tool, words, **options):
    done = subprocess.run([tool, *map(str, words)], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"convergence: treadle {' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


def train(tool, name, seed, folder):
    data, network, how, _ = CASES[name]
    words = how.split()
    fields = [w for w in words if "=" in w]
    flags = [w for w in words if "=" not in w]
    common = ["--data", data, "--seed", seed, "--out", folder / "run", "--json"]
    if isinstance(network, pathlib.Path):
        out = run(tool, ["finetune", network, *fields, *flags, *common])
    else:
        kind, *rest = network.split()
        run(tool, ["new", kind, folder / "new.onnx", "--seed", seed, *rest])
        out = run(tool, ["train", folder / "new.onnx", *fields, *flags, *common])
    last = json.loads(out)["last"]
    return {k.removeprefix("val_"): v for k, v in last.items() if k.startswith("val_")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("treadle")
    parser.add_argument("names", nargs="*", choices=[[], *CASES], default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    args = parser.parse_args()
    failed = False
    for name in args.names or CASES:
        data, network, _, bars = CASES[name]
        if not data.exists() or (isinstance(network, pathlib.Path) and not network.exists()):
            print(f"{name:14} skipped: no {data}")
            continue
        start, results = time.monotonic(), []
        for seed in range(args.first, args.first + args.seeds):
            with tempfile.TemporaryDirectory() as folder:
                results.append(train(args.treadle, name, seed, pathlib.Path(folder)))
        seconds = (time.monotonic() - start) / args.seeds
        for metric, bar in bars.items():
            values = [r[metric] for r in results]
            mean = statistics.mean(values)
            failed |= mean < bar
            verdict = "ok" if mean >= bar else "BELOW"
            each = " ".join(f"{v:.4f}" for v in values)
            print(f"{name:14} {metric:9} {mean:.4f}  (at least {bar})  {verdict}  seeds {each}  "
                  f"{seconds:.1f} s a run", flush=True)
    return 1 if failed else 0


sys.exit(main())
