import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { type StateSyncServer, StateSyncService } from "@isthmus/proto";
import { createRecordSource, makeService } from "@isthmus/testing";
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

async function serve(t: TestContext, folder: string, subscribe: Subscribe = () => undefined): Promise<string> {
  const server = new Server();
  server.addService(StateSyncService, { subscribe });
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

test("a certificate of the same authority under another name, or for the address only, is refused", async (t) => {
  for (const san of ["DNS:n1", "IP:127.0.0.1"]) {
    const folder = makeTls(t, san);
    await assert.rejects(createConnect(folder)(await serve(t, folder), t.signal), /connect/i);
  }
});
