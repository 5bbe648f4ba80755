#!/usr/bin/env bash
# usage: bench.sh TREADLE [compare.py's arguments]   Treadle beside ONNX Runtime and OpenVINO.
# Needs the folder bench/ of ${TREADLE_SHARED:-../shared}: compare.py and the networks.
set -euo pipefail
treadle=$(realpath "$1")
shift
root=$(cd "$(dirname "$0")/.." && pwd)
bench=${TREADLE_SHARED:-$root/../shared}/bench
networks=$root/build/bench/networks
python=$root/.deps/bin/python
[ -e "$bench/compare.py" ] || { echo "bench: no $bench/compare.py: set TREADLE_SHARED" >&2; exit 1; }

if [ ! -e "$networks/.complete" ]; then
  mkdir -p "$networks"
  "$python" "$bench/fill_weights.py" "$networks"
  touch "$networks/.complete"
fi
"$python" "$bench/compare.py" --treadle "$treadle" "$@" "$networks"/*.onnx
