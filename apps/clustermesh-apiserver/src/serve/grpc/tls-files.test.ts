/** The server's certificates follow their files: renewed, of another CA, or unusable. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { createLogger } from "@isthmus/observe";
import { createAuthority, issue, type KeyPair, writeCertificate, writePair } from "@isthmus/pki";
import { until } from "@isthmus/testing";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { serveStream } from "../../testing/serve-stream.js";
import { watchTlsFiles } from "./tls-files.js";

let tls: MeshTls;
before(async () => {
  tls = await createMeshTls();
});
after(() => tls.remove());

/** True when a client with this pair that trusts this CA can connect. */
function letIn(port: number, ca: string, pair: KeyPair): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port, ca, cert: pair.certificate, key: pair.key, ALPNProtocols: ["h2"] });
  // The server sends its first HTTP/2 bytes only after it has checked the certificate.
  socket.once("secureConnect", () => socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
  return new Promise((resolve) => {
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("error", () => end(false)).once("close", () => end(false));
    socket.once("data", () => end(true));
  });
}

test("after a new CA and certificate nodes of the new CA can connect and those of the old one cannot, without a restart", async (t) => {
  const { port } = await serveStream(t, tls);
  const old = await tls.node("n1");
  assert.equal(await letIn(port, tls.ca, old), true);
  const authority = await createAuthority("the next mesh ca");
  const node = await issue(authority, { cn: "system:mesh-node:n1", usages: ["client"] });
  const server = await issue(authority, { cn: "apiserver", sans: ["127.0.0.1"], usages: ["server"] });
  // Both CAs first, as in a rotation: no node is locked out.
  await writeCertificate(join(tls.folder, "ca.crt"), tls.ca + authority.certificate);
  await until("nodes of both", () => letIn(port, tls.ca, node));
  assert.equal(await letIn(port, tls.ca, old), true);
  await writePair(tls.folder, "tls", server);
  await writeCertificate(join(tls.folder, "ca.crt"), authority.certificate);
  await until("the new server certificate", () => letIn(port, authority.certificate, node));
  await until("the new CA alone", async () => !(await letIn(port, authority.certificate, old)));
  assert.equal(await letIn(port, authority.certificate, node), true);
});

test("unusable files leave the current pair in use and log one line with reason and folder; the next usable ones are loaded", async (t) => {
  const made = await createMeshTls();
  t.after(() => made.remove());
  const lines: string[] = [];
  const log = createLogger({ app: "test", destination: { write: (line) => void lines.push(line) } });
  const files = watchTlsFiles(made.folder, log);
  t.after(() => files.close());
  const seen: string[] = [];
  files.addIdentityCertificateListener((update) => seen.push(String(update?.certificate)));
  await until("the first", () => seen.length === 1);
  const key = join(made.folder, "tls.key");
  writeFileSync(key, "-----BEGIN PRIVATE KEY-----\nhalf of a");
  await until("the log line", () => lines.length === 1);
  assert.match(lines[0] ?? "", /"level":"warn".*Cannot use the certificates in .*isthmus-tls-/);
  assert.doesNotMatch(lines[0] ?? "", /half of a/);
  const other = await issue(await createAuthority("x"), { cn: "x", usages: ["server"] });
  writeFileSync(key, other.key);
  await until("another log line", () => lines.length === 2);
  assert.equal(seen.length, 1);
  await made.renew();
  await until("the new one", () => seen.length === 2);
  assert.notEqual(seen[0], seen[1]);
});

test("without certificates at the start the error names the folder", () => {
  const log = createLogger({ app: "test", level: "silent" });
  assert.throws(() => watchTlsFiles("/nowhere", log), { code: "TLS_FILES", message: /"\/nowhere".*ca\.crt/ });
});
