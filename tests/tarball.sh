#!/usr/bin/env bash
# Packs the release binary, and uses the tarball as a user would, in an empty folder: tests/tarball.sh [BINARY]
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "tests/tarball.sh: $*" >&2; exit 1; }
haul=${1:-target/release/haul}
version=$("$haul" --version | cut -d' ' -f2)
host=$(rustc -vV | sed -n 's/^host: //p')
packed=$(packaging/tarball "$haul" "$host")
[ "$packed" = "target/dist/haul-$version-$host.tar.gz" ] || fail "the name is $packed"
first=$(sha256sum <"$packed")
packaging/tarball "$haul" "$host" >/dev/null
[ "$first" = "$(sha256sum <"$packed")" ] || fail "two runs differ"
(cd target/dist && sha256sum --quiet -c "${packed##*/}.sha256")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xzf "$packed"
root=$work/haul-$version-$host
# A PATH without this repository, and no settings.
cd "$work"
export PATH="$root:/usr/local/bin:/usr/bin:/bin" HAUL_HOME="$work/home" HOME="$work"
[ "$(command -v haul)" = "$root/haul" ] || fail "another haul is on the path"
[ "$(haul --version)" = "haul $version" ] || fail "another version"
haul upload "$root/README.md" --fields name
haul ls --jq '.[].name' | grep -Fx README.md >/dev/null || fail "the file is not listed"
haul get README.md -o copy.md -q && cmp copy.md "$root/README.md"
man --manpath="$root/man" haul-upload | grep '^HAUL-UPLOAD' >/dev/null || fail "no man page"
for shell in haul.bash _haul haul.fish; do
  [ -s "$root/completions/$shell" ] || fail "no completions/$shell"
done
[ -s "$root/LICENSE" ] || fail "no LICENSE"
echo "the tarball of haul $version works"
