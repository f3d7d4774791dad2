#!/usr/bin/env bash
# Runs the steps of action.yml as a runner would, with the wheel in target/wheels: tests/action.sh. Requires that
# tests/wheel.sh has run.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "tests/action.sh: $*" >&2; exit 1; }
node=$PWD/target/tools/node
[ -d "$node/node_modules/yaml" ] || fail "the package yaml is missing: tests/workflows.sh installs it"
wheel=$(echo "$PWD"/target/wheels/haul_cli-*.whl)
[ -s "$wheel" ] || fail "no wheel: tests/wheel.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/path" "$work/output"
export GITHUB_PATH="$work/path" GITHUB_OUTPUT="$work/output" RUNNER_TEMP="$work" GITHUB_ACTION_PATH="$PWD"
export HAUL_HOME="$work/home" HOME="$work" PIP_NO_INDEX=1 ACTION="$PWD/action.yml"
# shellcheck disable=SC2016 # The action's bash expands it.
export INPUT_PACKAGE="$wheel" INPUT_VERSION='' INPUT_RUN='echo content > note.txt
haul upload note.txt --fields name
test "$(haul cat note.txt)" = content
haul info no-such.txt
echo "not reached"'

# Runs the steps, each with its variables. An expression in `${{ }}` is an input; a condition compares an input with ''.
cat >"$work/steps.mjs" <<'STEPS'
import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
const yaml = createRequire(`${process.argv[2]}/`)("yaml");
const { inputs, runs } = yaml.parse(readFileSync(process.env.ACTION, "utf8"));
if (runs.using !== "composite") throw new Error(`using: ${runs.using}`);
const input = (name) => {
  if (!(name in inputs)) throw new Error(`no input ${name}`);
  return process.env[`INPUT_${name.toUpperCase()}`] ?? inputs[name].default;
};
const fill = (text) => text.replace(/\$\{\{ inputs\.([a-z]+) \}\}/g, (_, name) => input(name));
for (const step of runs.steps) {
  const condition = /^inputs\.([a-z]+) != ''$/.exec(step.if ?? "");
  if (step.if && !condition) throw new Error(`if: ${step.if}`);
  if (condition && input(condition[1]) === "") continue;
  if (step.shell !== "bash") throw new Error(`shell: ${step.shell}`);
  const added = readFileSync(process.env.GITHUB_PATH, "utf8").split("\n").filter(Boolean).reverse();
  const env = { ...process.env, PATH: [...added, process.env.PATH].join(":") };
  for (const [name, value] of Object.entries(step.env ?? {})) env[name] = fill(value);
  const { status } = spawnSync("bash", ["-eo", "pipefail", "-c", fill(step.run)], {
    env, cwd: process.env.RUNNER_TEMP, stdio: "inherit",
  });
  if (status !== 0) process.exit(status);
}
STEPS
# The second-to-last command fails, so the step must end with its exit code.
status=0
node "$work/steps.mjs" "$node" >"$work/log" 2>&1 || status=$?
cat "$work/log"
[ "$status" = 3 ] || fail "the action ended with $status"
grep -Fx note.txt "$work/log" >/dev/null || fail "nothing was uploaded"
! grep -F 'not reached' "$work/log" >/dev/null || fail "it continued after an error"
! grep -F 'warning' "$work/log" >/dev/null || fail "it warns"
grep -E '^version=[0-9.]+$' "$work/output" >/dev/null || fail "no version"
echo "the action works"
