#!/usr/bin/env bash
# usage: bench.sh TREADLE [compare.py's arguments]   Treadle beside ONNX Runtime and OpenVINO,
# as docs/performance.md then tells.
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
# It fails where an output differs; what was measured is written all the same.
results=$root/build/bench/results.json
status=0
rm -f "$results"
"$python" "$bench/compare.py" --treadle "$treadle" --json "$results" "$@" "$networks"/*.onnx || status=$?
[ -e "$results" ] || exit "$status"
processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
"$python" "$root/scripts/bench_table.py" "$results" "$processor, $(nproc) processors" "$root/docs/performance.md"
exit "$status"
