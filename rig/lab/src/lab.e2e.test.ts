/** The lab's commands, on the shared lab: every process runs again at the end of each test. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { isAlive } from "./host/process.js";
import { waitFor } from "./host/wait.js";
import { controlProcess } from "./life/status.js";
import { upLab } from "./life/up.js";
import { kubectl, LAB_MAIN, labCommand, rowOf } from "./testing/lab-user.js";
import { type TestLab, testLab } from "./testing/test-lab.js";

let lab: TestLab;
let name: string;
before(async () => {
  lab = await testLab();
  name = lab.plan.name;
});
after(() => lab.release());

test("each cluster has its nodes, whose pod ranges are from the cluster's range", async () => {
  for (const cluster of lab.plan.clusters) {
    const nodes = JSON.parse(await kubectl(lab, cluster.name, "get", "nodes", "-o", "json"));
    assert.deepEqual(
      nodes.items.map((node: { metadata: { name: string } }) => node.metadata.name),
      cluster.nodes.map((node) => node.name),
    );
    const prefix = cluster.podCidr.split(".").slice(0, 2).join(".");
    for (const { spec } of nodes.items) assert.ok(spec.podCIDR.startsWith(`${prefix}.`), spec.podCIDR);
  }
});

test("up of a running lab returns the same lab at once", async () => {
  const again = await upLab({ name });
  assert.deepEqual(again.plan, lab.plan);
});

test("up with another shape is an error that says what to do", async () => {
  await assert.rejects(upLab({ name, clusters: ["north"] }), /is up with clusters east,west of 2 nodes/);
});

test("ps lists every process with its pid; list shows the lab", async () => {
  const rows: { role: string; pid: number }[] = JSON.parse((await labCommand("ps", "--name", name, "-o", "json")).out);
  const count = (role: string) => rows.filter((each) => each.role === role).length;
  const once = ["lab", "mesh-etcd"];
  const ofClusters = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "clustermesh-apiserver"];
  const ofNodes = ["containerd", "kubelet", "node-agent"];
  assert.deepEqual([...once, ...ofClusters, ...ofNodes].map(count), [1, 1, 2, 2, 2, 2, 2, 4, 4, 4]);
  for (const { pid } of rows) process.kill(pid, 0);
  const labs: { name: string }[] = JSON.parse((await labCommand("list", "-o", "json")).out);
  assert.deepEqual(
    labs.find((each) => each.name === name),
    { name, status: "Running", clusters: ["east", "west"], nodes: 4 },
  );
});

test("a killed process is restarted with another pid, every time", async () => {
  for (let times = 0; times < 2; times++) {
    const before = await rowOf(lab, "kube-scheduler", "east");
    await controlProcess(name, "kill", { role: "kube-scheduler", cluster: "east" });
    const isBack = async () => {
      const now = await rowOf(lab, "kube-scheduler", "east");
      return now.status === "Running" && now.pid !== before.pid;
    };
    await waitFor("the scheduler", isBack, { timeoutMs: 20_000 });
    assert.ok(!isAlive(before));
  }
});

test("a stopped process stays down until it is started, even if it was suspended", async () => {
  const before = await rowOf(lab, "kubelet", "west-1");
  process.kill(before.pid, "SIGSTOP");
  await controlProcess(name, "stop", { role: "kubelet", node: "west-1" });
  assert.equal((await rowOf(lab, "kubelet", "west-1")).status, "Held");
  assert.ok(!isAlive(before));
  await controlProcess(name, "start", { role: "kubelet", node: "west-1" });
  assert.equal((await rowOf(lab, "kubelet", "west-1")).status, "Running");
});

test("an unknown role, cluster or node is a usage error with the choices", async () => {
  const cases: [words: string[], sentence: RegExp][] = [
    [["fly"], /Unknown command "lab fly": use one of up, down, /],
    [["kill", "nobody"], /Unknown role "nobody": use one of lab, kube-apiserver, /],
    [["logs", "nobody"], /Unknown role "nobody": use one of lab, kube-apiserver, /],
    [["kill", "kubelet", "--cluster", "north"], /Unknown cluster "north" in lab ".+": use one of east, west\n/],
    [["ps", "--node", "east-9"], /Unknown node "east-9" in lab ".+": use one of east-1, east-2, west-1, west-2\n/],
    [
      ["logs", "kubelet", "--cluster", "east", "--node", "west-1"],
      /Unknown node "west-1".+: use one of east-1, east-2\n/,
    ],
    [["exec", "north", "default/web", "--", "ls"], /Unknown cluster "north"/],
  ];
  for (const [words, sentence] of cases) {
    const { code, err } = await labCommand(...words.slice(0, 1), "--name", name, ...words.slice(1));
    assert.match(err, sentence);
    assert.equal(code, 2, words.join(" "));
  }
});

test("for a lab that does not exist the error lists those that do, exit 1", async () => {
  const { code, err } = await labCommand("ps", "--name", "not-there");
  assert.equal(code, 1);
  assert.match(err, new RegExp(`^Lab "not-there" does not exist \\(there are: .*${name}`));
});

test("logs -f prints what a process writes", async () => {
  const follow = spawn("node", [LAB_MAIN, "logs", "kubelet", "--node", "west-2", "--tail", "1", "-f", "--name", name]);
  const ended = new Promise((resolve) => follow.once("close", resolve));
  let seen = "";
  follow.stdout.on("data", (piece) => {
    seen += String(piece);
  });
  await waitFor("the last line so far", () => seen.includes("\n"), { timeoutMs: 20_000 });
  const lines = seen.length;
  await controlProcess(name, "kill", { role: "kubelet", node: "west-2" });
  await waitFor("what the new kubelet writes", () => seen.length > lines, { timeoutMs: 20_000 });
  follow.kill("SIGINT");
  assert.equal(await ended, 0);
});
