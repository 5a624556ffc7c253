/** Connections that end, are left or are full while they are in use. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { until } from "@isthmus/testing";
import { clientPairs, connectTo, startHttp2, TIMES, text } from "./testing/http2-server.js";
import { startProxy } from "./testing/proxy.js";

/** These tests are about streams that do not end: without a limit a failure would hang. */
const LIMIT = { timeout: 60_000 };

/** A proxy that passes at most `bytes` from the server every `everyMs` milliseconds. */
async function slowLine(t: TestContext, target: number, bytes: number, everyMs: number): Promise<number> {
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    const drop = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on("error", drop).on("close", drop);
    client.pipe(upstream);
    upstream.pause();
    const timer = setInterval(() => {
      const some = (upstream.read(bytes) ?? upstream.read()) as Buffer | null;
      if (some !== null) client.write(some);
    }, everyMs);
    client.once("close", () => clearInterval(timer));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test("a connection is pinged until its end after GOAWAY", LIMIT, async (t) => {
  const { port, sessions } = await startHttp2(t);
  const proxy = await startProxy({ host: "127.0.0.1", port });
  t.after(() => proxy.close());
  const { get } = connectTo(t, proxy.port, { ...TIMES, pingMs: 500 });
  const end = get("/open").then((answer) => text(answer?.body));
  await until("it is open", () => sessions.length === 1);
  const settled = assert.rejects(end, { code: "ETIMEDOUT" });
  sessions[0]?.goaway();
  await until(
    "another connection is used",
    async () => (await text((await get("/next"))?.body)) !== "" && sessions.length === 2,
  );
  proxy.stallOpen();
  await settled;
});

test("a slow connection that receives bytes is not dead, however late the answer to a ping is", LIMIT, async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, await slowLine(t, port, 16_384, 25), { ...TIMES, pingMs: 400 });
  assert.equal((await text((await get("/big"))?.body)).length, 1 << 20);
  assert.equal(sessions.length, 1);
});

test("close ends connections that are being opened or were left, and their streams with an error", LIMIT, async (t) => {
  const { port, sessions } = await startHttp2(t);
  const making = connectTo(t, port);
  const refused = assert.rejects(making.get("/"), { code: "ECONNRESET" });
  making.connection.close();
  await refused;
  await assert.rejects(making.get("/"), { code: "ECONNRESET" });

  const { connection, get } = connectTo(t, port);
  const open = await get("/open");
  sessions.at(-1)?.goaway();
  await until(
    "another connection is used",
    async () => (await get("/open/2")) !== undefined && sessions.filter((s) => !s.destroyed).length >= 2,
  );
  const settled = assert.rejects(text(open?.body), { code: "ECONNRESET" });
  connection.close();
  await settled;
  await until("no connection is left", () => sessions.every(({ destroyed }) => destroyed));
});

test("concurrent streams with the old and the new certificate use one connection each", LIMIT, async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, port);
  const [old, renewed] = await clientPairs("old", "new");
  const answers = await Promise.all([get("/open/1", old), get("/open/2", renewed), get("/open/3", renewed)]);
  assert.deepEqual(
    answers.map((answer) => answer?.status),
    [200, 200, 200],
  );
  assert.equal(sessions.length, 2);
});

test("when a connection has as many streams as the server allows, the next uses another", LIMIT, async (t) => {
  const { port, sessions } = await startHttp2(t, { settings: { maxConcurrentStreams: 2 } });
  const { get } = connectTo(t, port);
  const open = [await get("/open/1"), await get("/open/2"), await get("/open/3")];
  assert.deepEqual(
    open.map((answer) => answer?.body.destroyed),
    [false, false, false],
  );
  assert.equal(sessions.length, 2);
});
