import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { StateSyncService } from "@isthmus/proto";
import { createConnect } from "./connection.js";

/** A folder as an agent has it; its one certificate, for `san`, is its own authority and serves too. */
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

async function serve(t: TestContext, folder: string): Promise<string> {
  const server = new Server();
  server.addService(StateSyncService, { subscribe: () => undefined });
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

test("a server is known by its name, wherever it listens", async (t) => {
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

test("a certificate of the same authority under another name, or for the address only, is refused", async (t) => {
  for (const san of ["DNS:n1", "IP:127.0.0.1"]) {
    const folder = makeTls(t, san);
    await assert.rejects(createConnect(folder)(await serve(t, folder), t.signal), /connect/i);
  }
});
