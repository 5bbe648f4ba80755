#!/usr/bin/env bash
# Installs into a folder, moves it, builds the examples against it by find_package and by
# pkg-config, and runs them with an empty environment.
set -euo pipefail
if [ ! -e "$TREADLE_SOURCE/include/treadle/treadle.h" ]; then
  echo "skipped: there is no treadle.h yet"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$TREADLE_BUILD" --prefix "$work/first" > "$work/log"
mv "$work/first" "$work/moved"
tree=$work/moved
if grep -rlI -e "$TREADLE_BUILD" -e "$work/first" "$tree"; then
  echo "the installed files above name the build tree" >&2
  exit 1
fi

cmake -S "$TREADLE_SOURCE/examples" -B "$work/cmake" -G Ninja -DCMAKE_PREFIX_PATH="$tree" \
  -DCMAKE_EXPORT_NO_PACKAGE_REGISTRY=ON > "$work/log"
cmake --build "$work/cmake" > "$work/log" || { cat "$work/log"; exit 1; }

export PKG_CONFIG_PATH=$tree/lib/pkgconfig
flags=$(pkg-config --cflags --libs treadle)
cc -std=c99 -o "$work/classify" "$TREADLE_SOURCE/examples/classify.c" $flags -lm

# What the example needs comes from the tree that was moved, not from the build.
env -i LD_LIBRARY_PATH="$tree/lib" ldd "$work/classify" | grep -E 'libtreadle|libdnnl|protobuf' > "$work/libs"
cat "$work/libs"
