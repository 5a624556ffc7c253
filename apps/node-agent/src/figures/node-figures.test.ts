/** What an agent reports as the figures of its node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DropReasonHelp } from "@isthmus/bpf";
import { nodeFigures } from "./node-figures.js";

test("maps and counters are reported, and counters of drop reasons as drops", () => {
  const counts = ["deliver", ...[...DropReasonHelp.values()].map(({ name }) => name)];
  const figures = nodeFigures({
    datapathMode: "packets",
    fill: () => [{ map: "mesh_conntrack_v2", used: 3, capacity: 1024 }],
    counters: { read: () => new Map(counts.map((name) => [name, { total: 5, lastMinute: 2 }])) },
  });
  assert.deepEqual(
    [figures.datapathMode, figures.maps],
    ["packets", [{ map: "mesh_conntrack_v2", used: 3, capacity: 1024 }]],
  );
  assert.deepEqual(figures.counters[0], { name: "deliver", total: 5n, lastMinute: 2n, isDrop: false });
  const drops = figures.counters.filter(({ isDrop }) => isDrop).map(({ name }) => name);
  assert.deepEqual(drops, counts.slice(1));
});
