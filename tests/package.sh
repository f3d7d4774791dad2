#!/usr/bin/env bash
# Inspects the release binary, builds the Debian package from it, installs it, uses it as a user would, and removes it:
# tests/package.sh. Run `cargo build --release` first. Requires cargo-deb, dpkg-dev, man, and zsh and fish.
#
# As root with HAUL_TEST_CI set, installs the package; otherwise unpacks it and points the shells at the files.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "tests/package.sh: $*" >&2; exit 1; }
trap 'fail "line $LINENO"' ERR
for tool in cargo-deb dpkg-deb dpkg-shlibdeps man zsh fish; do
  command -v "$tool" >/dev/null || fail "$tool is missing"
done
haul=target/release/haul
version=$("$haul" --version | cut -d' ' -f2)

# The binary depends only on glibc and libgcc_s.
others=$(ldd "$haul" | awk '{ sub(".*/", "", $1); print $1 }' | grep -vE '^(linux-vdso|libc|libm|libgcc_s|ld-linux[a-z0-9-]*)\.so\.' || true)
[ -z "$others" ] || fail "$haul links more than libc, libm and libgcc_s: $others"

rm -f target/debian/haul_*.deb
cargo deb --locked --offline --no-build --quiet
package=$(echo target/debian/haul_*.deb)
dpkg-deb --info "$package"

# Checks a size that the guide states, within a fifth.
about() {
  local stated bytes=$2
  stated=$(grep -oE "$1 [0-9]+ MB" docs/guide.md | grep -oE '[0-9]+')
  echo "docs/guide.md: $1 $stated MB; measured: $bytes bytes"
  [ $((bytes * 10)) -gt $((stated * 8000000)) ] && [ $((bytes * 10)) -lt $((stated * 12000000)) ] ||
    fail "docs/guide.md: \"$1\" is off by more than a fifth"
}
about "one file of about" "$(stat -c %s "$haul")"
about "the package is about" "$(stat -c %s "$package")"
[ "$(dpkg-parsechangelog -l packaging/changelog -S Version)" = "$(dpkg-deb --field "$package" Version)" ]
[[ $(dpkg-deb --field "$package" Version) == "$version"-* ]]

work=$(mktemp -d)
if [ "$(id -u)" = 0 ] && [ -n "${HAUL_TEST_CI:-}" ]; then
  root=
  trap 'dpkg --purge haul >/dev/null; rm -rf "$work"' EXIT
  apt-get install ./target/debian/haul_*.deb -qq -y
else
  root=$work/root
  trap 'rm -rf "$work"' EXIT
  dpkg-deb --extract "$package" "$root"
fi
export PATH="$root/usr/bin:$PATH" HAUL_HOME="$work/home" HOME="$work"
[ "$(command -v haul)" = "$root/usr/bin/haul" ]
[ "$(haul --version)" = "haul $version" ]
haul upload README.md --ids
haul ls --fields name

# The package contains every page of man/, and man displays them.
for page in man/*; do
  gzip -dc "$root/usr/share/man/man1/${page##*/}.gz" | cmp - "$page"
done
man --manpath="$root/usr/share/man" --where haul haul-upload
man --manpath="$root/usr/share/man" haul-meta-set | grep '^HAUL-META-SET' >/dev/null
for page in copyright changelog.gz changelog.Debian.gz; do
  [ -s "$root/usr/share/doc/haul/$page" ] || fail "no $page"
done
# The pages that the README links to are in the package, too.
for page in $(grep -oE '\]\(docs/[^)#]*' README.md | cut -c3- | sort -u); do
  [ -s "$root/usr/share/doc/haul/$page" ] || [ -s "$root/usr/share/doc/haul/$page.gz" ] || fail "no $page"
done

# Each shell finds its completions where Debian expects them, and they complete a command.
bash --norc -c '
  source "$1/usr/share/bash-completion/completions/haul"
  COMP_LINE="haul provi" COMP_POINT=10 COMP_WORDS=(haul provi) COMP_CWORD=1 COMP_TYPE=9
  function=$(complete -p haul | sed "s/.*-F \([^ ]*\).*/\1/")
  compopt() { :; }
  "$function" haul provi haul
  printf "%s\n" "${COMPREPLY[@]}"' - "$root" | grep '^providers' >/dev/null
# zsh loads the file at the first Tab, which must already complete.
# shellcheck disable=SC2016 # zsh expands it.
timeout 30 zsh -fc '
  zmodload zsh/zpty
  zpty tty zsh -f
  zpty -w tty "PS1=; fpath=($1/usr/share/zsh/vendor-completions \$fpath); autoload -Uz compinit; compinit -u -D; echo re\"\"ady"
  zpty -r -m tty seen "*ready*"
  zpty -w -n tty "haul provi$(printf "\t")"
  zpty -r -m tty seen "*ders*"' - "$root"
# shellcheck disable=SC2016 # fish expands it.
fish -c '
  set -q argv[1]; and test -n "$argv[1]"; and set fish_complete_path $argv[1]/usr/share/fish/vendor_completions.d
  complete -C "haul provi"' "$root" | grep '^providers' >/dev/null

if [ -z "$root" ]; then
  dpkg --purge haul
  [ ! -e /usr/bin/haul ] || fail "haul is still there"
  trap 'rm -rf "$work"' EXIT
fi
echo "the package of haul $version works"
