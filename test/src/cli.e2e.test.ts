/** The CLI as a user runs it, against the two real clusters of the shared lab. The clusters are unconnected first, connected last. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CONFIG_MAPS, createKubeClient, createTransport, type KubeConfigMap, loadKubeAccess } from "@isthmus/kube";
import { controlProcess, wipe } from "@isthmus/lab";
import { type TestLab, testLab, unconnect } from "@isthmus/lab/testing";
import { waitFor } from "@isthmus/runtime";

const MESH = fileURLToPath(new URL("../../apps/mesh/bin/mesh.js", import.meta.url));

let lab: TestLab;
let name: string;
before(async () => {
  lab = await testLab();
  name = lab.plan.name;
  await unconnect(lab);
});
after(() => lab.release());

async function mesh(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const env = { ...process.env, KUBECONFIG: lab.kubeconfig, MESH_STORE: lab.storeFile };
  const child = spawn(process.execPath, [MESH, ...argv], { env, stdio: ["ignore", "pipe", "pipe"] });
  const text = { out: "", err: "" };
  child.stdout.on("data", (data: Buffer) => {
    text.out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    text.err += data.toString();
  });
  const [code] = (await once(child, "close")) as [number];
  return { code, ...text };
}

interface StatusJson {
  readonly ok: boolean;
  readonly hops: readonly {
    readonly from: string;
    readonly to: string;
    readonly hop: string;
    readonly ok: boolean;
    readonly storeId?: string;
  }[];
}

async function status(...argv: string[]): Promise<StatusJson & { code: number }> {
  const ran = await mesh("status", "-o", "json", ...argv);
  return { ...(JSON.parse(ran.out) as StatusJson), code: ran.code };
}

/** Status once the apiservers of both clusters have written their MeshCluster; nodes may be ready before that. */
async function statusOfBoth(): Promise<{ code: number; err: string }> {
  for (let tries = 0; tries < 60; tries++) {
    const ran = await mesh("status");
    if (/"west" has no/.test(ran.err) && /"east" has no/.test(ran.err)) return ran;
  }
  throw new Error("One of the clusters has no MeshCluster");
}

test("before connect, status reports the missing peers", async () => {
  const ran = await statusOfBoth();
  assert.equal(ran.code, 1);
  assert.match(ran.err, /"west" has no MeshPeer "east"\n.*run: mesh connect west east/);
});

test("connect connects the clusters; a second run changes nothing", async () => {
  const first = await mesh("connect", "east", "west");
  assert.equal(first.code, 0, first.err);
  assert.equal(first.out.match(/created/g)?.length, 6);
  const again = await mesh("connect", "east", "west");
  assert.equal(again.code, 0, again.err);
  assert.match(again.err, /Nothing to change/);
});

test("status --wait waits until each cluster follows the other, and prints a row per hop", async () => {
  const waited = await mesh("status", "--wait", "--timeout", "60s");
  assert.equal(waited.code, 0, waited.err);
  const { ok, hops } = await status();
  assert.equal(ok, true);
  const names = hops.map(({ from, to, hop }) => `${from} ${to} ${hop}`);
  for (const name of ["east store publish", "east west read", "west east read", "east west apply", "west west apply"])
    assert.ok(names.includes(name), name);
});

test("service list shows Services with their tiers, and local ones with their cluster", async () => {
  const listed = await mesh("service", "list", "--context", "west");
  assert.equal(listed.code, 0, listed.err);
  assert.match(listed.out, /^default\/kubernetes +10\.97\.0\.1:443\/TCP +1 +\[west 1\] +Done/m);
});

test("an apiserver that is down is a finding, and its rows are unknown", async () => {
  await controlProcess(name, "stop", { role: "clustermesh-apiserver", cluster: "east" });
  const ran = await mesh("status");
  assert.equal(ran.code, 1);
  assert.match(ran.out, /^east +store +publish +Unknown .*cannot tell$/m);
  assert.match(ran.err, /Cannot ask the admin API of cluster "east": no server answers/);
  await controlProcess(name, "start", { role: "clustermesh-apiserver", cluster: "east" });
  assert.equal((await mesh("status", "--wait", "--timeout", "60s")).code, 0);
});

test("an invalid mesh-config is a finding of status and connect; the last good one survives a restart", async (t) => {
  const transport = createTransport(loadKubeAccess({ kubeconfig: lab.kubeconfig, context: "east" }));
  const client = createKubeClient(transport);
  const at = { namespace: "mesh-system" };
  const patch = (podCidrs: string) =>
    client.mergePatch(CONFIG_MAPS, "mesh-config", { data: { "pod-cidrs": podCidrs } }, at);
  const before = (await client.get<KubeConfigMap>(CONFIG_MAPS, "mesh-config", at))?.data?.["pod-cidrs"] ?? "";
  t.after(() => patch(before).finally(() => transport.close()));
  const finding = /"pod-cidrs" is "junk": .*The last good values stay in force.*\n.*edit configmap mesh-config/;
  await patch("junk");
  const found = async () => (await mesh("status")).err;
  await waitFor("the finding", async () => finding.test(await found()), { timeoutMs: 30_000 });
  const dry = await mesh("connect", "east", "west", "--dry-run");
  assert.equal(dry.code, 1);
  assert.match(dry.err, finding);
  await controlProcess(name, "stop", { role: "clustermesh-apiserver", cluster: "east" });
  await controlProcess(name, "start", { role: "clustermesh-apiserver", cluster: "east" });
  const whole = async () => (await status()).hops.every(({ ok }) => ok);
  await waitFor("the mesh to be whole after the restart", whole, { timeoutMs: 30_000 });
  assert.match(await found(), finding);
  await patch(before);
  assert.equal((await mesh("status", "--wait", "--timeout", "60s")).code, 0);
});

test("a node whose agent is down is named, also after a restart of the apiserver; its Services are no longer Done", async () => {
  const node = "east-2";
  const finding = async (words: RegExp, timeoutMs: number) => {
    let last = "";
    const look = async () => {
      const ran = await mesh("status", "--context", "east");
      last = ran.err;
      return ran.code === 1 && words.test(ran.err);
    };
    await waitFor(`a finding like ${words}`, look, { timeoutMs, reason: () => last });
  };
  await controlProcess(name, "stop", { role: "node-agent", node });
  await finding(/east east-2: not connected for /, 30_000);
  const listed = await mesh("service", "list", "--context", "east");
  assert.match(listed.out, /^default\/kubernetes .* Applying: 1\/2 nodes/m);
  for (const action of ["stop", "start"] as const)
    await controlProcess(name, action, { role: "clustermesh-apiserver", cluster: "east" });
  await finding(/east east-2: no agent has connected for /, 90_000);
  await controlProcess(name, "start", { role: "node-agent", node });
  assert.equal((await mesh("status", "--wait", "--timeout", "60s")).code, 0);
  assert.match((await mesh("service", "list", "--context", "east")).out, /^default\/kubernetes .* Done/m);
});

test("a wiped store returns with its users: connect has nothing to do, and the mesh follows the new store", async () => {
  const storeOf = async () => (await status()).hops.find(({ hop }) => hop === "publish")?.storeId;
  const old = await storeOf();
  await wipe(name);
  await waitFor("another store id", async () => (await storeOf()) !== old, { timeoutMs: 60_000 });
  assert.equal((await mesh("status", "--wait", "--timeout", "60s")).code, 0);
  const again = await mesh("connect", "east", "west");
  assert.equal(again.code, 0, again.err);
  assert.match(again.err, /Nothing to change/);
});
