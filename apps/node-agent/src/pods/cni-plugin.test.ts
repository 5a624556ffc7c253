import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseRequest } from "./cni-request.js";
import { buildPlugin } from "./testing/build-plugin.js";

const ADD = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/var/run/netns/x",
  CNI_IFNAME: "eth0",
  CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_UID=u-1",
};

interface Outcome {
  readonly code: number | null;
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

async function plugin(config: string | object, env: Readonly<Record<string, string>>, file?: string): Promise<Outcome> {
  const child = spawn(file ?? (await buildPlugin()), { env: { ...env }, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => undefined); // the plugin does not read all of an input that is too long
  child.stdin.end(typeof config === "string" ? config : JSON.stringify(config));
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, text, json: text.startsWith("{") ? (JSON.parse(text) as Outcome["json"]) : {} };
}

/** An agent that answers every request with `answer`, and the requests that it received. */
async function fakeAgent(
  t: TestContext,
  answer: (socket: Socket) => void,
): Promise<{ path: string; requests: Buffer[] }> {
  const folder = await mkdtemp(join(tmpdir(), "mcni-"));
  const path = join(folder, "s.sock");
  const requests: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const chunks: Buffer[] = [];
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("end", () => {
      requests.push(Buffer.concat(chunks));
      answer(socket);
    });
  });
  server.listen(path);
  await once(server, "listening");
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(folder, { recursive: true });
  });
  return { path, requests };
}

const config = (socket: string) => ({ cniVersion: "1.0.0", name: "isthmus", nested: { socket: "no" }, socket });

test("the agent receives the complete request, and its result is printed", async (t) => {
  const agent = await fakeAgent(t, (socket) => socket.end('ok 22\n{"cniVersion":"1.0.0"}'));
  const outcome = await plugin(config(agent.path), ADD);
  assert.deepEqual([outcome.code, outcome.text], [0, '{"cniVersion":"1.0.0"}']);
  assert.deepEqual(parseRequest(agent.requests[0] ?? Buffer.alloc(0)), {
    command: "ADD",
    containerId: "c1",
    netns: "/var/run/netns/x",
    interfaceName: "eth0",
    pod: { namespace: "shop", name: "cart-0", uid: "u-1" },
    podCgroup: undefined,
    hostPorts: [],
  });
});

test("the agent's error is printed, with exit code 1", async (t) => {
  const agent = await fakeAgent(t, (socket) => socket.end('error 12\n{"code":101}'));
  assert.deepEqual(await plugin(config(agent.path), ADD), { code: 1, text: '{"code":101}', json: { code: 101 } });
});

test("a call without a result prints nothing", async (t) => {
  const agent = await fakeAgent(t, (socket) => socket.end("ok 0\n"));
  assert.deepEqual(await plugin(config(agent.path), { ...ADD, CNI_COMMAND: "DEL" }), { code: 0, text: "", json: {} });
});

test("without an agent, and after only incomplete or invalid answers, the result is error 11 (try again later) after 3 s", async (t) => {
  const broken = ["", 'ok 22\n{"cni', 'ok 2\n{"cni', "fine 2\n{}", "{}", `ok 70000\n${" ".repeat(70_000)}`];
  const agents = await Promise.all(broken.map((answer) => fakeAgent(t, (socket) => socket.end(answer))));
  const started = performance.now();
  const outcomes = await Promise.all(
    ["/nowhere.sock", ...agents.map(({ path }) => path)].map((path) => plugin(config(path), ADD)),
  );
  for (const { code, json } of outcomes) {
    assert.deepEqual([code, json["code"], json["cniVersion"]], [1, 11, "1.0.0"]);
  }
  assert.ok(performance.now() - started > 2900);
});

test("the call is repeated when the agent dies during it", async (t) => {
  let calls = 0;
  const agent = await fakeAgent(t, (socket) => (++calls < 3 ? socket.destroy() : socket.end("ok 2\n{}")));
  assert.deepEqual(await plugin(config(agent.path), ADD), { code: 0, text: "{}", json: {} });
  assert.deepEqual(agent.requests[2], agent.requests[0]);
});

test("a configuration without a usable socket is error 7", async () => {
  for (const bad of [
    "",
    "{",
    "[]",
    "{}",
    '{"socket":7}',
    '{"socket":"a\\u0000b"}',
    '{"a":"x',
    '{"a":[}],"socket":"x"}',
  ]) {
    assert.equal((await plugin(bad, ADD)).json["code"], 7, bad);
  }
  const long = await plugin({ socket: `/${"x".repeat(200)}` }, ADD);
  assert.equal(long.json["code"], 7);
});

test("a configuration or variable that is too long is refused, and so is a call without variables", async () => {
  assert.equal((await plugin(" ".repeat(300 * 1024), ADD)).json["code"], 5);
  assert.equal((await plugin(config("/x"), { ...ADD, CNI_ARGS: "x".repeat(5000) })).json["code"], 4);
  assert.equal((await plugin(config("/x"), {})).json["code"], 4);
});

test("VERSION is answered without an agent", async () => {
  const { code, json } = await plugin("", { CNI_COMMAND: "VERSION" });
  assert.deepEqual([code, json["supportedVersions"]], [0, ["1.0.0"]]);
});

test("under the name loopback the plugin sets lo up, also for CNI version 0.3.1", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "mcni-"));
  const name = `mcni-lo-${process.pid}`;
  execFileSync("ip", ["netns", "add", name]);
  t.after(async () => {
    execFileSync("ip", ["netns", "del", name]);
    await rm(folder, { recursive: true });
  });
  const file = join(folder, "loopback");
  await copyFile(await buildPlugin(), file);
  const env = { ...ADD, CNI_NETNS: `/run/netns/${name}`, CNI_IFNAME: "lo" };
  const added = await plugin({ cniVersion: "0.3.1", name: "cni-loopback", type: "loopback" }, env, file);
  assert.deepEqual([added.code, added.json["cniVersion"]], [0, "0.3.1"]);
  assert.match(execFileSync("nsenter", [`--net=/run/netns/${name}`, "ip", "-4", "addr"]).toString(), /127\.0\.0\.1\/8/);
  assert.equal((await plugin({ cniVersion: "0.3.1" }, { ...env, CNI_COMMAND: "DEL" }, file)).code, 0);
});
