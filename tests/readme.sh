#!/usr/bin/env bash
# Runs the `sh` blocks of the README, and the `haul` lines of its YAML blocks against `haul serve`: tests/readme.sh BINARY
# The two blocks that build are left to whoever calls this: they have run already.
set -euo pipefail
cd "$(dirname "$0")/.."
haul=$(realpath "${1:-target/release/haul}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/in"
ln -s "$haul" "$work/bin/haul"
export PATH="$work/bin:$PATH" HAUL_HOME="$work/home"

# blocks LANGUAGE: writes each block of that language to $work/LANGUAGE.N
blocks() {
  awk -v lang="$1" -v out="$work/$1." '
    $0 == "```" lang { inside = 1; n++; next }
    $0 == "```" { inside = 0 }
    inside { print > (out n) }' README.md
}
blocks sh
blocks yaml
count=0
cd "$work/in"
for block in "$work"/sh.*; do
  if grep -q '^cargo ' "$block"; then continue; fi
  echo "-- ${block##*/}"
  command -v shellcheck >/dev/null && shellcheck --shell=bash "$block"
  bash -euo pipefail "$block"
  count=$((count + 1))
done

mkdir -p docs && echo one > docs/a.pdf && echo two > report.pdf
for block in "$work"/yaml.*; do
  # `- run: haul …` and `- haul …`: the lines that a runner would execute.
  sed -nE 's/^ *- (run: )?(haul .*)$/\2/p' "$block" > "$block.lines"
  while IFS= read -r line; do
    echo "-- $line"
    case $line in
      # tests/clients/run has pytest and the client that this one needs, and runs it.
      *pytest*) continue ;;
      *) haul serve --ephemeral -- bash -euo pipefail -c "$line" ;;
    esac
    count=$((count + 1))
  done < "$block.lines"
done
echo "$count README blocks and lines ran"
[ "$count" -gt 2 ]
