import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type Server } from "node:http";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { createRegistryProxy, isLoopback } from "./registry-proxy.js";

async function listen(t: TestContext, server: Server | NetServer): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Sends "ping" through CONNECT; returns the response text, or the status of a refusal. */
async function ping(proxyPort: number, target: string): Promise<string> {
  const asked = request({ host: "127.0.0.1", port: proxyPort, method: "CONNECT", path: target });
  asked.end();
  const [response, socket]: [{ statusCode: number }, Socket] = (await once(asked, "connect")) as [
    { statusCode: number },
    Socket,
  ];
  if (response.statusCode !== 200) return `${response.statusCode}`;
  socket.write("ping");
  const [answer] = await once(socket, "data");
  socket.destroy();
  return String(answer);
}

const OPEN = { isClientAllowed: () => true, isTargetAllowed: () => true };
const echo = () => createServer((socket) => void socket.on("error", () => undefined).pipe(socket));

test("bytes pass in both directions, directly and through another proxy", async (t) => {
  const registry = await listen(t, echo());
  const first = await listen(t, createRegistryProxy(OPEN));
  assert.equal(await ping(first, `127.0.0.1:${registry}`), "ping");
  const second = await listen(t, createRegistryProxy({ ...OPEN, upstream: `http://127.0.0.1:${first}` }));
  assert.equal(await ping(second, `127.0.0.1:${registry}`), "ping");
});

test("an unreachable registry is 502", async (t) => {
  const proxy = await listen(t, createRegistryProxy(OPEN));
  assert.equal(await ping(proxy, "127.0.0.1:9"), "502");
});

test("clients that are not nodes are refused, and so is the host's loopback as a target", async (t) => {
  const registry = await listen(t, echo());
  const strict = await listen(
    t,
    createRegistryProxy({ ...OPEN, isClientAllowed: (address) => address === "10.200.1.1" }),
  );
  assert.equal(await ping(strict, `127.0.0.1:${registry}`), "403");
  const outward = await listen(t, createRegistryProxy({ ...OPEN, isTargetAllowed: (address) => !isLoopback(address) }));
  assert.equal(await ping(outward, `localhost:${registry}`), "502");
  assert.ok(["127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1"].every(isLoopback));
  assert.ok(!["10.127.0.1", "203.0.113.1", "2001:db8::1"].some(isLoopback));
});
