#!/usr/bin/env bash
# Installs what building and testing Treadle need, once; run again, it only checks.
#   scripts/setup.sh [--bench]    --bench adds the peers that `make bench` measures against
# 1. the Debian packages of packages.txt (as root, or by sudo);
# 2. a Python virtual environment of requirements*.txt, outside the tree, in
#    ${TREADLE_DEPS:-${XDG_CACHE_HOME:-~/.cache}/treadle}/<hash>, linked as .deps in the checkout.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }
names() { sed 's/#.*//; /^[[:space:]]*$/d' "$1"; }

missing_packages() {
  local name
  for name in $(names "$here/packages.txt"); do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    say "not a Debian system: make sure that you have what $here/packages.txt names"
    return
  fi
  local missing as=()
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "missing Debian packages, and no sudo: install "$missing
    as=(sudo)
  fi
  as+=(env DEBIAN_FRONTEND=noninteractive)
  say "installing Debian packages:" $missing
  "${as[@]}" dpkg --configure -a
  "${as[@]}" apt-get -q -o DPkg::Lock::Timeout=600 update || say "apt-get update failed; trying the lists at hand"
  "${as[@]}" apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends $missing
}

# Debian's own Python where there is one: python3-venv belongs to it.
python=/usr/bin/python3
base=${TREADLE_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/treadle}

install_environment() {
  [ -x $python ] || python=$(command -v python3) || die "no python3"
  local key
  key=$({ $python -V; cat "$here"/requirements.txt "$here"/requirements-oracle.txt; } | sha256sum | cut -c1-12)
  env=$base/$key
  if [ ! -e "$env/.complete" ]; then
    say "making the Python environment $env"
    rm -rf "$env"
    $python -m venv "$env"
    "$env/bin/python" -m pip install -q --disable-pip-version-check -r "$here/requirements.txt"
    "$env/bin/python" -m pip install -q --disable-pip-version-check -r "$here/requirements-oracle.txt" ||
      say "onnxruntime could not be installed: the tests that compare with it will skip"
    touch "$env/.complete"
  fi
  ln -sfn "$env" "$root/.deps"
}

# The handwritten digits that a test and the demo train on.
install_digits() {
  . "$here/fetch.sh"
  fetch "$env/bin/python" scikit-learn==1.9.1 sklearn/datasets/data/digits.csv.gz "$env/digits.csv.gz" ||
    say "the digits could not be fetched: the test that trains on them will skip"
}

install_bench() {
  local stamp
  stamp=$env/.bench-$(sha256sum < "$here/requirements-bench.txt" | cut -c1-12)
  [ ! -e "$stamp" ] || return 0
  say "installing the peers of $here/requirements-bench.txt"
  "$env/bin/python" -m pip install -q --disable-pip-version-check -r "$here/requirements-bench.txt"
  touch "$stamp"
}

mkdir -p "$base"
exec 9> "$base/.lock"
flock 9
install_packages
install_environment
install_digits
[ "${1:-}" != --bench ] || install_bench
say "ready: .deps -> $env"
