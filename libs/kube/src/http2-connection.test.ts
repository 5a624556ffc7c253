/** HTTP/2 connections to test servers: protocol versions, orderly ends, dead peers. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestOptions } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { test } from "node:test";
import { createAuthority } from "@isthmus/pki";
import { until } from "@isthmus/testing";
import { ca, clientPairs, connectTo, pair, startHttp2, TIMES, text } from "./testing/http2-server.js";
import { startProxy } from "./testing/proxy.js";
import { createTransport } from "./transport.js";

test("streams share one connection, each with its own headers", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, port);
  const answers = await Promise.all(
    ["/a", "/b?x=1", "/c"].map((path) => get(path, { headers: { Authorization: `Bearer ${path}` } })),
  );
  const texts = await Promise.all(answers.map((answer) => text(answer?.body)));
  assert.deepEqual(texts, ["/a Bearer /a", "/b?x=1 Bearer /b?x=1", "/c Bearer /c"]);
  assert.equal(sessions.length, 1);
});

test("a dead connection ends its streams with an error, and the next stream uses another", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const proxy = await startProxy({ host: "127.0.0.1", port });
  t.after(() => proxy.close());
  const { get } = connectTo(t, proxy.port);
  const open = await Promise.all([get("/open/1"), get("/open/2")]);
  const ends = open.map((answer) => text(answer?.body));
  proxy.stallOpen();
  for (const end of ends) await assert.rejects(end, { code: "ETIMEDOUT", message: /no answer to a ping/ });
  assert.equal(await text((await get("/again"))?.body), "/again undefined");
  assert.equal(sessions.length, 2);
});

test("a healthy connection stays, however silent its streams are", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, port);
  const open = await get("/open");
  let pings = 0;
  sessions[0]?.on("ping", () => pings++);
  await until("many pings", () => pings > 20);
  assert.equal(open?.body.destroyed, false);
  assert.equal(sessions.length, 1);
});

test("after GOAWAY open streams continue, and new ones use another connection", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, port);
  const open = await get("/open");
  sessions[0]?.goaway();
  await until(
    "another connection is used",
    async () => (await text((await get("/again"))?.body)) === "/again undefined" && sessions.length === 2,
  );
  assert.equal(open?.body.destroyed, false);
});

test("another client certificate opens another connection", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, port);
  for (const { cert, key } of await clientPairs("old", "new")) {
    for (const path of ["/1", "/2"])
      assert.equal(await text((await get(path, { cert, key }))?.body), `${path} undefined`);
  }
  assert.equal(sessions.length, 2);
  await until("the previous connection is closed after its last stream", () => sessions[0]?.destroyed === true);
  assert.equal(sessions[1]?.destroyed, false);
});

test("a server of an unknown authority is refused, and the next call tries again", async (t) => {
  const { port } = await startHttp2(t);
  const { get } = connectTo(t, port);
  const { certificate } = await createAuthority("other");
  for (let i = 0; i < 2; i++) await assert.rejects(get("/", { ca: certificate }), /certificate/);
  assert.equal((await get("/"))?.status, 200);
});

test("a server that accepts connections and sends nothing fails after connectMs", async (t) => {
  const { port } = await startHttp2(t);
  const proxy = await startProxy({ host: "127.0.0.1", port });
  t.after(() => proxy.close());
  proxy.stall();
  await assert.rejects(connectTo(t, proxy.port, { ...TIMES, connectMs: 50 }).get("/"), { code: "ETIMEDOUT" });
});

test("a server that closes during the TLS handshake is an error at once", async (t) => {
  for (const close of ["end", "destroy", "resetAndDestroy"] as const) {
    const server = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket[close]();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const { get } = connectTo(t, (server.address() as AddressInfo).port, { ...TIMES, connectMs: 60_000 });
    for (let i = 0; i < 20; i++) await assert.rejects(get("/"), { code: "ECONNRESET" });
  }
});

test("streams of a server that speaks only HTTP/1.1 use HTTP/1.1", async (t) => {
  const server = createServer(pair, (request, response) => response.end(`${request.httpVersion} ${request.url}`));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const authorize = async (options: RequestOptions) => void Object.assign(options, { ca });
  const transport = createTransport({ server: `https://127.0.0.1:${port}`, credential: "none", authorize });
  t.after(() => {
    transport.close();
    server.close();
  });
  for (const path of ["/a", "/b"])
    assert.equal(await text(await transport.stream({ method: "GET", path })), `1.1 ${path}`);
});

test("a server that spoke only HTTP/1.1 is asked for HTTP/2 again after http1Ms", async (t) => {
  const old = createServer(pair).listen(0, "127.0.0.1");
  await once(old, "listening");
  const { port } = old.address() as AddressInfo;
  const { get } = connectTo(t, port, { ...TIMES, http1Ms: 20 });
  assert.equal(await get("/"), undefined);
  old.closeAllConnections();
  old.close();
  await once(old, "close");
  await startHttp2(t, {}, port);
  await until("it speaks HTTP/2", async () => (await get("/"))?.status === 200);
});
