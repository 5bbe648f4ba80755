#!/usr/bin/env bash
# usage: symbols.sh LIBRARY LIST [--update]   compares what the library exports with the list
set -euo pipefail
export LC_ALL=C
exported() { nm -D --defined-only "$1" | awk '{print $3}' | sort; }
if [ "${3:-}" = --update ]; then
  exported "$1" > "$2"
elif ! diff -u "$2" <(exported "$1"); then
  echo "exported symbols differ from $2: if that is meant, run $0 $1 $2 --update" >&2
  exit 1
fi
