import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { CLIENTS, isInPath, type Mode } from "./client-programs.js";
import { createLedger, type Ledger } from "./ledger.js";
import { cgroupOf } from "./run-client.js";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

async function serve(t: TestContext, onRequest: (socket: Socket) => void) {
  const connections: Socket[] = [];
  const server = createServer((socket) => {
    connections.push(socket.on("error", () => undefined));
    socket.on("data", () => onRequest(socket));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = () => {
    server.close();
    for (const socket of connections) socket.destroy();
  };
  t.after(close);
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, connections, close };
}

/** Runs the client of Node, whose tool is there, until the ledger is as wanted. */
async function runNode(address: string, mode: Mode, isDone: (ledger: Ledger) => boolean): Promise<Ledger> {
  const node = CLIENTS.find(({ name }) => name === "Node");
  const [program = "", ...args] = (await node?.command({ address, rate: 200, mode }, "")) ?? [];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ledger = createLedger();
  for await (const line of createInterface({ input: child.stdout })) {
    ledger.line(line);
    // Once: a client that is asked again ends at once, with requests in flight.
    if (isDone(ledger) && !child.killed) child.kill("SIGTERM");
  }
  return ledger;
}

test("a pool keeps connections, and fresh connections are one for each request", async (t) => {
  const { address, connections } = await serve(t, (socket) => socket.write(ANSWER));
  const pooled = await runNode(address, "pooled", ({ counts }) => counts.ok >= 100);
  const ofPool = connections.length;
  assert.ok(ofPool < pooled.counts.ok / 2, `${ofPool} connections for ${pooled.counts.ok} requests`);
  const fresh = await runNode(address, "fresh", ({ counts }) => counts.ok >= 100);
  assert.equal(connections.length - ofPool, fresh.counts.ok);
  assert.equal(fresh.sent, fresh.counts.ok);
});

test("a refused connect is told from a connection that ends", async (t) => {
  const { address, close } = await serve(t, (socket) => socket.resetAndDestroy());
  const { counts: ended } = await runNode(address, "fresh", ({ counts }) => counts.established >= 20);
  assert.deepEqual([ended.ok, ended.connect], [0, 0]);
  close();
  const { counts: refused } = await runNode(address, "fresh", ({ counts }) => counts.connect >= 20);
  assert.deepEqual([refused.ok, refused.established], [0, 0]);
});

test("a tool that is not in PATH is known", () => {
  assert.equal(isInPath("sh", "/nowhere:/bin"), true);
  assert.equal(isInPath("no-such-tool", "/bin"), false);
});

test("the group of a process is that of cgroup2", () => {
  assert.equal(cgroupOf("4:cpu:/a\n0::/lab/east-1/kubepods/pod1\n"), "/lab/east-1/kubepods/pod1");
  assert.throws(() => cgroupOf("4:cpu:/a\n"), /cgroup2/);
});
