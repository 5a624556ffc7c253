/** Against servers of the test's own: what they speak, how they end, how they die. */
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

test("streams share one connection; each goes with its own headers", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, port);
  const answers = await Promise.all(
    ["/a", "/b?x=1", "/c"].map((path) => get(path, { headers: { Authorization: `Bearer ${path}` } })),
  );
  const texts = await Promise.all(answers.map((answer) => text(answer?.body)));
  assert.deepEqual(texts, ["/a Bearer /a", "/b?x=1 Bearer /b?x=1", "/c Bearer /c"]);
  assert.equal(sessions.length, 1);
});

test("a connection that nothing comes over any more ends its streams with an error, and the next one is another", async (t) => {
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

test("a connection that is well stays, however silent its streams are", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, port);
  const open = await get("/open");
  let pings = 0;
  sessions[0]?.on("ping", () => pings++);
  await until("many pings", () => pings > 20);
  assert.equal(open?.body.destroyed, false);
  assert.equal(sessions.length, 1);
});

test("a server that goes away in order lets its streams end; new ones are on another connection", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, port);
  const open = await get("/open");
  sessions[0]?.goaway();
  await until(
    "it is another",
    async () => (await text((await get("/again"))?.body)) === "/again undefined" && sessions.length === 2,
  );
  assert.equal(open?.body.destroyed, false);
});

test("another certificate of ours is another connection", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const { get } = connectTo(t, port);
  for (const { cert, key } of await clientPairs("old", "new")) {
    for (const path of ["/1", "/2"])
      assert.equal(await text((await get(path, { cert, key }))?.body), `${path} undefined`);
  }
  assert.equal(sessions.length, 2);
  await until("the one before is gone, since nothing is left on it", () => sessions[0]?.destroyed === true);
  assert.equal(sessions[1]?.destroyed, false);
});

test("an unknown authority is refused, and tried again the next time", async (t) => {
  const { port } = await startHttp2(t);
  const { get } = connectTo(t, port);
  const { certificate } = await createAuthority("other");
  for (let i = 0; i < 2; i++) await assert.rejects(get("/", { ca: certificate }), /certificate/);
  assert.equal((await get("/"))?.status, 200);
});

test("a server that takes connections and says nothing is left after a while", async (t) => {
  const { port } = await startHttp2(t);
  const proxy = await startProxy({ host: "127.0.0.1", port });
  t.after(() => proxy.close());
  proxy.stall();
  await assert.rejects(connectTo(t, proxy.port, { ...TIMES, connectMs: 50 }).get("/"), { code: "ETIMEDOUT" });
});

test("a server that closes before the connection is secure, in whichever way, is an error at once", async (t) => {
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

test("of a server that speaks HTTP/1.1 only, streams come over that", async (t) => {
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

test("a server that was taken for HTTP/1.1 only is asked again after a while", async (t) => {
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
