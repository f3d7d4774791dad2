#!/usr/bin/env bash
# Runs the `sh` blocks of the README and the commands of its YAML blocks: tests/readme.sh BINARY
#
# Each block runs in a folder with a few files, beside platforms that `haul serve` serves, and then once more among files whose
# names hold spaces, quotes and newlines. Left to others: the blocks that build, which stand in .ci/run and tests/package.sh, and
# those with pytest, which tests/clients/run has.
set -euo pipefail
cd "$(dirname "$0")/.."
haul=$(realpath "${1:-target/release/haul}")
for tool in shellcheck jq; do
  command -v "$tool" >/dev/null || { echo "tests/readme.sh: install $tool" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'echo "tests/readme.sh: line $LINENO failed" >&2' ERR
mkdir "$work/bin" "$work/blocks"
ln -s "$haul" "$work/bin/haul"
# Nobody's own settings count.
while IFS= read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(HAUL|XAI|REPLICATE|ACTIVELOOP|METORIAL|LLAMA_CLOUD|OPENAI)_')
export PATH="$work/bin:$PATH"

# Writes each block to a file of its own, in the order of the page: NN.sh as it is, of NN.yaml the commands, one a line.
awk -v out="$work/blocks/" '
  $0 == "```sh" || $0 == "```yaml" { language = substr($0, 4); file = sprintf("%s%02d.%s", out, ++n, language); next }
  $0 == "```" { language = ""; inside = 0 }
  language == "sh" { print > file }
  language == "yaml" && /^ *- run: / { sub(/^ *- run: /, ""); print > file; next }
  language == "yaml" && /^ *script:$/ { inside = 1; next }
  language == "yaml" && inside && /^ *- / { sub(/^ *- /, ""); print > file; next }
  language == "yaml" { inside = 0; if (/haul [a-z]/) { print "no command of a runner: " $0 > "/dev/stderr"; exit 1 } }
' README.md

for line in cargo sudo; do
  grep -h "^$line " "$work"/blocks/*.sh | while IFS= read -r line; do
    cat .ci/run tests/package.sh | grep -F -- "${line#sudo }" > /dev/null || {
      echo "tests/readme.sh: nobody runs this line of the README: $line" >&2
      exit 1
    }
  done
done

# run_all FOLDER: runs the blocks in it, with a home of its own.
run_all() {
  local block
  count=0
  cd "$1"
  HAUL_HOME=$(mktemp -d "$work/home.XXXXXX")
  export HAUL_HOME
  echo the-token > "$work/typed"
  for name in "${names[@]}"; do echo "$name" | haul upload --quiet --ids --type text/plain "--name=${name%.pdf}" - > /dev/null; done
  for block in "$work"/blocks/*; do
    if grep -qE '^cargo |pytest' "$block"; then continue; fi
    echo "-- ${block##*/}: $(grep -v '^[#s]' "$block" | head -1)"
    local only=()
    # In a shell one platform is at hand, in CI all are.
    case $block in *.sh) only=(--only xai) ;; esac
    haul serve --ephemeral "${only[@]}" -- bash -euo pipefail "$block" < "$work/typed" > "$work/out" 2> "$work/err" || {
      cat "$work/out" "$work/err" >&2
      echo "this block of the README failed" >&2
      return 1
    }
    count=$((count + 1))
  done
}

shellcheck --shell=bash --severity=style "$work"/blocks/*

mkdir -p "$work/plain/docs" "$work/hostile/docs"
names=(report.pdf scans.pdf)
cd "$work/plain"
for name in "${names[@]}"; do echo "$name" | tee "$name" > "docs/$name"; done
run_all "$work/plain"

# shellcheck disable=SC2016 # Names that must not be carried out.
names=('with  two spaces.pdf' ' leading and trailing .pdf' "quote'.pdf" '-dash.pdf' '--yes.pdf' 'star*.pdf' 'local:other.pdf' 'é日本.pdf'
  '$(touch carried-out).pdf' '`touch carried-out`.pdf')
cd "$work/hostile"
echo report > report.pdf
for name in "${names[@]}"; do echo "$name" > "docs/$name"; done
# What xAI, which some blocks use, does not take.
names+=($'new\nline.pdf' $'tab\there.pdf' 'quote".pdf' 'back\slash.pdf' 'semi;colon&.pdf')
for name in "${names[@]}"; do echo "$name" > "./$name"; done
run_all "$work/hostile"
[ ! -e carried-out ]
jq -e --argjson wanted $((2 * ${#names[@]} - 5 + 1)) 'length == $wanted' uploaded.json > /dev/null
[ "$(wc -l < infos.jsonl)" = "$(jq length uploaded.json)" ]
[ "$(wc -l < removed.txt)" = "$(jq length uploaded.json)" ]

echo "$count blocks of the README ran, twice"
[ "$count" -ge 7 ]
