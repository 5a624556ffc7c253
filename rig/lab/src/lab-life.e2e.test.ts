/**
 * Tests that would disturb the users of a shared lab: the lab is killed, wiped, rebooted and removed. They use their own lab of
 * one cluster and one node.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { text } from "./api/json.js";
import { ipJson } from "./host/links.js";
import { isAlive } from "./host/process.js";
import { run } from "./host/run.js";
import { waitFor } from "./host/wait.js";
import { DEMO_TAG } from "./images/lab-images.js";
import { downLab } from "./life/down.js";
import { type LabHandle, openLab } from "./life/handle.js";
import { remainsOf } from "./life/remains.js";
import { controlProcess, labStatus, wipe } from "./life/status.js";
import { useLab } from "./life/use-lab.js";
import { macOf } from "./plan/addresses.js";
import { type KeptLab, keepLab } from "./life/keep-lab.js";
import { kubectl, LAB_MAIN, labCommand, labCommandWith, rowOf } from "./testing/lab-user.js";

const NAME = `life-${process.pid}`;
const OTHER = `${NAME}-b`;
const SMALL = ["--clusters", "solo", "--nodes", "1"];

let lab: LabHandle;
let kept: KeptLab;
before(async () => {
  // The other mode is that of every other lab of the tests.
  kept = await keepLab({ name: NAME, clusters: ["solo"], nodes: 1, bare: false, datapathMode: "sockets" });
  lab = await openLab(NAME);
});
after(async () => {
  await kept.release();
  await downLab({ name: OTHER });
});

const etcdctl = (...args: string[]) => {
  const at = (file: string) => join(lab.paths.store.root, file);
  const endpoint = `https://${lab.plan.underlay.storeAddress}:2379`;
  const tls = ["--cacert", at("ca.crt"), "--cert", at("root.crt"), "--key", at("root.key")];
  return run([join(lab.bin, "etcdctl"), "--command-timeout=2s", "--endpoints", endpoint, ...tls, ...args]);
};

test("a wiped store is empty, requires certificates, and has its users again", async () => {
  await writeFile(lab.paths.store.users, JSON.stringify({ users: [{ name: "solo", id: 1 }] }));
  await etcdctl("put", "/mesh/v1/x", "1");
  await wipe(NAME);
  const users = await waitFor("the store", () => etcdctl("user", "list").catch(() => undefined), { timeoutMs: 20_000 });
  assert.deepEqual(users.trim().split("\n"), ["root", "solo"]);
  assert.equal(await etcdctl("get", "--prefix", "/"), "");
  assert.match(await etcdctl("role", "get", "solo"), /\[\/mesh\/v1\/c\/solo\/, \/mesh\/v1\/c\/solo0\)/);
  await assert.rejects(etcdctl("--cert", "", "--key", "", "get", "x"));
});

test("a node whose pid 1 is killed reboots: everything in it runs again under new pids, and the bridge keeps its hardware address", async () => {
  const underlay = await rowOf(lab, "underlay");
  const bridge = async () => text(await ipJson(underlay, ["link", "show", "br0"]), 0, "address");
  const before = await Promise.all([rowOf(lab, "containerd"), rowOf(lab, "kubelet")]);
  await controlProcess(NAME, "kill", { role: "node" });
  const areBack = async () => {
    const now = await Promise.all([rowOf(lab, "containerd"), rowOf(lab, "kubelet")]);
    return now.every(({ status, pid }, index) => status === "Running" && pid !== before[index]?.pid);
  };
  await waitFor("containerd and kubelet", areBack, { timeoutMs: 30_000 });
  await waitFor("the kubelet's port", () => accepts(lab.plan.clusters[0]?.nodes[0]?.address ?? "", 10_250), {
    timeoutMs: 20_000,
  });
  // Every neighbour has this hardware address for the control planes, whatever the addresses of the bridge's ports are.
  assert.equal(await bridge(), macOf(lab.plan.underlay.storeAddress));
});

async function accepts(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  const answers = [once(socket, "connect").then(() => true), once(socket, "error").then(() => false)];
  return await Promise.race(answers)
    .catch(() => false)
    .finally(() => socket.destroy());
}

test("two labs run side by side; Ctrl-C during up leaves nothing of the second", async () => {
  const up = spawn("node", [LAB_MAIN, "up", "--name", OTHER, ...SMALL, "--bare"], { stdio: "ignore" });
  const record = await waitFor("the second lab to begin", () => openLab(OTHER).catch(() => undefined), {
    timeoutMs: 30_000,
  });
  const rows = () => labStatus(OTHER).catch(() => []);
  await waitFor("its node", async () => (await rows()).some(({ role }) => role === "containerd"), {
    timeoutMs: 30_000,
  });
  assert.notEqual(record.plan.index, lab.plan.index);
  up.kill("SIGINT");
  const [exit] = await once(up, "exit");
  assert.equal(exit, 130);
  assert.deepEqual(await remainsOf(record.plan), []);
  assert.equal((await rowOf(lab, "kube-apiserver")).status, "Running");
});

test("up reports that the lab was taken down while it came up", async () => {
  const up = labCommand("up", "--name", OTHER, ...SMALL, "--bare");
  const rows = () => labStatus(OTHER).catch(() => []);
  await waitFor("its first process", async () => (await rows()).length > 1, { timeoutMs: 30_000 });
  await downLab({ name: OTHER });
  const { code, err } = await up;
  assert.equal(code, 1);
  assert.match(err, /^The lab was taken down before it was ready, or its supervisor was killed$/m);
});

test("up names a failed step with the end of its log, and takes down what it started", async (t) => {
  const bin = await mkdtemp(join(tmpdir(), "isthmus-bin-"));
  t.after(() => rm(bin, { recursive: true }));
  for (const program of await readdir(lab.bin)) await symlink(join(lab.bin, program), join(bin, program));
  await rm(join(bin, "kubelet"));
  await writeFile(join(bin, "kubelet"), "#!/bin/sh\necho 'no kubelet today'; exit 7\n", { mode: 0o755 });
  const { code, err } = await labCommandWith({ MESH_KUBE_BIN: bin }, "up", "--name", OTHER, ...SMALL, "--bare");
  assert.equal(code, 1, err);
  assert.match(err, /^Cannot bring lab ".+" up: step ".+" failed: "kubelet.solo-1" ended .*exit 7$/m);
  assert.match(err, /kubelet\.solo-1\.log:\n(no kubelet today\n)+/);
  assert.equal((await labCommand("ps", "--name", OTHER)).code, 1);
});

test("up succeeds after a crash of the machine, which leaves a folder with a partial record and no process", async () => {
  const paths = (await openLab(NAME)).paths;
  const folder = paths.root.replace(NAME, OTHER);
  await run(["mkdir", "-p", join(folder, "log")]);
  await writeFile(join(folder, "lab.json"), '{"plan": {"na');
  await run(["touch", "-d", "1 hour ago", folder, join(folder, "lab.json")]);
  const { code, err } = await labCommand("up", "--name", OTHER, ...SMALL, "--bare");
  assert.equal(code, 0, err);
  const { plan } = await openLab(OTHER);
  // A suspended supervisor does not delay `down` for long.
  process.kill((await labStatus(OTHER))[0]?.pid ?? 0, "SIGSTOP");
  assert.equal((await labCommand("down", "--name", OTHER)).code, 0);
  assert.deepEqual(await remainsOf(plan), []);
});

test("the lab of a test is taken down when the test is killed", async () => {
  const keep = fileURLToPath(new URL("./life/keep-lab.js", import.meta.url));
  const shape = JSON.stringify({ name: OTHER, clusters: ["solo"], nodes: 1, bare: true });
  const script = `const { keepLab } = await import(${JSON.stringify(keep)}); await keepLab(${shape}); console.log("up"); setInterval(() => {}, 1e6);`;
  const holder = spawn("node", ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  assert.equal(String((await once(holder.stdout, "data"))[0]), "up\n");
  const { plan } = await openLab(OTHER);
  holder.kill("SIGKILL");
  await waitFor("the lab to go", async () => (await remainsOf(plan)).length === 0, { timeoutMs: 30_000 });
});

test("a program uses the lab that is up, which stays up, or one of its own, which goes", async () => {
  const said: string[] = [];
  const options = { keep: false, onProgress: (sentence: string) => void said.push(sentence) };
  const shape = { clusters: ["solo"], nodes: 1, bare: true };
  await (await useLab({ ...shape, name: NAME }, options)).release();
  assert.equal((await rowOf(lab, "kube-apiserver")).status, "Running");
  assert.match(said.join("\n"), new RegExp(`^Lab "${NAME}" is up already\nLab "${NAME}" stays up: `));
  const used = await useLab({ ...shape, name: OTHER }, options);
  const { plan } = await openLab(OTHER);
  assert.equal((await labStatus(OTHER))[0]?.status, "Running");
  await used.release();
  assert.deepEqual(await remainsOf(plan), []);
});

test("after SIGKILL of the supervisor, down leaves nothing, with a pod still running", async () => {
  const mounts = async () =>
    (await readFile("/proc/mounts", "utf8")).split("\n").filter((line) => line.includes(`/${NAME}/`));
  await kubectl(lab, "solo", "run", "web", `--image=${DEMO_TAG}`, "--image-pull-policy=Never", "--", "httpd");
  await kubectl(lab, "solo", "wait", "pod/web", "--for=condition=Ready", "--timeout=60s");
  const kubelet = await rowOf(lab, "kubelet");
  process.kill(kubelet.pid, "SIGSTOP");
  await controlProcess(NAME, "kill", { role: "lab" });
  await assert.rejects(labStatus(NAME), /not running/);
  assert.notDeepEqual(await remainsOf(lab.plan), []);
  assert.equal(await downLab({ name: NAME }), true);
  assert.ok(!isAlive(kubelet));
  assert.deepEqual(await remainsOf(lab.plan), []);
  assert.deepEqual(await mounts(), []);
  assert.equal(await downLab({ name: NAME }), false);
});
