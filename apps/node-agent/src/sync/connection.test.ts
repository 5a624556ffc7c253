import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { type AdminServer, AdminService, NodeFigures, type StateSyncServer, StateSyncService } from "@isthmus/proto";
import { waitFor } from "@isthmus/runtime";
import { createRecordSource, makeService } from "@isthmus/testing";
import { serveQueries } from "../queries/query-streams.js";
import { createConnect } from "./connection.js";

/** A TLS folder of an agent. Its one certificate, for `san`, is self-signed and is also the server's. */
function makeTls(t: TestContext, san: string): string {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-connection-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [key, certificate] = [join(folder, "tls.key"), join(folder, "tls.crt")];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  const names = ["-subj", "/CN=clustermesh-apiserver", "-addext", `subjectAltName=${san}`];
  execFileSync("openssl", ["req", ...kind, ...names, "-keyout", key, "-out", certificate], { stdio: "pipe" });
  copyFileSync(certificate, join(folder, "ca.crt"));
  return folder;
}

type Subscribe = StateSyncServer["subscribe"];

async function serve(
  t: TestContext,
  folder: string,
  subscribe: Subscribe = () => undefined,
  queries?: AdminServer["serve"],
): Promise<string> {
  const server = new Server();
  server.addService(StateSyncService, { subscribe });
  const definition = { serve: AdminService.serve };
  if (queries !== undefined) server.addService(definition, { serve: queries });
  const read = (name: string) => readFileSync(join(folder, name));
  const ssl = ServerCredentials.createSsl(
    read("ca.crt"),
    [{ private_key: read("tls.key"), cert_chain: read("tls.crt") }],
    true,
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ssl, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  t.after(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

test("a server is verified by its name, whatever its address", async (t) => {
  const warnings: string[] = [];
  const note = (warning: Error & { readonly code?: string }) => void warnings.push(warning.code ?? warning.message);
  process.on("warning", note);
  t.after(() => process.off("warning", note));
  const folder = makeTls(t, "DNS:clustermesh-apiserver.mesh-system.svc");
  const connection = await createConnect(folder)(await serve(t, folder), t.signal);
  connection.stream.on("error", () => undefined);
  connection.close();
  assert.deepEqual(warnings, []);
});

/** A proxy to a server that can stop forwarding without closing a connection. */
async function link(t: TestContext, target: string): Promise<{ address: string; freeze(): void }> {
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = connect(Number(target.split(":")[1]), "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("error", () => undefined);
      from.pipe(to);
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const { port } = proxy.address() as AddressInfo;
  const freeze = () => {
    for (const socket of sockets) socket.unpipe().pause();
  };
  return { address: `127.0.0.1:${port}`, freeze };
}

test("a server that disappears silently during a first sync is detected by pings", async (t) => {
  const folder = makeTls(t, "DNS:clustermesh-apiserver.mesh-system.svc");
  const from = createRecordSource({ clusterId: 2 });
  from.change([makeService("a/a"), makeService("a/b")]);
  const [chunk] = from.firstSync(1);
  assert.ok(chunk !== undefined);
  const server = await serve(t, folder, (stream) => {
    stream.on("error", () => undefined);
    stream.write(chunk);
  });
  const { address, freeze } = await link(t, server);
  const keepalive = { everyMs: 200, timeoutMs: 200 };
  const { stream, close } = await createConnect(folder, keepalive)(address, t.signal);
  t.after(close);
  const ended = new Promise<Error>((resolve) => stream.on("error", resolve));
  await new Promise<void>((resolve) => stream.on("data", () => resolve()));
  freeze();
  assert.match((await ended).message, /UNAVAILABLE/);
});

test("queries come on the connection of the records, and end with it", async (t) => {
  const folder = makeTls(t, "DNS:clustermesh-apiserver.mesh-system.svc");
  const peers: string[] = [];
  const hellos: (string | undefined)[] = [];
  const ended = { is: false };
  const address = await serve(
    t,
    folder,
    (stream) => void peers.push(stream.getPeer()),
    (stream) => {
      peers.push(stream.getPeer());
      stream.on("error", () => undefined);
      stream.on("cancelled", () => {
        ended.is = true;
      });
      stream.on("data", ({ message }) => {
        hellos.push(message?.$case === "hello" ? message.value.node : message?.value.problem);
        const query = { credit: 1, query: undefined };
        if (message?.$case === "hello") stream.write({ id: 1, message: { $case: "query", value: query } });
      });
    },
  );
  const connection = await createConnect(folder)(address, t.signal);
  const over = new AbortController();
  t.after(() => {
    over.abort();
    connection.close();
  });
  connection.stream.on("error", () => undefined);
  serveQueries(connection.openQueries, over.signal, {
    ...{
      events: { problem: "" },
      maps: { open: () => ({ problem: "" }) },
      frontends: { open: () => ({ problem: "" }) },
      figures: () => NodeFigures.fromPartial({}),
      policy: () => ({ problem: "" }),
    },
    ...{ node: "n1", version: "test", clock: systemClock, log: silentLogger },
  });
  const soon = { timeoutMs: 10_000 };
  await waitFor("the hello and the answer", () => hellos.length === 2, soon);
  assert.equal(hellos[0], "n1");
  assert.match(hellos[1] ?? "", /does not know this query/);
  assert.equal(new Set(peers).size, 1, "one connection");
  over.abort();
  connection.close();
  await waitFor("the end", () => ended.is, soon);
});

test("a certificate of the same authority under another name, or for the address only, is refused", async (t) => {
  for (const san of ["DNS:n1", "IP:127.0.0.1"]) {
    const folder = makeTls(t, san);
    await assert.rejects(createConnect(folder)(await serve(t, folder), t.signal), /connect/i);
  }
});
