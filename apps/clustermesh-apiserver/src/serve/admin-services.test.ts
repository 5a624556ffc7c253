import assert from "node:assert/strict";
import { test } from "node:test";
import type { MergedBackend, MergedFrontend } from "@isthmus/clustermesh";
import { parseAddress, parseClusterId, parseClusterName, serviceName } from "@isthmus/model";
import { Affinity } from "@isthmus/proto";
import { report } from "./admin-services.js";

const [EAST, WEST] = [parseClusterName("east"), parseClusterName("west")];

function backend(cluster: typeof EAST, address: string, state: "ready" | "serving" | "neither"): MergedBackend {
  const clusterId = parseClusterId(cluster === EAST ? 1 : 2);
  const [ready, serving] = [state === "ready", state === "serving"];
  return {
    cluster,
    clusterId,
    address: parseAddress(address),
    port: 80,
    protocol: 6,
    ready,
    serving,
    node: "",
    weight: 1,
  };
}

function frontend(changes: Partial<MergedFrontend>): MergedFrontend {
  return {
    service: serviceName("shop", "cart"),
    address: parseAddress("10.96.0.7"),
    port: 80,
    protocol: 6,
    portName: "http",
    global: true,
    tiers: [],
    keptOut: [],
    notes: [],
    ...changes,
  };
}

test("the first tier with a ready backend is active, else the first that still serves, else it is an error", () => {
  const [gone, old, good] = [
    backend(EAST, "10.11.0.1", "neither"),
    backend(EAST, "10.11.0.2", "serving"),
    backend(WEST, "10.12.0.1", "ready"),
  ];
  const active = (...tiers: readonly (readonly MergedBackend[])[]) => {
    const clusters = [[EAST], [WEST]] as const;
    const said = report(
      frontend({ tiers: tiers.map((backends, i) => ({ clusters: clusters[i] ?? [], backends })) }),
      Affinity.AFFINITY_LOCAL,
    );
    return [...said.tiers.map(({ active: is }) => is), said.status];
  };
  assert.deepEqual(active([old], [good]), [false, true, "Done"]);
  assert.deepEqual(active([old], []), [true, false, "Done"]);
  assert.deepEqual(active([gone], []), [false, false, "Error: no ready backend"]);
});

test("what keeps a cluster out stands with it in its tier; of one that no tier names it is a note", () => {
  const keptOut = [{ cluster: WEST, reason: "why not" }];
  const global = report(
    frontend({ tiers: [{ clusters: [EAST, WEST], backends: [] }], keptOut, notes: ["a note"] }),
    Affinity.AFFINITY_NONE,
  );
  assert.deepEqual(
    global.tiers.flatMap(({ clusters }) => clusters.map(({ cluster, keptOut: why }) => [cluster, why])),
    [
      ["east", ""],
      ["west", "why not"],
    ],
  );
  assert.deepEqual(global.notes, ["a note"]);
  const local = report(frontend({ tiers: [{ clusters: [EAST], backends: [] }], keptOut }), Affinity.AFFINITY_NONE);
  assert.deepEqual(local.notes, ["west: why not"]);
});
