import assert from "node:assert/strict";
import { test } from "node:test";
import { withFiles } from "@isthmus/checks/testing";
import type { Command } from "@isthmus/mesh";
import { cliFindings, cliText, optionsRead } from "./cli.js";

const LIST: Command = {
  path: ["service", "list"],
  args: "NAME",
  summary: "show services",
  detail: "Two\nlines.",
  options: [
    { name: "output", short: "o", value: "FORMAT", summary: "table or json" },
    { name: "context", value: "NAME", multiple: true, summary: "which cluster" },
  ],
  examples: [{ says: "All", command: "mesh service list x" }],
  run: async () => 0,
};
const USAGE = "Usage: agent\n\n  --node NAME   its name\n  --node-root DIR\n                where\n";

test("a command and an option without a summary, and an exit code without a comment, are findings", () => {
  const bare = { ...LIST, summary: " ", options: [{ name: "all", summary: "" }] };
  assert.deepEqual(cliFindings([LIST, bare], [], [{ name: "0", meaning: "", fix: "" }]), [
    "mesh service list: has no summary",
    "mesh service list: option --all has no summary",
    "mesh: exit code 0 has no comment",
  ]);
});

test("an option that a daemon reads and its usage does not have is a finding", () => {
  const daemon = (...options: readonly string[]) => ({ name: "agent", usage: USAGE, options });
  assert.deepEqual(cliFindings([], [daemon("node", "node-root")], []), []);
  assert.deepEqual(cliFindings([], [daemon("node", "nod", "root")], []), [
    "agent: option --nod is not in its usage",
    "agent: option --root is not in its usage",
  ]);
});

test("the options that a source reads are those of its call of readOptions", () => {
  const source = `
    declare function readOptions<N extends string>(argv: string[], names: readonly N[]): Partial<Record<N, string>>;
    const NAMES = ["node", "health"] as const;
    export const values = readOptions([], [...NAMES, "listen"]);`;
  const read = withFiles({ "apps/a/src/x.ts": source }, (sources) => sources.flatMap(optionsRead));
  assert.deepEqual([...read].sort(), ["health", "listen", "node"]);
});

test("the page has usage, options, examples and exit codes of a command, and the usage of a daemon as printed", () => {
  const codes = [{ name: "0", meaning: "Done.", fix: "" }];
  const text = cliText([LIST], [{ name: "agent", usage: USAGE, options: [] }], codes);
  assert.match(text, /\| 0 \| Done\. \|/);
  assert.match(
    text,
    /### mesh service list\n\n`mesh service list NAME \[OPTIONS\]`\n\nShow services\.\n\nTwo lines\.\n/,
  );
  assert.match(
    text,
    /\| `-o`, `--output FORMAT` \| table or json \|\n\| `--context NAME` \| which cluster; several times/,
  );
  assert.match(text, /```sh\n# All\nmesh service list x\n```/);
  assert.match(text, /## agent\n\n```text\nUsage: agent\n/);
});
