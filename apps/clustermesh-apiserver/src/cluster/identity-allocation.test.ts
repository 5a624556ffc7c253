import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { labelSetKey, MAX_LOCAL } from "@isthmus/identity";
import { KubeError, type KubeObject, MESH_CLUSTERS, type Resource } from "@isthmus/kube";
import { createLogger, createMetrics } from "@isthmus/observe";
import { createEmitter } from "@isthmus/runtime";
import { createFakeClock } from "@isthmus/testing";
import { createFakeLeadership } from "../testing/fake-leadership.js";
import { identityFacts } from "./identities/identity-facts.js";
import { createIdentityAllocation } from "./identity-allocation.js";
import { createTestIdentities, FIRST_NUMBER, identityLabels, LOCAL } from "./testing/test-identities.js";

const HOUR = 3_600_000;
const WEB = identityLabels("web");
const API = identityLabels("api");

type Body = {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly spec?: object;
  readonly status?: object;
};

/** A Kubernetes API with one MeshCluster; `watch` gets each object that was written, undefined when it is gone. */
function fakeApi() {
  const objects = new Map<
    string,
    { metadata: { name: string; resourceVersion: string }; spec?: object; status?: object }
  >();
  const changes = createEmitter<string>();
  const writes: string[] = [];
  const state: { fail: ((write: string) => "lost" | "refused" | "unanswered" | undefined) | undefined } = {
    fail: undefined,
  };
  let version = 0;
  const status = (code: number) =>
    new KubeError({ code: "KUBE_STATUS", status: code, reason: "", path: "/p" }, `Cannot write: the answer is ${code}`);

  /** Performs a write, unless it is to fail before; "lost": it is done, and the answer does not come. */
  async function write<T>(text: string, run: () => T): Promise<T> {
    writes.push(text);
    const failure = state.fail?.(text);
    if (failure === "refused") throw status(403);
    if (failure === "unanswered") throw new KubeError({ code: "KUBE_UNREACHABLE", server: "s" }, "No answer");
    const done = run();
    if (failure === "lost") throw new KubeError({ code: "KUBE_UNREACHABLE", server: "s" }, "No answer");
    return done;
  }
  function put(name: string, object: object): KubeObject {
    const stored = { ...object, metadata: { name, resourceVersion: `${++version}` } };
    objects.set(name, stored);
    changes.emit(name);
    return stored as KubeObject;
  }
  function current(name: string, resourceVersion: string | undefined) {
    const object = objects.get(name);
    if (object === undefined) throw status(404);
    if (resourceVersion !== object.metadata.resourceVersion) throw status(409);
    return object;
  }
  put("east", { status: {} });
  return {
    ...{ objects, writes, state, onChange: changes.subscribe },
    cursor: () => (objects.get("east")?.status as { identityCursor?: number } | undefined)?.identityCursor,
    setCursor: (identityCursor: number) => void put("east", { status: { identityCursor } }),
    client: {
      get: async <T extends KubeObject>(_: Resource, name: string) => objects.get(name) as unknown as T,
      create: <T extends KubeObject>(_: Resource, object: T) =>
        write(`create ${object.metadata.name}`, () => {
          if (objects.has(object.metadata.name ?? "")) throw status(409);
          return put(object.metadata.name ?? "", object) as T;
        }),
      mergePatch: <T extends KubeObject>(resource: Resource, name: string, patch: unknown) => {
        const { metadata, ...fields } = patch as Body;
        const isReleased = (fields.spec as { releasedAt?: string } | undefined)?.releasedAt != null;
        const text = resource === MESH_CLUSTERS ? "reserve" : `${isReleased ? "release" : "revive"} ${name}`;
        return write(text, () => {
          const object = current(name, metadata?.resourceVersion);
          const spec = { ...object.spec, ...fields.spec };
          return put(name, { ...object, spec, status: { ...object.status, ...fields.status } }) as T;
        });
      },
      delete: (_: Resource, name: string, target?: { readonly resourceVersion?: string }) =>
        write(`delete ${name}`, () => {
          current(name, target?.resourceVersion);
          objects.delete(name);
          changes.emit(name);
          return true;
        }),
    },
  };
}

/** One instance that follows `api`. While `isPaused` its watch reports nothing. */
function instance(t: TestContext, api: ReturnType<typeof fakeApi>, clock: ReturnType<typeof createFakeClock>) {
  const table = createTestIdentities();
  const sets = createEmitter<readonly string[]>();
  const leadership = createFakeLeadership();
  const lines: string[] = [];
  const log = createLogger({ app: "t", level: "warn", destination: { write: (line) => void lines.push(line) } });
  const state = { isPaused: false, isVerified: true };
  const known = new Map<string, KubeObject>();
  const read = (name: string): void => {
    if (state.isPaused || name === "east") return;
    const object = api.objects.get(name) as KubeObject | undefined;
    const before = known.get(name);
    if (object !== undefined) {
      known.set(name, object);
      table.table.setIdentity(identityFacts(object));
    } else if (before !== undefined) {
      known.delete(name);
      table.table.deleteIdentity(identityFacts(before));
    }
    flush();
  };
  const flush = (): void => {
    table.flush();
    sets.emit(table.last().sets);
  };
  for (const name of api.objects.keys()) read(name);
  api.onChange(read);
  const controller = new AbortController();
  const metrics = createMetrics();
  const allocation = createIdentityAllocation(
    { cluster: LOCAL.cluster, id: LOCAL.id },
    {
      ...{ client: api.client, clock, log, metrics, leadership },
      identities: { ...table.table, onSets: sets.subscribe },
      isVerified: () => state.isVerified,
    },
  );
  const running = allocation.run(controller.signal);
  const stop = async (): Promise<void> => {
    controller.abort();
    await running;
  };
  t.after(stop);
  table.namespace("shop");
  flush();
  return {
    ...{ table, flush, leadership, lines, state, allocation, metrics, stop },
    pod(name: string, app: string) {
      table.pod({ name, labels: { app } });
      flush();
    },
    gone(name: string) {
      table.gone(`shop/${name}`);
      flush();
    },
    /** Takes what the watch did not report while it was paused. */
    resume() {
      state.isPaused = false;
      for (const name of new Set([...known.keys(), ...api.objects.keys()])) read(name);
    },
  };
}

function rig(t: TestContext) {
  const api = fakeApi();
  const clock = createFakeClock();
  const one = instance(t, api, clock);
  /** What was written since the last call, after every wait is over. */
  const settled = async (ms = 2000) => {
    await clock.advance(0);
    await clock.advance(ms);
    return api.writes.splice(0);
  };
  return { ...one, api, clock, settled };
}

const create = (n: number) => `create ${FIRST_NUMBER + n}`;
const labelsOf = (api: ReturnType<typeof fakeApi>, n: number) =>
  (api.objects.get(`${FIRST_NUMBER + n}`)?.spec as { labels?: object } | undefined)?.labels;

test("label sets get numbers in order, for all their pods, from one reservation", async (t) => {
  const { pod, settled, api, table, metrics, allocation } = rig(t);
  pod("web-1", "web");
  assert.deepEqual(await settled(), ["reserve", create(0)]);
  pod("web-2", "web");
  pod("api-1", "api");
  assert.deepEqual(await settled(), [create(1)]);
  assert.deepEqual([labelsOf(api, 0), labelsOf(api, 1)], [WEB, API]);
  assert.equal(api.cursor(), 256 + 15);
  assert.deepEqual([...table.own.keys()], [`identities/${FIRST_NUMBER}`, `identities/${FIRST_NUMBER + 1}`]);
  assert.match(await metrics.text(), /^mesh_identity_highest_number 257$/m);
  assert.equal(allocation.problem, undefined);
});

test("a number is released with its last pod, comes back with the next one, and is deleted after the quarantine", async (t) => {
  const { pod, gone, settled, api, clock } = rig(t);
  pod("web-1", "web");
  await settled();
  gone("web-1");
  assert.deepEqual(await settled(), [`release ${FIRST_NUMBER}`]);
  pod("web-1", "web");
  assert.deepEqual(await settled(), [`revive ${FIRST_NUMBER}`]);
  gone("web-1");
  assert.deepEqual(await settled(), [`release ${FIRST_NUMBER}`]);
  assert.deepEqual(await settled(HOUR - 60_000), []);
  assert.deepEqual(await settled(120_000), [`delete ${FIRST_NUMBER}`]);
  assert.equal(api.objects.size, 1);
  pod("web-1", "web");
  await clock.advance(2000);
  assert.deepEqual(labelsOf(api, 1), WEB, "another number: none is given twice");
});

test("an answer that is lost causes no second number, also while the watch is behind", async (t) => {
  const { pod, settled, api, state, resume } = rig(t);
  let isLost = false;
  api.state.fail = (write) => {
    if (!write.startsWith("create") || isLost) return undefined;
    isLost = true;
    return "lost";
  };
  state.isPaused = true;
  pod("web-1", "web");
  assert.deepEqual(await settled(), ["reserve", create(0), create(0)], "the same one is asked for again");
  assert.deepEqual(await settled(20_000), []);
  resume();
  pod("web-2", "web");
  assert.deepEqual(await settled(60_000), []);
});

test("while the watch is behind nothing is created twice", async (t) => {
  const { pod, gone, settled, state, resume, table } = rig(t);
  state.isPaused = true;
  pod("web-1", "web");
  assert.deepEqual(await settled(), ["reserve", create(0)]);
  gone("web-1");
  pod("web-1", "web");
  assert.deepEqual(await settled(5000), []);
  resume();
  assert.deepEqual(await settled(), []);
  assert.equal(table.own.size, 1);
});

test("two instances that both write end with one number in use for each label set", async (t) => {
  const { api, clock, pod, state, resume, settled, table } = rig(t);
  const other = instance(t, api, clock);
  for (const each of [state, other.state]) each.isPaused = true;
  pod("web-1", "web");
  other.pod("web-1", "web");
  await settled();
  assert.equal(api.objects.size, 3, "two numbers and the MeshCluster");
  resume();
  other.resume();
  await settled();
  assert.deepEqual(
    table.table
      .labelSet(labelSetKey(new Map(Object.entries(WEB))))
      .identities.map(({ releasedAtMs }) => releasedAtMs === undefined),
    [true, false],
  );
  await settled(HOUR + 60_000);
  assert.equal(api.objects.size, 2);
});

test("an instance that does not hold the Lease writes nothing, and does all that is due once it does", async (t) => {
  const { pod, settled, leadership } = rig(t);
  leadership.set(false);
  pod("web-1", "web");
  assert.deepEqual(await settled(60_000), []);
  leadership.set(true);
  assert.deepEqual(await settled(), ["reserve", create(0)]);
});

test("nothing is released or created while objects are read again", async (t) => {
  const { pod, gone, settled, state } = rig(t);
  pod("web-1", "web");
  await settled();
  state.isVerified = false;
  gone("web-1");
  assert.deepEqual(await settled(60_000), []);
  state.isVerified = true;
  assert.deepEqual(await settled(), [`release ${FIRST_NUMBER}`]);
});

test("without a MeshCluster label sets wait, and are numbered once it is there", async (t) => {
  const { pod, settled, api } = rig(t);
  const cluster = api.objects.get("east");
  api.objects.delete("east");
  pod("web-1", "web");
  assert.deepEqual(await settled(60_000), []);
  api.objects.set("east", cluster ?? assert.fail());
  assert.deepEqual(await settled(), ["reserve", create(0)]);
});

test("no number is used when the cursor is not kept, by the kind of an older version", async (t) => {
  const { pod, settled, api, allocation } = rig(t);
  const { mergePatch } = api.client;
  api.client.mergePatch = async <T extends KubeObject>(resource: Resource, name: string, patch: unknown) => {
    const { status: _pruned, ...rest } = patch as Body;
    return mergePatch<T>(resource, name, resource === MESH_CLUSTERS ? rest : patch);
  };
  pod("web-1", "web");
  await settled();
  assert.deepEqual([allocation.problem?.reason, api.objects.size], ["NotWritten", 1]);
  assert.match(allocation.problem?.message ?? "", /apply deploy\/base/);
  api.client.mergePatch = mergePatch;
  await settled(60_000);
  assert.deepEqual([allocation.problem, api.objects.size], [undefined, 2]);
});

test("when all numbers were given, that is the problem until no pod needs one; others go on", async (t) => {
  const { pod, gone, settled, api, allocation, lines } = rig(t);
  api.setCursor(MAX_LOCAL - 1);
  pod("web-1", "web");
  await settled();
  assert.ok(api.objects.has(`${(1 << 20) + MAX_LOCAL}`), "the last one is given");
  for (const n of [1, 2, 3]) pod(`api-${n}`, `api${n}`);
  assert.deepEqual(await settled(), []);
  assert.equal(allocation.problem?.reason, "Exhausted");
  assert.match(allocation.problem?.message ?? "", /all 1048320 numbers of cluster 1 were given/);
  assert.equal(lines.length, 1, "logged once for all");
  gone("web-1");
  assert.deepEqual(await settled(), [`release ${(1 << 20) + MAX_LOCAL}`]);
  for (const n of [1, 2, 3]) gone(`api-${n}`);
  assert.equal(allocation.problem, undefined);
});

test("refused writes are logged once, tried at a pace however many label sets wait, and end with the refusal", async (t) => {
  const { pod, settled, api, allocation, lines, table } = rig(t);
  api.state.fail = (write) => (write.startsWith("create") ? "refused" : undefined);
  for (let n = 0; n < 200; n++) pod(`p${n}`, `app${n}`);
  const writes = await settled(60_000);
  assert.ok(writes.length < 400, `${writes.length} writes in a minute`);
  assert.equal(lines.length, 1);
  assert.equal(allocation.problem?.reason, "NotWritten");
  api.state.fail = undefined;
  await settled(60_000);
  assert.equal(table.own.size, 200);
  assert.equal(allocation.problem, undefined);
});

test("a label set that no identity can hold is the problem, and does not stop others", async (t) => {
  const { pod, table, flush, settled, allocation } = rig(t);
  table.pod({ name: "big", labels: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`l${i}`, ""])) });
  flush();
  pod("web-1", "web");
  assert.deepEqual(await settled(), ["reserve", create(0)]);
  assert.equal(allocation.problem?.reason, "TooManyLabels");
  assert.match(allocation.problem?.message ?? "", /"shop\/big" has 304 labels/);
});
