/** Conditions on Services of a real kube-apiserver, beside those of other controllers. */
import assert from "node:assert/strict";
import { after, before, type TestContext, test } from "node:test";
import {
  createListWatch,
  type KubeClient,
  type KubeObject,
  type KubeService,
  type MeshCondition,
  NAMESPACES,
  SERVICES,
  statusError,
} from "@isthmus/kube";
import { type KubeServer, startKubeServer } from "@isthmus/kube/testing";
import { type Clock, type ServiceName, serviceName, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { until } from "@isthmus/testing";
import { type ServiceFacts, serviceFacts } from "../cluster/services/service-facts.js";
import type { Verdict } from "../objects/conditions.js";
import { createFakeLeadership } from "../testing/fake-leadership.js";
import { kubeClient } from "../testing/run-apiserver.js";
import { type ConditionedObject, createConditionWriter, FIELD_MANAGER } from "./condition-writer.js";

const namespace = "shop";
const TYPE = "mesh.isthmus.io/PortsMatched";
const MISMATCH: Verdict = { type: TYPE, status: "False", reason: "PortMismatch", message: 'Cannot use cluster "west"' };

let kube: KubeServer;
let admin: KubeClient;

before(async () => {
  kube = await startKubeServer();
  admin = kubeClient(kube.kubeconfig);
  await admin.create(NAMESPACES, { metadata: { name: namespace } });
});
after(async () => {
  admin?.transport.close();
  await kube?.stop();
});

async function service(name: string): Promise<ServiceName> {
  await admin.create(SERVICES, { metadata: { namespace, name }, spec: { ports: [{ port: 80 }] } } as KubeObject);
  return serviceName(namespace, name);
}

async function currentService(name: string): Promise<KubeService> {
  const found = await admin.get<KubeService>(SERVICES, name, { namespace });
  assert.ok(found !== undefined);
  return found;
}

const conditions = async (name: string) => (await currentService(name)).status?.conditions ?? [];
const meshCondition = async (name: string) => (await conditions(name)).find(({ type }) => type === TYPE);

function condition(type: string): MeshCondition {
  return { type, status: "True", reason: "Test", message: "", lastTransitionTime: "2026-01-01T00:00:00Z" };
}

async function applyStatus(name: string, manager: string, status: object): Promise<void> {
  const object = { metadata: { namespace, name }, status } as KubeService;
  await admin.apply(SERVICES, object, { manager, force: true, subresource: "status" });
}

/** One replica with its own watch. It wants the same conditions on all Services, or on those in `only`; writes are counted. */
async function replica(
  t: TestContext,
  wanted: readonly Verdict[],
  {
    kubeconfig = kube.kubeconfig,
    clock = systemClock,
    broken = () => false,
  }: { readonly kubeconfig?: string; readonly clock?: Clock; readonly broken?: (name: string) => boolean } = {},
) {
  const client = kubeClient(kubeconfig);
  const modules = { transport: admin.transport, clock, log: silentLogger };
  const watch = createListWatch({ resource: SERVICES, namespace, project: serviceFacts }, { ...modules, onChange });
  let frozen: ReadonlyMap<string, { readonly value: ServiceFacts }> | undefined;
  const object = (key: ServiceName): ConditionedObject | undefined => {
    const facts = (frozen?.get(key) ?? watch.items.get(key))?.value;
    const [namespace = "", name = ""] = key.split("/");
    return facts && { ...facts, resource: SERVICES, namespace, name };
  };
  const state = { writes: 0, wanted, only: new Set<string>() };
  const counting: KubeClient = {
    ...client,
    apply(resource, object, target) {
      state.writes++;
      const answer = '{"reason": "InternalError", "message": "failed calling webhook"}';
      if (broken(object.metadata.name ?? "")) return Promise.reject(statusError("PATCH", "/", 500, answer));
      return client.apply(resource, object, target);
    },
  };
  const leadership = createFakeLeadership();
  const writer = createConditionWriter({
    ...modules,
    leadership,
    client: counting,
    name: "Service conditions",
    object,
    wanted: (service: ServiceName) => (state.only.size === 0 || state.only.has(service) ? state.wanted : []),
  });
  function onChange({ sets }: { readonly sets: readonly { readonly key: string }[] }): void {
    for (const { key } of sets) if (watched.has(key)) writer.check(key as ServiceName);
  }
  const watched = new Set<string>();
  const stop = new AbortController();
  const running = Promise.all([watch.run(stop.signal), writer.run(stop.signal)]);
  t.after(async () => {
    stop.abort();
    await running.catch(() => undefined);
    client.transport.close();
  });
  await until("Services are known", () => watch.inSync);
  return {
    state,
    leadership,
    /** Checks this Service now and at every change. */
    follow(name: ServiceName) {
      watched.add(name);
      writer.check(name);
    },
    look: writer.check,
    /** Makes `services` return the current state until `thaw`. */
    freeze() {
      frozen = new Map(watch.items);
    },
    thaw() {
      frozen = undefined;
    },
    /** Waits until the watch has reported the current version of the Service. */
    async sawAll(name: string) {
      const { resourceVersion = "" } = (await currentService(name)).metadata;
      await until(
        "the watch has the current version",
        () => watch.items.get(`${namespace}/${name}`)?.version === BigInt(resourceVersion),
      );
    },
  };
}

test("without the Lease nothing is written; after its acquisition the waiting conditions are written", async (t) => {
  const name = await service("leased");
  const { state, leadership, follow } = await replica(t, [MISMATCH]);
  leadership.set(false);
  follow(name);
  await admin.mergePatch(SERVICES, "leased", { metadata: { labels: { seen: "yes" } } }, { namespace });
  const other = await replica(t, [MISMATCH]);
  const control = await service("control");
  other.follow(control);
  await until("another instance writes meanwhile", async () => (await meshCondition("control")) !== undefined);
  assert.equal(state.writes, 0);
  leadership.set(true);
  await until("the waiting condition is written", async () => (await meshCondition("leased")) !== undefined);
});

test("a condition is complete, and is written and removed without changing those of another controller", async (t) => {
  const name = await service("beside");
  await applyStatus("beside", "cloud", { conditions: [condition("cloud.example.org/Ready")] });
  const one = await replica(t, [MISMATCH]);
  one.follow(name);
  await until("written", async () => (await meshCondition("beside")) !== undefined);
  const { lastTransitionTime, ...rest } = (await meshCondition("beside")) ?? condition("");
  assert.deepEqual(rest, MISMATCH);
  assert.ok(Math.abs(Date.parse(lastTransitionTime) - Date.now()) < 60_000);
  const managers = (await currentService("beside")).metadata as { managedFields?: readonly { manager: string }[] };
  assert.deepEqual(managers.managedFields?.map(({ manager }) => manager).includes(FIELD_MANAGER), true);
  await applyStatus("beside", "cloud", { conditions: [{ ...condition("cloud.example.org/Ready"), reason: "Other" }] });
  one.state.wanted = [];
  one.look(name);
  await until("the condition is removed", async () => (await meshCondition("beside")) === undefined);
  assert.deepEqual(
    (await conditions("beside")).map(({ type, reason }) => [type, reason]),
    [["cloud.example.org/Ready", "Other"]],
  );
});

test("another message causes a write with the time of the transition; the same message causes none", async (t) => {
  const name = await service("quiet");
  const one = await replica(t, [MISMATCH]);
  one.follow(name);
  await until("written", async () => (await meshCondition("quiet")) !== undefined);
  const since = (await meshCondition("quiet"))?.lastTransitionTime;
  await one.sawAll("quiet");
  for (let i = 0; i < 10; i++) one.look(name);
  one.state.wanted = [{ ...MISMATCH, message: "two clusters" }];
  one.look(name);
  await until("the new message", async () => (await meshCondition("quiet"))?.message === "two clusters");
  assert.equal((await meshCondition("quiet"))?.lastTransitionTime, since);
  assert.equal(one.state.writes, 2);
});

test("two replicas write the same condition and then stop writing", async (t) => {
  const name = await service("two");
  const replicas = [await replica(t, [MISMATCH]), await replica(t, [MISMATCH])] as const;
  for (const each of replicas) each.follow(name);
  await until("written", async () => (await meshCondition("two")) !== undefined);
  // Writes in progress at that moment have ended once both replicas have processed a later change.
  for (const each of replicas) each.state.wanted = [];
  for (const each of replicas) each.look(name);
  await until("the condition is removed", async () => (await meshCondition("two")) === undefined);
  for (const each of replicas) await each.sawAll("two");
  const { resourceVersion } = (await currentService("two")).metadata;
  const writes = replicas.map(({ state }) => state.writes);
  for (const each of replicas) for (let i = 0; i < 10; i++) each.look(name);
  const other = await service("after-two");
  for (const each of replicas) {
    each.state.only.add(other);
    each.state.wanted = [MISMATCH];
    each.follow(other);
  }
  await until("something later is written", async () => (await meshCondition("after-two")) !== undefined);
  assert.equal((await currentService("two")).metadata.resourceVersion, resourceVersion);
  assert.ok(
    writes.every((count) => count <= 3),
    `${writes}`,
  );
});

test("an outdated condition of a previous process is removed", async (t) => {
  const name = await service("left");
  await applyStatus("left", FIELD_MANAGER, { conditions: [{ ...condition(TYPE), status: "False" }] });
  const one = await replica(t, []);
  one.follow(name);
  await until("the condition is removed", async () => (await meshCondition("left")) === undefined);
});

test("a condition that another field manager keeps is left to it", async (t) => {
  const name = await service("kept");
  for (const manager of [FIELD_MANAGER, "somebody"])
    await applyStatus("kept", manager, { conditions: [condition(TYPE)] });
  const one = await replica(t, []);
  one.follow(name);
  await until("the removal is written", () => one.state.writes === 1);
  await until("the field manager is removed", async () => {
    const { managedFields = [] } = (await currentService("kept")).metadata as {
      managedFields?: readonly { manager: string }[];
    };
    return !managedFields.some(({ manager }) => manager === FIELD_MANAGER);
  });
  await one.sawAll("kept");
  for (let i = 0; i < 10; i++) one.look(name);
  const other = await service("after-kept");
  one.state.only.add(other);
  one.state.wanted = [MISMATCH];
  one.follow(other);
  await until("something later is written", async () => (await meshCondition("after-kept")) !== undefined);
  assert.equal(one.state.writes, 2);
});

test("two replicas that disagree, as in an upgrade, write rarely", async (t) => {
  const name = await service("skew");
  let minutes = 0;
  let rounds = 0;
  // Periodic work runs continuously; the test decides when a minute is over.
  const clock: Clock = {
    ...systemClock,
    now: () => minutes * 60_000,
    delay(ms, signal) {
      if (ms >= 60_000) rounds++;
      return systemClock.delay(Math.min(ms, 20), signal);
    },
  };
  const old = await replica(t, [{ ...MISMATCH, message: "old words" }], { clock });
  const young = await replica(t, [MISMATCH], { clock });
  const replicas = [old, young];
  for (const each of replicas) each.follow(name);
  await until("each has written", () => replicas.every(({ state }) => state.writes > 0));
  const pause = async () => {
    const then = rounds + 20;
    await until("many rounds later", () => rounds > then);
    return old.state.writes + young.state.writes;
  };
  const before = await pause();
  assert.equal(await pause(), before);
  assert.ok(before <= 3, `${before} writes`);
  minutes = 2;
  await until("after a minute one writes again", () => old.state.writes + young.state.writes > before);
});

test("an object that was created again under the same name is not written before the watch reports it", async (t) => {
  const name = await service("again");
  const one = await replica(t, [MISMATCH]);
  one.freeze();
  await admin.delete(SERVICES, "again", { namespace });
  await service("again");
  one.look(name);
  await until("it has attempted a write", () => one.state.writes === 1);
  const other = await service("after-again");
  one.thaw();
  one.follow(other);
  await until("something later is written", async () => (await meshCondition("after-again")) !== undefined);
  assert.equal(one.state.writes, 2);
  assert.equal(await meshCondition("again"), undefined);
});

test("refused writes do not delay others, and succeed once they are permitted", async (t) => {
  const [first, second] = [await service("refused"), await service("permitted")];
  const refused = await Promise.all(Array.from({ length: 12 }, (_, i) => service(`refused-${i}`)));
  await permit("permitted");
  const one = await replica(t, [MISMATCH], {
    kubeconfig: kube.writeKubeconfig("nobody", { token: "nobody-token" }),
  });
  for (const each of [first, ...refused, second]) one.follow(each);
  await until("the permitted one is written", async () => (await meshCondition("permitted")) !== undefined);
  assert.equal(await meshCondition("refused"), undefined);
  await permit("refused");
  await until("and then the other", async () => (await meshCondition("refused")) !== undefined);
});

test("conditions that change continuously, as by a peer's ports, are written at growing intervals, and the last state is written", async (t) => {
  const name = await service("flapping");
  const one = await replica(t, [MISMATCH]);
  const end = performance.now() + 3000;
  for (let turn = 0; performance.now() < end; turn++) {
    one.state.wanted = turn % 2 === 0 ? [MISMATCH] : [];
    one.look(name);
    await systemClock.delay(20);
  }
  assert.ok(one.state.writes > 0 && one.state.writes <= 8, `${one.state.writes} writes in three seconds`);
  one.state.wanted = [MISMATCH];
  one.look(name);
  await until("the last state", async () => (await meshCondition("flapping")) !== undefined);
});

test("Services whose write a webhook refuses do not delay others", async (t) => {
  const broken = await Promise.all(Array.from({ length: 12 }, (_, i) => service(`broken-${i}`)));
  const one = await replica(t, [MISMATCH], { broken: (name) => name.startsWith("broken-") });
  for (const each of broken) one.follow(each);
  await until("their writes were attempted", () => one.state.writes >= 12);
  const fine = await Promise.all(Array.from({ length: 5 }, (_, i) => service(`whole-${i}`)));
  for (const each of fine) one.follow(each);
  for (const i of fine.keys())
    await until("it is written", async () => (await meshCondition(`whole-${i}`)) !== undefined, 4000);
  const tries = one.state.writes;
  await until("the refused writes are retried", () => one.state.writes > tries);
});

/** Allows user "nobody" to patch the status of this Service. */
async function permit(name: string): Promise<void> {
  const group = "rbac.authorization.k8s.io";
  const role = { group, version: "v1", plural: "roles", kind: "Role", namespaced: true };
  const metadata = { namespace, name };
  const rules = [{ apiGroups: [""], resources: ["services/status"], resourceNames: [name], verbs: ["patch"] }];
  await admin.create(role, { metadata, rules } as KubeObject);
  await admin.create({ ...role, plural: "rolebindings", kind: "RoleBinding" }, {
    metadata,
    roleRef: { apiGroup: group, kind: "Role", name },
    subjects: [{ kind: "User", name: "nobody" }],
  } as KubeObject);
}
