import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReportedEvent } from "@isthmus/kube";
import { createLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { createMissingCluster } from "./missing-cluster.js";

test("a MeshCluster that is missing for a while is an Event on mesh-config, and is logged once with what to do", async (t) => {
  const clock = createFakeClock();
  const lines: string[] = [];
  const reported: ReportedEvent[] = [];
  const object: { missing: string | undefined } = { missing: "it is about to be created" };
  const task = createMissingCluster("east", "mesh-system", {
    ...{ object, clock, settings: { uid: "u" } },
    events: { report: (event) => void reported.push(event), settled: async () => undefined },
    log: createLogger({ app: "t", level: "info", destination: { write: (line) => void lines.push(line) } }),
  });
  const stop = new AbortController();
  const running = task.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) await clock.advance(1000);
  };
  await pass(8);
  object.missing = undefined;
  await pass(10);
  assert.deepEqual([reported, lines], [[], []], "it was created");

  object.missing = 'set "service-cidrs" in mesh-config';
  await pass(30);
  const [event] = reported;
  assert.ok(reported.length > 1 && event !== undefined);
  assert.deepEqual(event, {
    ...{ type: "Warning", reason: "NoMeshCluster", action: "Create", uid: "u", namespace: "mesh-system" },
    ...{ name: "mesh-config", resource: event.resource },
    note: 'MeshCluster "east" does not exist, so pods with new labels get no identity: set "service-cidrs" in mesh-config',
  });
  assert.equal(event.resource.kind, "ConfigMap");
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /service-cidrs.*There is no MeshCluster/);
  object.missing = undefined;
  await pass(10);
  assert.match(lines[1] ?? "", /There is a MeshCluster again/);
});
