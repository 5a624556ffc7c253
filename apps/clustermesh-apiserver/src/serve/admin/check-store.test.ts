/** Results of the check for servers of every kind, and the requests that it refuses. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { status } from "@grpc/grpc-js";
import { createAuthority, issue } from "@isthmus/pki";
import { freePort } from "@isthmus/testing";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { createStoreChecker } from "./check-store.js";

let tls: MeshTls;
before(async () => {
  tls = await createMeshTls();
});
after(() => tls.remove());

async function listening(t: { after(work: () => void): void }, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const secret = "220 internal-mail.corp ESMTP secret banner\r\n";

test("for each kind of server the caller gets a fixed sentence and nothing of the server's answer", async (t) => {
  const pair = { cert: readFileSync(join(tls.folder, "tls.crt")), key: readFileSync(join(tls.folder, "tls.key")) };
  const good = await listening(t, createTlsServer(pair));
  const banner = await listening(
    t,
    createServer((socket) => socket.end(secret)),
  );
  const cuts = await listening(
    t,
    createServer((socket) => socket.resetAndDestroy()),
  );
  const silent = await listening(t, createServer());
  const other = await issue(await createAuthority("other"), { cn: "x", sans: ["127.0.0.1"], usages: ["server"] });
  const wrongCa = await listening(t, createTlsServer({ cert: other.certificate, key: other.key }));
  const closed = await freePort();
  const { check } = createStoreChecker({ deadlineMs: 500 });
  const ports = [good, banner, cuts, silent, wrongCa, closed];
  const endpoints = ports.map((port) => `https://127.0.0.1:${port}`);
  endpoints.push("https://no-such-host.invalid:2379");
  const reports = await check({ endpoints, ca: tls.ca });
  const words = reports.map(({ message }) => message.replace(/^Cannot reach ".*" from here: /, ""));
  assert.deepEqual(words.slice(0, 6), [
    "",
    "no TLS handshake",
    "no TLS handshake",
    "no answer within 500 ms",
    "its certificate is not of the store's CA",
    "connection refused",
  ]);
  assert.match(words[6] ?? "", /^its name does not resolve$|^no answer within/);
  assert.deepEqual(
    reports.map(({ reachable }) => reachable),
    [true, false, false, false, false, false, false],
  );
  assert.ok((reports[0]?.roundTripUs ?? 0) > 0);
});

test("only https to a host and port is dialled", async (t) => {
  let connections = 0;
  const port = await listening(
    t,
    createServer(() => connections++),
  );
  const at = `127.0.0.1:${port}`;
  const endpoints = [`http://${at}`, `ftp://${at}`, at, `https://user:pw@${at}`, `https://${at}/latest/meta-data`, ""];
  const reports = await createStoreChecker({ deadlineMs: 500 }).check({ endpoints, ca: tls.ca });
  for (const { reachable, message } of reports) {
    assert.equal(reachable, false);
    assert.match(message, /not written like "https:\/\/10\.0\.0\.1:2379"$/);
  }
  assert.equal(connections, 0);
});

test("a request out of bounds is refused before anything is dialled", async (t) => {
  const silent = await listening(t, createServer());
  const { check } = createStoreChecker({ deadlineMs: 300 });
  const invalid = { data: { code: "ADMIN", status: status.INVALID_ARGUMENT } };
  const endpoints = [`https://127.0.0.1:${silent}`];
  await assert.rejects(check({ endpoints: Array(17).fill(endpoints[0]), ca: tls.ca }), invalid);
  await assert.rejects(check({ endpoints, ca: "" }), invalid);
  await assert.rejects(check({ endpoints, ca: "-----BEGIN CERTIFICATE-----\nAAAA" }), invalid);
  const running = Array.from({ length: 4 }, () => check({ endpoints, ca: tls.ca }));
  await assert.rejects(check({ endpoints, ca: tls.ca }), { data: { code: "ADMIN", status: 8 } });
  await Promise.all(running);
  assert.equal((await check({ endpoints, ca: tls.ca })).length, 1);
});
