#!/usr/bin/env bash
# Builds the wheel and runs it in an environment that has nothing else but numpy.
set -euo pipefail
if [ -n "$TREADLE_SANITIZE" ]; then
  echo "skipped: a Python without the sanitizer cannot load a library with it"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" > "$work/log" 2>&1 || { tail -50 "$work/log"; exit 1; }; }

# The compilers of the build: the cache then has every object already. What setup.sh made is not
# looked at: in a fresh clone, pip's own environment, found by PATH, has what pyproject.toml requires.
export CC=cc CXX=c++ PATH="$(dirname "$TREADLE_PYTHON"):$PATH"
quietly "$TREADLE_PYTHON" -m pip wheel --no-build-isolation --no-deps -w "$work" \
  --config-settings=cmake.define.TREADLE_DEPS="$work/none" "$TREADLE_SOURCE"
mkdir "$work/site"
quietly "$TREADLE_PYTHON" -m pip install --no-deps --target "$work/site" "$work"/treadle-*.whl
for name in py.typed _native.pyi; do test -f "$work/site/treadle/$name"; done
# What lies beside it, and what every system has, is all that it needs.
needed=$(find "$work/site/treadle" -name '*.so*' -exec readelf -d {} + | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u)
for name in $needed; do
  case $name in
    libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | ld-linux-*) ;;
    libstdc++.so.6 | libgcc_s.so.1 | libz.so.1) ;;
    *) test -e "$work/site/treadle/lib/$name" || { echo "the wheel lacks $name"; exit 1; } ;;
  esac
done
"$TREADLE_PYTHON" "$TREADLE_SOURCE/tests/c_api/color_model.py" "$work"
cd "$work"
env -i PYTHONPATH="$work/site" "$TREADLE_PYTHON" - <<'PY'
import numpy as np
import treadle

scores = treadle.load("color.onnx")(np.ones((2, 3, 16, 16), np.float32))
assert scores.shape == (2, 3) and (scores == 1).all(), scores
network = treadle.train.Sequential(treadle.train.Linear(1)).build((2,))
assert treadle.train.Trainer(network).step(np.ones((3, 2)), np.ones((3, 1))).updated
print("treadle", treadle.__version__, "from", treadle.__file__)
PY
