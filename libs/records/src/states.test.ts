/** The states as docs/design/sync.md shows them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NODE_SOURCE_STATES, PEER_STATES } from "./states.js";

test("docs/design/sync.md has a row for every state of a peer, and names every label of a node's source", () => {
  const page = readFileSync(new URL("../../../docs/design/sync.md", import.meta.url), "utf8");
  const section = page.split("\n## ").find((each) => each.startsWith("States\n")) ?? "";
  const rows = [...section.matchAll(/^\| (\w+) \|/gm)].map(([, first]) => first);
  assert.deepEqual(
    rows.filter((name) => name !== "State"),
    PEER_STATES.map(({ name }) => name),
  );
  for (const { label } of NODE_SOURCE_STATES) assert.ok(section.includes(`\`${label}\``), label);
});
