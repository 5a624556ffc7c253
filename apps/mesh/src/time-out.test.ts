/** A command ends within its time-out plus a second, or at the first Ctrl-C, whatever hangs. Each runs as a separate process. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { MESH_CLUSTERS } from "@isthmus/kube";
import { createStore, provisionStore } from "@isthmus/kvstore";
import { type EtcdServer, startEtcd } from "@isthmus/kvstore/testing";
import { AgentPresence, StatusResponse } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { runCli, startCli } from "./testing/child.js";
import { type Member, startTestCluster } from "./testing/member.js";
import { type SilentPeer, startSilentPeer, writeKubeconfig } from "./testing/silent.js";
import { writeStoreFile } from "./testing/store-file.js";

const folder = mkdtempSync(join(tmpdir(), "isthmus-silence-"));
const TIME = ["--timeout", "3s"];
/** Generous bound for a busy machine: the command must end at all. Its output shows that the time-out ended it. */
const BOUND_MS = 25_000;
let storeFile: string;
let silent: SilentPeer;
let etcd: EtcdServer;
let east: Member;

before(async () => {
  [silent, etcd, east] = await Promise.all([startSilentPeer(), startEtcd({ tls: true }), startTestCluster("east", 1)]);
  const owner = createStore(await etcd.options("root"));
  await provisionStore(owner).finally(() => owner.close());
  storeFile = await writeStoreFile(folder, etcd);
});

after(async () => {
  silent?.close();
  await Promise.all([etcd?.close(), east?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

const place = (member: Member) => ({
  server: `https://127.0.0.1:${member.server.port}`,
  ca: join(member.server.folder, "apiserver.crt"),
});
const silentPlace = () => ({ server: `https://127.0.0.1:${silent.port}` });
const env = (places: Parameters<typeof writeKubeconfig>[1]) => ({
  KUBECONFIG: writeKubeconfig(join(folder, "kubeconfig"), places),
  MESH_STORE: storeFile,
});
const adminAt = (address: string) =>
  east.client.mergePatch(MESH_CLUSTERS, "east", { status: { adminServers: [address] } }, { subresource: "status" });

test("status ends when a Kubernetes API accepts the connection and never answers", async () => {
  const places = env({ east: silentPlace(), west: silentPlace() });
  const codes = {
    status: 1,
    "status --wait": 3,
    "service list": 3,
    "service explain shop/web": 3,
    "policy list": 3,
    "policy explain --from shop/a --to shop/b:80": 3,
    "policy diff --delete netpol/web": 3,
    "identity list": 3,
    "connect east west": 3,
  };
  for (const [line, code] of Object.entries(codes)) {
    const ran = await runCli([...line.split(" "), ...TIME], places);
    assert.ok(ran.ms < BOUND_MS, `${line}: ${ran.ms} ms`);
    assert.match(ran.err, /no answer within 3s/, line);
    assert.equal(ran.code, code, `${line}: ${ran.err}`);
  }
});

test("status ends when a kube-apiserver is suspended", async () => {
  const places = env({ east: place(east) });
  east.server.signal("SIGSTOP");
  try {
    const ran = await runCli(["status", ...TIME], places);
    assert.ok(ran.ms < BOUND_MS, `${ran.ms} ms`);
    assert.match(ran.err, /fail +east: Cannot GET .*: no answer within 3s/);
    assert.equal(ran.code, 1);
  } finally {
    east.server.signal("SIGCONT");
  }
});

test("status --wait does not succeed while an agent has not connected", async () => {
  const agent = { node: "east-1", presence: AgentPresence.AGENT_PRESENCE_AWAITED, silentMs: 4000 };
  const before = east.answers.status;
  const nodes = { known: true, linux: 1, windows: 0, virtual: 0 };
  east.answers.status = StatusResponse.fromPartial({ ...before, nodes, agents: [agent] });
  try {
    const places = env({ east: place(east) });
    const look = await runCli(["status"], places);
    assert.match(look.err, /agents have not connected yet.*east-1\nIn sync: east\n$/);
    assert.equal(look.code, 0);
    const ran = await runCli(["status", "--wait", ...TIME], places);
    assert.match(ran.err, /agents have not connected yet.*east-1\nNot in sync within 3s\n$/);
    assert.equal(ran.code, 3);
  } finally {
    east.answers.status = before;
  }
});

test("status ends when the TLS handshake of an admin API never completes", async () => {
  await adminAt(`127.0.0.1:${silent.port}`);
  const places = env({ east: place(east) });
  for (const [line, code] of Object.entries({ status: 1, "service list": 3 })) {
    const ran = await runCli([...line.split(" "), "--timeout", "5s"], places);
    assert.ok(ran.ms < BOUND_MS, `${line}: ${ran.ms} ms`);
    assert.match(ran.err, /no server answers: 127\.0\.0\.1:\d+ \(no answer within 5s\)/, line);
    assert.equal(ran.code, code, `${line}: ${ran.err}`);
  }
});

test("connect reports a suspended etcd as a finding and exits", async () => {
  const places = env({ east: place(east), west: silentPlace() });
  etcd.signal("SIGSTOP");
  try {
    const ran = await runCli(["connect", "east", "west", ...TIME], places);
    assert.ok(ran.ms < BOUND_MS, `${ran.ms} ms`);
    assert.match(ran.err, /fail +from here: https:\/\/localhost:\d+: .*no answer within 3s/);
    assert.match(ran.err, /Nothing was written: no answer within 3s\n$/);
    assert.equal(ran.code, 3);
  } finally {
    etcd.signal("SIGCONT");
  }
});

/** A network namespace in which every DNS query is lost. */
function withoutDns(): string[] {
  writeFileSync(join(folder, "resolv.conf"), "nameserver 192.0.2.53\noptions timeout:20 attempts:2\n");
  const script = [
    "ip link add gone type veth peer name away",
    "ip addr add 192.0.2.1/24 dev gone",
    "ip link set away up",
    "ip link set gone up",
    "ip neigh add 192.0.2.53 lladdr 02:00:00:00:00:53 dev gone",
    `mount --bind ${join(folder, "resolv.conf")} /etc/resolv.conf`,
    'exec "$0" "$@"',
  ].join(" && ");
  return ["unshare", "--map-root-user", "--net", "--mount", "sh", "-c", script];
}

test("without an answer from DNS, the report comes in time, and the process exits in time where Node has execve", async () => {
  const places = env({ east: { server: "https://api.example.test:6443" } });
  const reported = startCli(["status", ...TIME], places, withoutDns());
  await until("the report", () => /no answer within 3s/.test(reported.err), BOUND_MS);
  // Repeated: a signal that arrives while the command removes its listeners is lost.
  if (!("execve" in process)) await until("the end by a signal", () => !reported.process.kill("SIGTERM"), BOUND_MS);
  const { code, signal } = await reported.ended;
  assert.deepEqual([code, signal], "execve" in process ? [1, null] : [null, "SIGTERM"]);
  const waiting = startCli(["status", "--wait"], places, withoutDns());
  await until("the look-up", () => asksDns(waiting.process.pid ?? 0));
  waiting.process.kill("SIGINT");
  const ended = await waiting.ended;
  assert.deepEqual([ended.code, ended.signal], "execve" in process ? [130, null] : [null, "SIGINT"]);
  assert.equal(ended.err, "Interrupted\n");
});

/** True when its network namespace has a socket to port 53. Until it has its own namespace, the sockets are those of others. */
function asksDns(pid: number): boolean {
  if (readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync("/proc/self/ns/net")) return false;
  return /:0035 /.test(readFileSync(`/proc/${pid}/net/udp`, "utf8"));
}

test("status ends when a credential plugin never exits", async () => {
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "sleep", args: ["60"] };
  const ran = await runCli(["status", ...TIME], env({ east: { ...silentPlace(), user: { exec } } }));
  assert.ok(ran.ms < BOUND_MS, `${ran.ms} ms`);
  assert.match(ran.err, /no answer within 3s/);
});

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)
  test(`the first ${signal} ends a command at once`, async () => {
    const places = env({ east: silentPlace(), west: silentPlace() });
    for (const argv of [
      ["status"],
      ["status", "--wait"],
      ["service", "list"],
      ["policy", "list"],
      ["connect", "east", "west"],
    ]) {
      const before = silent.accepted;
      const child = startCli(argv, places);
      await until("a connection", () => silent.accepted > before);
      const stopped = performance.now();
      child.process.kill(signal);
      const ran = await child.ended;
      assert.deepEqual([ran.code, ran.out, ran.err], [code, "", "Interrupted\n"], argv.join(" "));
      assert.ok(performance.now() - stopped < BOUND_MS);
    }
  });
