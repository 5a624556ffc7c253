/**
 * Faults of a lab, seen by real traffic. The lab is its own: its supervisor is killed, and faults would disturb others. Not part
 * of `make test`: its probes wait for 0.7 s, which a busy machine exceeds (`make lab-faults`).
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { type FaultRecord, readRecords } from "./faults/records.js";
import { isAlive, isStopped, parentOf } from "./host/process.js";
import { run } from "./host/run.js";
import { waitFor } from "./host/wait.js";
import { downLab } from "./life/down.js";
import { type LabHandle, openLab } from "./life/handle.js";
import { remainsOf } from "./life/remains.js";
import { controlProcess, labStatus } from "./life/status.js";
import { inNetwork } from "./supervise/wrap.js";
import { countDatagrams, sendDatagrams } from "./testing/datagrams.js";
import { type KeptLab, keepLab } from "./life/keep-lab.js";
import { kubectl, LAB_MAIN, labCommand, rowOf } from "./testing/lab-user.js";

const NAME = `faults-${process.pid}`;

let lab: LabHandle;
let kept: KeptLab;
before(async () => {
  kept = await keepLab({ name: NAME, clusters: ["east", "west"], nodes: 1, bare: false });
  lab = await openLab(NAME);
});
after(() => kept.release());

/** Runs `mesh lab fault …`, which must succeed, and returns what it prints. */
async function fault(...words: readonly string[]): Promise<string> {
  const { code, out, err } = await labCommand("fault", "--name", NAME, ...words);
  assert.equal(code, 0, err);
  return out;
}

const records = (): Promise<FaultRecord[]> => readRecords(lab.paths.faults);

/** From a network namespace, named by a process in it, to a port. */
interface Way {
  readonly pid: number;
  readonly address: string;
  readonly port: number;
}

async function ways() {
  const [east1, west1, east, west] = await Promise.all(["east-1", "west-1", "east", "west"].map(networkOf));
  const [range, kubelet, api] = [`10.${200 + lab.plan.index}`, 10_250, 6_443];
  const store = { address: lab.plan.underlay.storeAddress, port: 2_379 };
  return {
    "east-1 to west-1": { pid: east1 ?? 0, address: `${range}.2.1`, port: kubelet },
    "west-1 to east-1": { pid: west1 ?? 0, address: `${range}.1.1`, port: kubelet },
    "east-1 to west": { pid: east1 ?? 0, address: `${range}.0.2`, port: api },
    "west-1 to west": { pid: west1 ?? 0, address: `${range}.0.2`, port: api },
    "west to the store": { pid: west ?? 0, ...store },
    "east to the store": { pid: east ?? 0, ...store },
  } satisfies Record<string, Way>;
}

/** Pid of the process that keeps the network namespace of a node or a control plane alive. */
async function networkOf(place: string): Promise<number> {
  return (await rowOf(lab, place.includes("-") ? "node" : "control-plane", place)).pid;
}

async function connects({ pid, address, port }: Way): Promise<boolean> {
  const command = run(inNetwork(pid, ["timeout", "0.7", "bash", "-c", `</dev/tcp/${address}/${port}`]));
  return await command.then(
    () => true,
    () => false,
  );
}

async function connect(way: Way): Promise<void> {
  const { address, port } = way;
  await waitFor(`${address}:${port}`, () => connects(way), { timeoutMs: 30_000, everyMs: 50 });
}

/** Names of the ways that do not connect now. */
async function brokenWays(all: Record<string, Way>): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(all).map(async ([name, way]) => ((await connects(way)) ? [] : [name])),
  );
  return found.flat();
}

async function allConnect(): Promise<void> {
  await Promise.all(Object.values(await ways()).map(connect));
}

const WEST = ["east-1 to west-1", "west-1 to east-1", "east-1 to west", "west-1 to west", "west to the store"];

test("a dark cluster is cut off with its control plane, its node is mute to both; clear ends it", async () => {
  await allConnect();
  await fault("dark", "west");
  assert.deepEqual(await brokenWays(await ways()), WEST);
  assert.match(await fault("list"), /^ID +FAULT +LEFT\n1 +dark west +\d+(\.\d)?s\n$/);
  assert.equal(await fault("clear", "1"), "Fault 1 (dark west) is over\n");
  await allConnect();
  assert.equal(await fault("list"), `Lab "${NAME}" has no fault\n`);
});

test("a dark node stays dark when it reboots, and of two faults each ends alone", async () => {
  await fault("node", "west/west-1");
  const node = ["east-1 to west-1", "west-1 to east-1", "west-1 to west"];
  assert.deepEqual(await brokenWays(await ways()), node);
  await fault("path", "east", "west");
  assert.deepEqual(await brokenWays(await ways()), [
    "east-1 to west-1",
    "west-1 to east-1",
    "east-1 to west",
    "west-1 to west",
  ]);
  const before = await rowOf(lab, "kubelet", "west-1");
  await controlProcess(NAME, "kill", { role: "node", node: "west-1" });
  const isBack = async () => {
    const { status, pid } = await rowOf(lab, "kubelet", "west-1");
    return status === "Running" && pid !== before.pid;
  };
  await waitFor("the kubelet of west-1", isBack, { timeoutMs: 30_000 });
  const [{ id } = assert.fail("no fault")] = await records();
  assert.ok((await brokenWays(await ways())).includes("west-1 to west"));
  await fault("clear", String(id));
  await connect((await ways())["west-1 to west"]);
  assert.deepEqual(await brokenWays(await ways()), ["east-1 to west-1", "west-1 to east-1", "east-1 to west"]);
  await fault("clear", "--all");
  await allConnect();
});

test("a path is cut one way, for IPv4 and IPv6", async (t) => {
  const [east, west] = await Promise.all([networkOf("east-1"), networkOf("west-1")]);
  const [there, there6, back] = await Promise.all([
    countDatagrams(west, "udp4"),
    countDatagrams(west, "udp6"),
    countDatagrams(east, "udp4"),
  ]);
  t.after(() => {
    for (const counter of [there, there6, back]) counter.stop();
  });
  const all = await ways();
  const [toWest, toEast] = [all["east-1 to west-1"].address, all["west-1 to east-1"].address];
  // The link-local address that the kernel makes from the node's hardware address.
  const [a, b, c] = [200 + lab.plan.index, 2, 1].map((octet) => octet.toString(16).padStart(2, "0"));
  const toWest6 = `fe80::aff:fe${a}:${b}${c}%eth0`;
  const sendBoth = async (count: number) => {
    await Promise.all([sendDatagrams(east, "udp4", toWest, count), sendDatagrams(east, "udp6", toWest6, count)]);
  };
  await fault("path", "east/east-1", "west", "--one-way");
  await sendBoth(50);
  await sendDatagrams(west, "udp4", toEast, 50);
  await waitFor("the datagrams back", () => back.count() === 50, { timeoutMs: 10_000 });
  await fault("clear");
  await sendBoth(5);
  await waitFor("the datagrams there", () => there.count() >= 5 && there6.count() >= 5, { timeoutMs: 10_000 });
  assert.deepEqual([there.count(), there6.count()], [5, 5]);
});

test("a share of the packets is lost", async (t) => {
  const { pid: east, address } = (await ways())["east-1 to west-1"];
  const counter = await countDatagrams(await networkOf("west-1"), "udp4");
  t.after(() => counter.stop());
  await fault("loss", "east/east-1", "west/west-1", "40%");
  await sendDatagrams(east, "udp4", address, 500);
  await fault("clear");
  await sendDatagrams(east, "udp4", address, 1);
  // 300 of 500 pass, with a standard deviation of 11.
  await waitFor("the datagrams that pass", () => counter.count() > 230, { timeoutMs: 10_000 });
  assert.ok(counter.count() < 370, `${counter.count()} of 500 passed`);
});

test("a control plane is killed and stays down until the last of two faults ends; its node runs on", async () => {
  const before = await rowOf(lab, "kube-apiserver", "west");
  await fault("control-plane", "west");
  assert.ok(!isAlive(before));
  assert.deepEqual(await brokenWays(await ways()), ["east-1 to west", "west-1 to west"]);
  await fault("control-plane", "west");
  await fault("clear", String((await records())[0]?.id));
  const down = (await labStatus(NAME))
    .filter(({ status }) => status === "Held")
    .map(({ role, cluster }) => `${role} ${cluster}`);
  assert.deepEqual(down.sort(), [
    "clustermesh-apiserver west",
    "etcd west",
    "kube-apiserver west",
    "kube-controller-manager west",
    "kube-scheduler west",
  ]);
  await fault("clear");
  const answers = () => kubectl(lab, "west", "get", "--raw", "/readyz").catch(() => undefined);
  await waitFor("west's API server", answers, { timeoutMs: 60_000 });
});

test("hanging processes accept connections and do not answer, until their time is over", async () => {
  const kubelet = await rowOf(lab, "kubelet", "west-1");
  const answers = () =>
    kubectl(lab, "west", "get", "--raw", "/readyz", "--request-timeout=1s").then(
      () => true,
      () => false,
    );
  await fault("hang", "west", "kubelet", "--for", "1m");
  await fault("hang", "west", "kube-apiserver", "--for", "3s");
  assert.ok(isStopped(kubelet.pid));
  await connect((await ways())["west-1 to west"]);
  assert.equal(await answers(), false);
  await waitFor("west's API server", answers, { timeoutMs: 30_000 });
  await fault("clear");
  assert.ok(!isStopped(kubelet.pid));
  const wrapper = parentOf(kubelet.pid);
  assert.equal(wrapper?.command, "nsenter");
  await waitFor("the kubelet's wrapper", () => !isStopped(wrapper?.identity.pid ?? 0), { timeoutMs: 5_000 });
});

test("names, shares and times that are not possible are usage errors with the choices", async () => {
  const cases: [words: string[], sentence: RegExp][] = [
    [["dark", "north"], /^Unknown cluster "north" in lab ".+": use one of east, west\n$/],
    [["node", "west/west-7"], /^Unknown node "west-7" in lab ".+": use one of west-1\n$/],
    [["path", "east", "north"], /^Unknown cluster "north"/],
    [
      ["hang", "west", "nothing"],
      /^Unknown role "nothing" in cluster "west": use one of clustermesh-apiserver, containerd, /,
    ],
    [["dark", "west", "--for", "1000h"], /^Cannot use .+ for --for: write a duration from 100ms to 24h\n$/],
    [["clear", "99"], /^Unknown fault 99 in lab ".+": it has no fault\n$/],
  ];
  for (const [words, sentence] of cases) {
    const { code, err } = await labCommand("fault", "--name", NAME, ...words);
    assert.match(err, sentence);
    assert.equal(code, words[0] === "clear" ? 1 : 2, words.join(" "));
  }
  assert.deepEqual(await records(), []);
});

test("a fault whose guard is killed is ended by the next command", async () => {
  await fault("path", "east", "west");
  const [record = assert.fail("no fault")] = await records();
  process.kill(record.guard.pid, "SIGKILL");
  await waitFor("the guard's end", () => !isAlive(record.guard), { timeoutMs: 5_000, everyMs: 5 });
  assert.ok(!(await connects((await ways())["east-1 to west-1"])));
  const { err } = await labCommand("fault", "list", "--name", NAME);
  assert.equal(err, `Fault ${record.id} (path east west) is over: its guard had been killed\n`);
  await allConnect();
});

test("faults end by themselves after SIGKILL of the command and of the supervisor; down leaves nothing of others", async () => {
  const all = await ways();
  const kubelet = await rowOf(lab, "kubelet", "east-1");
  await fault("hang", "west", "etcd", "--for", "1h");
  await fault("hang", "east", "kubelet", "--for", "6s");
  const command = spawn(process.execPath, [LAB_MAIN, "fault", "dark", "west", "--for", "6s", "--name", NAME], {
    stdio: "ignore",
  });
  await waitFor("the fault's record", async () => (await records()).length === 3, { timeoutMs: 10_000, everyMs: 1 });
  command.kill("SIGKILL");
  await controlProcess(NAME, "kill", { role: "lab" });
  await waitFor("the dark", async () => !(await connects(all["east-1 to west"])), { timeoutMs: 10_000, everyMs: 1 });
  const guards = (await records()).map(({ guard }) => guard);
  assert.ok(isStopped(kubelet.pid));
  assert.deepEqual(await brokenWays(all), WEST);
  await waitFor("two faults to end", async () => (await records()).length === 1, { timeoutMs: 30_000 });
  assert.ok(isAlive(kubelet) && !isStopped(kubelet.pid));
  await Promise.all(Object.values(all).map(connect));
  assert.match(await fault("list"), /hang west etcd/);
  assert.equal(await downLab({ name: NAME }), true);
  assert.deepEqual(await remainsOf(lab.plan), []);
  assert.deepEqual(guards.filter(isAlive), []);
});
