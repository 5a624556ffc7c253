/** Typed calls, reviews and Events against a real kube-apiserver. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock, until } from "@isthmus/testing";
import { createKubeClient, type KubeClient } from "./client.js";
import { loadKubeAccess, openKubeconfig } from "./config.js";
import { KubeError, statusError } from "./errors.js";
import { createEventRecorder } from "./event-recorder.js";
import type { KubeConfigMap, KubeObject } from "./objects.js";
import { CONFIG_MAPS, EVENTS, NAMESPACES, SERVICE_ACCOUNTS, SERVICES } from "./resources.js";
import { isAllowed, requestToken, reviewToken } from "./reviews.js";
import { type KubeServer, startKubeServer } from "./testing/kube-server.js";
import { type FaultyProxy, startProxy } from "./testing/proxy.js";
import { createTransport } from "./transport.js";

let server: KubeServer;
let client: KubeClient;
let proxy: FaultyProxy;
const namespace = "client";

before(async () => {
  server = await startKubeServer();
  client = createKubeClient(createTransport(loadKubeAccess({ kubeconfig: server.kubeconfig })));
  // The tests create objects at once, so the server must be ready.
  (await client.transport.stream({ method: "GET", path: "/readyz" })).destroy();
  proxy = await startProxy({ host: "127.0.0.1", port: server.port });
  await client.create(NAMESPACES, { metadata: { name: namespace } });
});

after(async () => {
  client?.transport.close();
  await proxy?.close();
  await server?.stop();
});

const map = (name: string, data: Record<string, string>): KubeConfigMap => ({ metadata: { namespace, name }, data });

test("create, get, apply, patch, replace, list and delete work; a missing object is undefined", async () => {
  assert.equal(await client.get(CONFIG_MAPS, "none", { namespace }), undefined);
  assert.equal(await client.delete(CONFIG_MAPS, "none", { namespace }), false);
  await client.create(CONFIG_MAPS, map("a", { x: "1" }));
  await assert.rejects(client.create(CONFIG_MAPS, map("a", {})), { status: 409 });
  await client.apply(CONFIG_MAPS, map("b", { y: "1" }), { manager: "test" });
  const patched = await client.mergePatch<KubeConfigMap>(
    CONFIG_MAPS,
    "a",
    { data: { x: null, z: "2" } },
    { namespace },
  );
  assert.deepEqual(patched.data, { z: "2" });
  await client.replace(CONFIG_MAPS, { ...patched, data: { only: "this" } });
  assert.deepEqual((await client.get<KubeConfigMap>(CONFIG_MAPS, "a", { namespace }))?.data, { only: "this" });
  const names = (await client.list(CONFIG_MAPS, { namespace })).map(({ metadata }) => metadata.name);
  assert.ok(names.includes("a") && names.includes("b"));
  const stale = { namespace, resourceVersion: patched.metadata.resourceVersion ?? "" };
  await assert.rejects(client.delete(CONFIG_MAPS, "a", stale), { status: 409 });
  assert.equal(await client.delete(CONFIG_MAPS, "a", { namespace }), true);
  await client.apply(CONFIG_MAPS, map("dry", {}), { manager: "test", dryRun: true });
  assert.equal(await client.get(CONFIG_MAPS, "dry", { namespace }), undefined);
});

test("a list of more objects than a page has (500) is complete", async () => {
  await client.create(NAMESPACES, { metadata: { name: "pages" } });
  await Promise.all(
    Array.from({ length: 510 }, (_, i) =>
      client.create(CONFIG_MAPS, { metadata: { namespace: "pages", name: `m${i}` } }),
    ),
  );
  const names = (await client.list(CONFIG_MAPS, { namespace: "pages" })).filter(({ metadata }) =>
    metadata.name?.startsWith("m"),
  );
  assert.equal(names.length, 510);
});

test("a refusal is a KubeError with its status; an unreachable server has another code", async () => {
  const nobody = createTransport(
    loadKubeAccess({ kubeconfig: server.writeKubeconfig("nobody", { token: "nobody-token" }) }),
  );
  await assert.rejects(createKubeClient(nobody).get(CONFIG_MAPS, "a", { namespace }), (error) => {
    assert.ok(error instanceof KubeError);
    assert.equal(error.status, 403);
    assert.match(error.message, /^Cannot GET ".*configmaps\/a": the Kubernetes API answers 403 Forbidden/);
    return true;
  });
  nobody.close();
  const dead = createTransport(loadKubeAccess({ kubeconfig: server.writeKubeconfig("dead", { port: 1 }) }));
  await assert.rejects(dead.json({ method: "GET", path: "/version" }), { code: "KUBE_UNREACHABLE" });
});

test("a deadline and a signal end a call; a pooled connection that the server closed is not an error", async () => {
  const transport = createTransport(
    loadKubeAccess({ kubeconfig: server.writeKubeconfig("slow", { port: proxy.port }) }),
  );
  await transport.json({ method: "GET", path: "/version" });
  proxy.reset();
  await transport.json({ method: "GET", path: "/version" });
  proxy.stall();
  await assert.rejects(transport.json({ method: "GET", path: "/version", timeoutMs: 50 }), /no answer within 50 ms/);
  const stop = new AbortController();
  const call = transport.json({ method: "GET", path: "/version", signal: stop.signal });
  stop.abort(new Error("not needed"));
  await assert.rejects(call, /not needed/);
  proxy.flow();
  transport.close();
});

test("a credential plugin that does not end does not delay the deadline of the call", async (t) => {
  const content = JSON.parse(readFileSync(server.kubeconfig, "utf8")) as { users: { user: object }[] };
  for (const each of content.users)
    each.user = { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "sleep", args: ["2"] } };
  const kubeconfig = join(server.folder, "plugin.kubeconfig");
  writeFileSync(kubeconfig, JSON.stringify(content));
  const transport = createTransport(loadKubeAccess({ kubeconfig }));
  t.after(() => transport.close());
  await assert.rejects(transport.json({ method: "GET", path: "/version", timeoutMs: 50 }), /no answer within 50 ms/);
});

test("a token file of the kubeconfig is read for every request", async () => {
  const tokenFile = join(server.folder, "token");
  writeFileSync(tokenFile, "wrong");
  const transport = createTransport(loadKubeAccess({ kubeconfig: server.writeKubeconfig("token", { tokenFile }) }));
  await assert.rejects(transport.json({ method: "GET", path: "/api" }), (error) => {
    assert.ok(error instanceof KubeError && error.status === 401);
    assert.match(error.message, new RegExp(`does not accept the token in "${tokenFile}"; is it expired`));
    return true;
  });
  writeFileSync(tokenFile, "admin-token\n");
  await transport.json({ method: "GET", path: "/api" });
  transport.close();
});

test("contexts are listed; an unusable kubeconfig is a KUBE_CONFIG error", () => {
  const { names, current, namespace } = openKubeconfig(server.kubeconfig);
  assert.deepEqual({ names, current }, { names: ["test"], current: "test" });
  assert.equal(namespace("test"), "default");
  const file = join(server.folder, "namespaced");
  const contexts = [{ name: "shop", context: { cluster: "c", user: "u", namespace: "shop" } }];
  writeFileSync(file, JSON.stringify({ contexts, clusters: [], users: [] }));
  assert.equal(openKubeconfig(file).namespace("shop"), "shop");
  assert.throws(() => loadKubeAccess({ kubeconfig: "/nowhere" }), { code: "KUBE_CONFIG" });
  assert.throws(() => loadKubeAccess({ kubeconfig: server.kubeconfig, context: "other" }), { code: "KUBE_CONFIG" });
});

test("a token has the identity of its ServiceAccount and the permissions that RBAC grants", async () => {
  await client.create(SERVICE_ACCOUNTS, { metadata: { namespace, name: "asker" } });
  const { token, expires } = await requestToken(client, namespace, "asker", 600);
  assert.ok(expires > Date.now());
  const who = await reviewToken(client, token);
  assert.equal(who?.username, `system:serviceaccount:${namespace}:asker`);
  assert.ok(who !== undefined);
  assert.equal(await isAllowed(client, who, { verb: "get", group: "", resource: "secrets", namespace }), false);
  assert.equal(await reviewToken(client, "nonsense"), undefined);
});

test("an Event is written once and counted after a restart of its writer; a long note is cut", async () => {
  const service = await client.create(SERVICES, {
    metadata: { namespace, name: "cart" },
    spec: { ports: [{ port: 80 }] },
  } as KubeObject);
  const event = {
    resource: SERVICES,
    namespace,
    name: "cart",
    uid: service.metadata.uid ?? "",
    type: "Warning",
    reason: "InvalidAnnotation",
    action: "Validate",
    note: `Cannot use it: ${"x".repeat(3000)}`,
  } as const;
  for (let start = 0; start < 2; start++) {
    const recorder = createEventRecorder(
      { controller: "isthmus.io/test", instance: "i" },
      { client, log: silentLogger },
    );
    recorder.report(event);
    recorder.report(event);
    await recorder.settled();
  }
  type Event = KubeObject & { readonly note?: string; readonly series?: { readonly count: number } };
  const events = async () =>
    (await client.list<Event>(EVENTS, { namespace })).filter(({ note }) => note?.startsWith("Cannot use it"));
  await until("one Event", async () => (await events()).length === 1);
  const [written] = await events();
  assert.equal(written?.series?.count, 2);
  assert.equal(Buffer.byteLength(written?.note ?? ""), 1024);
});

test("an Event accepts any text, and one without an answer does not delay another", async () => {
  const recorder = createEventRecorder(
    { controller: "isthmus.io/test", instance: "i" },
    {
      client: {
        ...client,
        create: (resource, object, target) =>
          "reason" in object && object.reason === "Stuck"
            ? new Promise(() => undefined)
            : client.create(resource, object, target),
      },
      log: silentLogger,
    },
  );
  const about = { resource: SERVICES, namespace, name: "gone", uid: "u", type: "Warning", action: "Merge" } as const;
  recorder.report({ ...about, reason: "Stuck", note: "never answered" });
  recorder.report({ ...about, reason: "Hostile", note: `\u001b[2J\u202e\n${"\u9375".repeat(1 << 20)}` });
  type Event = KubeObject & { readonly note?: string; readonly reason?: string };
  const find = async () => (await client.list<Event>(EVENTS, { namespace })).find(({ reason }) => reason === "Hostile");
  await until("it is written", async () => (await find()) !== undefined, 4000);
  const note = (await find())?.note ?? "";
  assert.match(note, /^\\u\{1b\}\[2J\\u\{202e\}\\u\{a\}\u9375+…$/);
  assert.ok(Buffer.byteLength(note) <= 1024);
});

test("an Event is retried while the API does not answer, and not after a refusal", async () => {
  const outcomes: (Error | undefined)[] = [];
  const created: string[] = [];
  const clock = createFakeClock();
  const create = async (_: unknown, object: KubeObject) => {
    created.push(object.metadata.name ?? "");
    const error = outcomes.shift();
    if (error !== undefined) throw error;
    return object;
  };
  const stop = new AbortController();
  const recorder = createEventRecorder(
    { controller: "isthmus.io/test", instance: "i" },
    { client: { ...client, create } as KubeClient, log: silentLogger, clock, signal: stop.signal },
  );
  const report = (note: string) =>
    recorder.report({
      ...{ resource: SERVICES, namespace, name: "web", uid: "u", type: "Warning" },
      ...{ action: "Validate", reason: "Test", note },
    } as const);
  const noAnswer = new KubeError({ code: "KUBE_UNREACHABLE", server: "s" }, "no answer");
  const refused = statusError("POST", "/events", 403, "{}");
  const busy = statusError("POST", "/events", 429, "{}");
  const after = async (tries: number) => {
    await until(`${tries} tries`, async () => {
      await clock.advance(1000);
      return created.length >= tries;
    });
    for (let i = 0; i < 60; i++) await clock.advance(1000);
    assert.equal(created.length, tries);
  };
  // An expired token is read again for the next call.
  const expired = statusError("POST", "/events", 401, "{}");
  outcomes.push(noAnswer, busy, expired, undefined);
  report("a");
  await after(4);
  outcomes.push(refused);
  report("b");
  await after(5);
  outcomes.push(...Array.from({ length: 20 }, () => noAnswer));
  report("c");
  await after(12);
  report("c");
  await until("it is written when it is reported again", () => created.length === 13);
  stop.abort();
  await recorder.settled();
});

test("errors bound the text of an API's answer and ignore fields that are not text", () => {
  const body = JSON.stringify({ reason: "r".repeat(1 << 20), message: "m".repeat(50 << 20) });
  assert.ok(statusError("GET", "/version", 403, body).message.length < 3_000);
  const odd = statusError("GET", "/version", 403, JSON.stringify({ reason: { a: 1 }, message: ["x"] }));
  assert.match(odd.message, /answers 403$/);
  assert.match(statusError("GET", "/version", 403, "null").message, /answers 403$/);
});
