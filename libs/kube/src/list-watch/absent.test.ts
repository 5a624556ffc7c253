/** A resource that does not exist: before its CRD is installed, and after that is deleted. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { until } from "@isthmus/testing";
import { createKubeClient } from "../client.js";
import { loadKubeAccess } from "../config.js";
import { statusError } from "../errors.js";
import type { KubeObject } from "../objects.js";
import { CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, type Resource } from "../resources.js";
import { startKubeServer } from "../testing/kube-server.js";
import { createScriptedApi } from "../testing/scripted-api.js";
import { createTransport, type Transport } from "../transport.js";
import { createListWatch } from "./list-watch.js";

const ROCKETS: Resource = {
  group: "space.example",
  version: "v1",
  plural: "rockets",
  kind: "Rocket",
  namespaced: false,
};
const CRD = {
  metadata: { name: "rockets.space.example" },
  spec: {
    group: "space.example",
    scope: "Cluster",
    names: { kind: "Rocket", listKind: "RocketList", plural: "rockets", singular: "rocket" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
  },
} as KubeObject;

/** A clock whose pauses are short, and which the test can advance. */
function hastyClock() {
  let ahead = 0;
  return {
    ...systemClock,
    now: () => systemClock.now() + ahead,
    delay: (ms: number, signal?: AbortSignal) => systemClock.delay(Math.min(ms, 20), signal),
    advance(ms: number) {
      ahead += ms;
    },
  };
}

function follow(t: TestContext, transport: Transport, clock = hastyClock()) {
  const restored = { count: 0 };
  const watch = createListWatch<string>(
    {
      resource: ROCKETS,
      whileAbsent: NAMESPACES,
      project: ({ metadata }) => metadata.name ?? "",
      retry: { minMs: 1, maxMs: 20 },
    },
    {
      ...{ transport, clock, log: silentLogger, onChange: () => undefined },
      onRestored: () => void restored.count++,
    },
  );
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  t.after(() => {
    stop.abort();
    return running;
  });
  return { watch, restored };
}

test("a resource without a CRD is empty and in sync at Kubernetes' version, and is followed once the CRD is there", async (t) => {
  const server = await startKubeServer();
  const client = createKubeClient(createTransport(loadKubeAccess({ kubeconfig: server.kubeconfig })));
  t.after(async () => {
    client.transport.close();
    await server.stop();
  });
  const { watch, restored } = follow(t, client.transport);
  await until("in sync", () => watch.inSync);
  assert.deepEqual([watch.items.size, watch.problem], [0, undefined]);
  const first = watch.position;
  const made = await client.create<KubeObject>(CONFIG_MAPS, { metadata: { namespace: "default", name: "later" } });
  const version = BigInt(made.metadata.resourceVersion ?? "0");
  assert.ok(first > 0n && first < version);
  assert.equal(await watch.reach(version), "reached");
  assert.equal(await watch.reach(version + 1_000_000n), "beyond");

  await client.create(CUSTOM_RESOURCE_DEFINITIONS, CRD);
  await until("the resource is there", () =>
    client.create(ROCKETS, { metadata: { name: "r1" } }).then(
      () => true,
      () => false,
    ),
  );
  await until("its object", () => watch.items.has("r1"));
  await client.delete(CUSTOM_RESOURCE_DEFINITIONS, CRD.metadata.name ?? "");
  await until("its object is gone", () => watch.items.size === 0);
  await until("it is looked at again", async () => (await watch.reach(watch.position)) === "reached");
  assert.deepEqual([watch.problem, watch.inSync, restored.count], [undefined, true, 0]);
});

test("objects that are known stay when their resource does not exist, until it has not existed for a minute", async (t) => {
  const api = createScriptedApi(() => 100);
  let exists = true;
  const missing = (path: string) => statusError("GET", path, 404, "404 page not found");
  let refused = 0;
  const isMissing = (path: string) => {
    const missing = !exists && path.includes("rockets");
    if (missing) refused++;
    return missing;
  };
  const transport: Transport = {
    ...api.transport,
    json: (request) => (isMissing(request.path) ? Promise.reject(missing(request.path)) : api.transport.json(request)),
    stream: (request) =>
      isMissing(request.path) ? Promise.reject(missing(request.path)) : api.transport.stream(request),
  };
  const clock = hastyClock();
  const { watch } = follow(t, transport, clock);
  await until("a stream", () => api.streams.length > 0);
  const metadata = { name: "r1", uid: "u", resourceVersion: "50" };
  const end = { resourceVersion: "60", annotations: { "k8s.io/initial-events-end": "true" } };
  api.streams[0]?.send({ type: "ADDED", object: { metadata } }, { type: "BOOKMARK", object: { metadata: end } });
  await until("in sync", () => watch.items.has("r1"));
  exists = false;
  api.streams[0]?.end();
  await until("the answer is a failure", () => watch.problem?.includes("404") === true);
  assert.ok(watch.items.has("r1"));
  clock.advance(59_000);
  const before = refused;
  await until("it is asked again, twice", () => refused > before + 1);
  assert.ok(watch.items.has("r1"));
  clock.advance(2_000);
  await until("it is gone", () => watch.items.size === 0);
  assert.deepEqual([watch.problem, watch.position], [undefined, 100n]);
});
