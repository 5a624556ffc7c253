/** A real lab, bare and small: comes up, is controlled, and goes without a trace, whoever was killed before. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { isAlive } from "./host/process.js";
import { waitFor } from "./host/wait.js";
import { downLab } from "./life/down.js";
import { type LabHandle, openLab } from "./life/handle.js";
import { remainsOf } from "./life/remains.js";
import { controlProcess, labStatus, wipe } from "./life/status.js";
import { upLab } from "./life/up.js";
import { PACKAGE_ROOT } from "./plan/paths.js";

const NAME = `e2e-${process.pid % 10_000}`;
const OTHER = `${NAME}-b`;
const MAIN = join(PACKAGE_ROOT, "dist/main.js");
const run = promisify(execFile);

let lab: LabHandle;
before(async () => {
  lab = await upLab({ name: NAME, clusters: ["east", "west"], nodes: 1, bare: true });
});
after(async () => {
  await downLab({ name: NAME });
  await downLab({ name: OTHER });
});

const row = async (role: string, cluster = "") => {
  const found = (await labStatus(NAME)).find((each) => each.role === role && each.cluster === cluster);
  assert.ok(found !== undefined, role);
  return found;
};
const kubectl = async (context: string, ...args: string[]) =>
  (await run(join(lab.bin, "kubectl"), ["--kubeconfig", lab.kubeconfig, "--context", context, ...args])).stdout;
const etcdctl = (...args: string[]) => {
  const at = (name: string) => join(lab.paths.store.root, name);
  const endpoint = `https://${lab.plan.underlay.storeAddress}:2379`;
  const tls = ["--cacert", at("ca.crt"), "--cert", at("root.crt"), "--key", at("root.key")];
  return run(join(lab.bin, "etcdctl"), ["--endpoints", endpoint, ...tls, ...args]);
};

test("each cluster has its node, with a range for pods from the cluster's own", async () => {
  for (const cluster of lab.plan.clusters) {
    const nodes = JSON.parse(await kubectl(cluster.name, "get", "nodes", "-o", "json"));
    assert.deepEqual(
      nodes.items.map((node: { metadata: { name: string } }) => node.metadata.name),
      [`${cluster.name}-1`],
    );
    const prefix = cluster.podCidr.split(".").slice(0, 2).join(".");
    assert.ok(nodes.items[0].spec.podCIDR.startsWith(`${prefix}.`), nodes.items[0].spec.podCIDR);
  }
});

test("up of a lab that is up answers at once with the same lab", async () => {
  const again = await upLab({ name: NAME });
  assert.deepEqual(again.plan, lab.plan);
});

test("up with another shape says how to get there", async () => {
  await assert.rejects(upLab({ name: NAME, clusters: ["north"] }), /is up with clusters east,west of 1 nodes/);
});

test("ps names every process with its pid", async () => {
  const rows: { role: string; pid: number }[] = JSON.parse(
    (await run("node", [MAIN, "ps", "--name", NAME, "-o", "json"])).stdout,
  );
  const count = (role: string) => rows.filter((each) => each.role === role).length;
  assert.deepEqual(
    [
      "lab",
      "mesh-etcd",
      "etcd",
      "kube-apiserver",
      "kube-controller-manager",
      "kube-scheduler",
      "containerd",
      "kubelet",
    ].map(count),
    [1, 1, 2, 2, 2, 2, 2, 2],
  );
  for (const { pid } of rows) process.kill(pid, 0);
});

test("a killed process comes back as another one", async () => {
  const before = await row("kube-scheduler", "east");
  await controlProcess(NAME, "kill", { role: "kube-scheduler", cluster: "east" });
  const isBack = async () => {
    const now = await row("kube-scheduler", "east");
    return now.status === "Running" && now.pid !== before.pid;
  };
  await waitFor("the scheduler", isBack, { timeoutMs: 20_000 });
  assert.ok(!isAlive(before));
});

test("a node whose pid 1 is killed reboots: everything in it runs again, under new pids", async () => {
  const before = await Promise.all([row("containerd", "east"), row("kubelet", "east")]);
  await controlProcess(NAME, "kill", { role: "node", cluster: "east" });
  const areBack = async () => {
    const now = await Promise.all([row("containerd", "east"), row("kubelet", "east")]);
    return now.every(({ status, pid }, index) => status === "Running" && pid !== before[index]?.pid);
  };
  await waitFor("containerd and kubelet", areBack, { timeoutMs: 30_000 });
  const host = lab.plan.clusters[0]?.nodes[0]?.address ?? "";
  const listens = async () => {
    const socket = connect({ host, port: 10_250 });
    return await once(socket, "connect")
      .then(
        () => true,
        () => false,
      )
      .finally(() => socket.destroy());
  };
  await waitFor("the kubelet's port", listens, { timeoutMs: 20_000 });
});

test("a stopped process stays down until it is started", async () => {
  const before = await row("kubelet", "west");
  await controlProcess(NAME, "stop", { role: "kubelet", cluster: "west" });
  assert.equal((await row("kubelet", "west")).status, "Held");
  assert.ok(!isAlive(before));
  await controlProcess(NAME, "start", { role: "kubelet", cluster: "west" });
  assert.equal((await row("kubelet", "west")).status, "Running");
});

test("a wiped store is empty, asks for certificates, and knows the users again", async () => {
  await writeFile(lab.paths.store.users, JSON.stringify({ users: [{ name: "east", id: 1 }] }));
  await etcdctl("put", "/mesh/v1/x", "1");
  await wipe(NAME);
  const isUp = () => etcdctl("user", "list").catch(() => undefined);
  const users = await waitFor("the store", isUp, { timeoutMs: 20_000 });
  assert.deepEqual(users.stdout.trim().split("\n"), ["east", "root"]);
  assert.equal((await etcdctl("get", "--prefix", "/")).stdout, "");
  const role = (await etcdctl("role", "get", "east")).stdout;
  assert.match(role, /\[\/mesh\/v1\/c\/east\/, \/mesh\/v1\/c\/east0\)/);
  const endpoint = `https://${lab.plan.underlay.storeAddress}:2379`;
  const cacert = join(lab.paths.store.root, "ca.crt");
  await assert.rejects(
    run(join(lab.bin, "etcdctl"), ["--command-timeout=2s", "--endpoints", endpoint, "--cacert", cacert, "get", "x"]),
  );
});

test("usage errors exit with 2, a lab that is not there with 1", async () => {
  const code = async (...args: string[]) =>
    await run("node", [MAIN, ...args]).then(
      () => 0,
      (error: { code: number }) => error.code,
    );
  assert.equal(await code("fly"), 2);
  assert.equal(await code("kill", "nobody", "--name", NAME), 2);
  assert.equal(await code("ps", "--name", "not-there"), 1);
  assert.equal(await code("kill", "kubelet", "--cluster", "north", "--name", NAME), 1);
});

test("two labs live side by side; Ctrl-C during up leaves nothing of the second", async () => {
  const up = spawn("node", [MAIN, "up", "--name", OTHER, "--nodes", "1", "--bare"], { stdio: "ignore" });
  const record = await waitFor("the second lab to begin", () => openLab(OTHER).catch(() => undefined), {
    timeoutMs: 30_000,
  });
  await waitFor(
    "its first node",
    async () => (await labStatus(OTHER).catch(() => [])).some(({ role }) => role === "containerd"),
    { timeoutMs: 30_000 },
  );
  assert.notEqual(record.plan.index, lab.plan.index);
  up.kill("SIGINT");
  const [exit] = await once(up, "exit");
  assert.equal(exit, 130);
  assert.deepEqual(await remainsOf(record.plan), []);
  assert.equal((await row("kube-apiserver", "east")).status, "Running");
});

test("after SIGKILL of the supervisor, down leaves nothing", async () => {
  const mounts = async () =>
    (await readFile("/proc/mounts", "utf8")).split("\n").filter((line) => line.includes("isthmus"));
  await controlProcess(NAME, "kill", { role: "lab" });
  await assert.rejects(labStatus(NAME), /not running/);
  assert.notDeepEqual(await remainsOf(lab.plan), []);
  assert.equal(await downLab({ name: NAME }), true);
  assert.deepEqual(await remainsOf(lab.plan), []);
  assert.deepEqual(await mounts(), []);
  assert.equal(await downLab({ name: NAME }), false);
});
