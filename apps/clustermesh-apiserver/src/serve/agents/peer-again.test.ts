/** A peer is removed and added again while a stream is open. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "@isthmus/testing";
import { createFakeSource } from "../../testing/fake-source.js";
import { createMeshTls } from "../../testing/mesh-tls.js";
import { serveStream } from "../../testing/serve-stream.js";

test("a peer that is added again starts with a first sync: the position in Hello belonged to the removed one", async (t) => {
  const tls = await createMeshTls();
  t.after(() => tls.remove());
  const { east, sources, agent } = await serveStream(t, tls);
  const before = await agent();
  await until("in sync", () => before.source(1).inSync);
  before.close();
  const { position } = before.source(1);
  const one = await agent("n1", { sources: [{ clusterId: 1, floor: position, have: position }] });
  await until("the stream", () => one.states.some(({ clusterId }) => clusterId === 1));
  sources.remove(east);
  const again = createFakeSource(1, "east");
  again.restore();
  again.change({ "services/a/y": "another store" });
  sources.add(again);
  await until("a first sync of the peer that was added again", () => one.source(1).firstSyncs === 1);
  assert.deepEqual(one.keys(1), ["services/a/y"]);
  assert.deepEqual(again.asked, [], "no catch-up to the floor of the removed peer");
});
