#!/usr/bin/env bash
# Builds the wheel `haul-cli`, installs it in a clean virtual environment without an index, uses it and removes it:
# tests/wheel.sh. After `cargo build --locked --release`, nothing is recompiled.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "tests/wheel.sh: $*" >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
tools=$PWD/target/tools/python
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1
[ -x "$tools/bin/maturin" ] || { python3 -m venv --clear "$tools" && "$tools/bin/pip" install maturin==1.16.0; }

rm -rf target/wheels
"$tools/bin/maturin" build --release --locked --out target/wheels
wheel=$(echo target/wheels/haul_cli-"$version"-py3-none-*.whl)
[ -s "$wheel" ] || fail "no wheel in target/wheels: $(ls target/wheels)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --no-index "$wheel"
cd "$work"
export PATH="$work/venv/bin:/usr/local/bin:/usr/bin:/bin" HAUL_HOME="$work/home" HOME="$work"
[ "$(command -v haul)" = "$work/venv/bin/haul" ] || fail "another haul is on the path"
[ "$(haul --version)" = "haul $version" ] || fail "another version"
echo content >note.txt
haul upload note.txt --fields name,size
[ "$(haul cat note.txt)" = content ] || fail "another content"
# The wheel also installs the license.
env -u PIP_QUIET "$work/venv/bin/pip" show --files haul-cli | grep -F licenses/LICENSE >/dev/null ||
  fail "no license"
"$work/venv/bin/pip" uninstall --yes haul-cli
[ ! -e "$work/venv/bin/haul" ] || fail "haul is still there"
echo "the wheel of haul $version works: ${wheel##*/}"
