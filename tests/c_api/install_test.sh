#!/usr/bin/env bash
# Installs into a folder, moves it, builds the example against it by find_package and by pkg-config,
# and runs both with an empty environment.
set -euo pipefail
if [ -n "$TREADLE_SANITIZE" ]; then
  echo "skipped: a program without the sanitizer cannot load a library with it"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }; }

quietly cmake --install "$TREADLE_BUILD" --prefix "$work/first"
tree=$work/moved
mv "$work/first" "$tree"
if grep -rlI -e "$TREADLE_BUILD" -e "$work/first" "$tree"; then
  echo "the installed files above name the folder that they were built or first installed in"
  exit 1
fi
if readelf -d "$tree"/lib/libtreadle.so "$tree"/bin/* | grep RUNPATH | grep -v '\[$ORIGIN'; then
  echo "the run paths above do not begin at the file itself"
  exit 1
fi
for name in treadle dnnl protobuf-lite; do ls "$tree"/lib/lib$name.so.* > /dev/null; done

quietly cmake -S "$TREADLE_SOURCE/examples" -B "$work/cmake" -G Ninja -DCMAKE_PREFIX_PATH="$tree"
quietly cmake --build "$work/cmake"

export PKG_CONFIG_PATH=$tree/lib/pkgconfig
quietly cc -std=c99 -o "$work/classify" "$TREADLE_SOURCE/examples/classify.c" \
  $(pkg-config --cflags --libs treadle) -Wl,-rpath,"$tree/lib" -lm

"$TREADLE_PYTHON" "$TREADLE_SOURCE/tests/c_api/color_model.py" "$work"
for program in "$work/cmake/classify" "$work/classify"; do
  answer=$(env -i "$program" "$work/color.onnx" "$work/green.ppm" "$work/labels.txt")
  echo "$answer"
  [[ $(head -1 <<< "$answer") == *green ]] || { echo "expected green first"; exit 1; }
done
env -i "$tree/bin/treadle" run "$work/color.onnx" --fill ones

"$TREADLE_PYTHON" "$TREADLE_SOURCE/examples/window_mean_model.py" "$work"
plugin=$work/cmake/libwindow_mean_plugin.so
if readelf -d "$plugin" | grep NEEDED | grep treadle; then
  echo "the plugin is linked with the library"
  exit 1
fi
answer=$(env -i "$tree/bin/treadle" run "$work/window_mean.onnx" --plugin "$plugin" \
  --shape x:1x8 --fill ones)
echo "$answer"
[[ $answer == *"[1, 6]"* ]] || { echo "expected an output [1, 6]"; exit 1; }

# A model trained on from C, through a file, and run again.
"$TREADLE_PYTHON" "$TREADLE_SOURCE/tests/c_api/train_model.py" "$work"
printf '1 2 0\n-1 0.5 0\n' | env -i "$work/cmake/fine_tune" "$work/line.onnx" "$work/tuned.onnx" 3
env -i "$tree/bin/treadle" run "$work/tuned.onnx" --fill ones
