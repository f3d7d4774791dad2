#!/usr/bin/env bash
# Runs the `sh` blocks of the documents for users and the commands of their YAML blocks: tests/readme.sh [BINARY]
#
# Each page runs with an empty home, a folder with a few files, and platforms emulated by `haul serve`; then once more
# among files whose names contain spaces, quotes and newlines. Not run here: blocks that build haul (tests/docs checks
# their commands), that install a release, or that use pytest (tests/clients/run); and pages for contributors.
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
# The user's own settings must not apply.
while IFS= read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(HAUL|XAI|REPLICATE|ACTIVELOOP|METORIAL|LLAMA_CLOUD|OPENAI)_')
export PATH="$work/bin:$PATH"

# Writes each block to a file PAGE.NN.LANGUAGE, in page order: shell blocks unchanged, YAML blocks as lines of commands.
pages=()
for page in README.md docs/*.md docs/platforms/*.md; do
  case $page in docs/architecture.md | docs/adding-a-platform.md) continue ;; esac
  pages+=("$(basename "$(dirname "$page")")-$(basename "$page" .md)")
  awk -v out="$work/blocks/${pages[-1]}." '
    $0 == "```sh" || $0 == "```yaml" { language = substr($0, 4); file = sprintf("%s%02d.%s", out, ++n, language); next }
    $0 == "```" { language = ""; inside = 0 }
    language == "sh" { print > file }
    language == "yaml" && /^ *- run: / { sub(/^ *- run: /, ""); print > file; next }
    language == "yaml" && /^ *script:$/ { inside = 1; next }
    language == "yaml" && inside && /^ *- / { sub(/^ *- /, ""); print > file; next }
    language == "yaml" { inside = 0; if (/haul [a-z]/) { print "no command of a runner: " $0 > "/dev/stderr"; exit 1 } }
  ' "$page"
done

shellcheck --shell=bash --severity=style "$work"/blocks/*

# run_page PAGE FOLDER NAME...: runs the blocks of a page in a new folder with these files, with a new home.
count=0
run_page() {
  local page=$1 folder=$2 block
  shift 2
  compgen -G "$work/blocks/$page.*" > /dev/null || return 0
  mkdir -p "$folder/docs"
  cd "$folder"
  echo report > report.pdf
  for name in "$@"; do echo "$name" | tee "./$name" > "docs/$name"; done
  # Names that xAI, which some blocks use, does not accept.
  if [ "$#" -gt 2 ]; then for name in "${refused[@]}"; do echo "$name" > "./$name"; done; fi
  HAUL_HOME=$(mktemp -d "$work/home.XXXXXX")
  export HAUL_HOME
  # The repository that the CI jobs push to.
  git init --quiet && git init --quiet --bare "$folder.git" && git remote add origin "$folder.git"
  echo the-token > "$work/typed"
  for name in *.pdf; do echo "$name" | haul upload --quiet --ids --type text/plain "--name=${name%.pdf}" - > /dev/null; done
  for block in "$work/blocks/$page".*; do
    if grep -qE '^(cargo|sudo|just|uv|tar) |pytest' "$block"; then continue; fi
    echo "-- ${block##*/}: $(grep -v '^[#s]' "$block" | head -1)"
    local only=()
    # Shell blocks have one platform; CI blocks have all.
    case $block in *.sh) only=(--only xai) ;; esac
    haul serve --ephemeral "${only[@]}" -- bash -euo pipefail "$block" < "$work/typed" > "$work/out" 2> "$work/err" || {
      cat "$work/out" "$work/err" >&2
      echo "a block of $page failed" >&2
      return 1
    }
    count=$((count + 1))
  done
}

# shellcheck disable=SC2016 # Names that must not be executed.
hostile=('with  two spaces.pdf' ' leading and trailing .pdf' "quote'.pdf" '-dash.pdf' '--yes.pdf' 'star*.pdf' 'local:other.pdf' 'é日本.pdf'
  '$(touch carried-out).pdf' '`touch carried-out`.pdf')
refused=($'new\nline.pdf' $'tab\there.pdf' 'quote".pdf' 'back\slash.pdf' 'semi;colon&.pdf')
for page in "${pages[@]}"; do
  run_page "$page" "$work/plain/$page" report.pdf scans.pdf
  run_page "$page" "$work/hostile/$page" "${hostile[@]}"
done

# The results of the recipes for scripts among the hostile names.
cd "$work/hostile/docs-scripts"
[ ! -e carried-out ]
jq -e --argjson wanted $((2 * ${#hostile[@]} + ${#refused[@]} + 1)) 'length == $wanted' uploaded.json > /dev/null
[ "$(wc -l < infos.jsonl)" = "$(jq length uploaded.json)" ]
[ "$(wc -l < removed.txt)" = "$(jq length uploaded.json)" ]

echo "$count runs of blocks of the documents"
[ "$count" -ge 30 ]
