import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, createServer, type Server } from "node:tls";
import { createAuthority, issue, type KeyPair } from "./authority.js";
import { expiresAt, isSignedBy, readCertificate } from "./certificate.js";
import { writeCertificate, writePair } from "./files.js";

test("openssl verifies an issued certificate for its usages and refuses one of another authority", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "isthmus-pki-"));
  t.after(() => rm(dir, { recursive: true }));
  const [ours, other] = [await createAuthority("ours"), await createAuthority("ours")];
  await writeCertificate(join(dir, "ours.crt"), ours.certificate);
  await writeCertificate(join(dir, "other.crt"), other.certificate);
  await writePair(dir, "server", await issue(ours, { cn: "api", sans: ["10.0.0.1", "api.local"], usages: ["server"] }));
  const verify = (ca: string, ...more: string[]) =>
    execFileSync("openssl", ["verify", "-x509_strict", "-CAfile", join(dir, ca), ...more, join(dir, "server.crt")], {
      encoding: "utf8",
      stdio: "pipe",
    });
  assert.match(verify("ours.crt", "-purpose", "sslserver", "-verify_ip", "10.0.0.1"), /OK/);
  assert.match(verify("ours.crt", "-verify_hostname", "api.local"), /OK/);
  assert.throws(() => verify("ours.crt", "-purpose", "sslclient"));
  assert.throws(() => verify("ours.crt", "-verify_ip", "10.0.0.2"));
  assert.throws(() => verify("other.crt"));
});

test("organizations are in the subject as Kubernetes reads them", async () => {
  const authority = await createAuthority("kubernetes");
  const admin = await issue(authority, { cn: "admin", organizations: ["system:masters"], usages: ["client"] });
  const text = execFileSync("openssl", ["x509", "-noout", "-subject"], { input: admin.certificate, encoding: "utf8" });
  assert.match(text, /O\s*=\s*system:masters, CN\s*=\s*admin/);
  assert.equal(readCertificate(admin.certificate).cn, "admin");
});

test("an authority expires after its leaves, and each certificate has a unique serial", async () => {
  const authority = await createAuthority("ca");
  const leaves = await Promise.all(["a", "b"].map((cn) => issue(authority, { cn, usages: ["client"], days: 1 })));
  assert.ok(leaves.every((leaf) => isSignedBy(leaf.certificate, authority.certificate)));
  assert.ok(leaves.every((leaf) => expiresAt(leaf.certificate) < expiresAt(authority.certificate)));
  const serials = leaves.map((leaf) =>
    execFileSync("openssl", ["x509", "-noout", "-serial"], { input: leaf.certificate, encoding: "utf8" }),
  );
  assert.equal(new Set(serials).size, 2);
});

test("TLS authenticates both sides and refuses a certificate of another authority", async (t) => {
  const [ca, otherCa] = [await createAuthority("mesh-ca"), await createAuthority("mesh-ca")];
  const server = await issue(ca, { cn: "apiserver", sans: ["127.0.0.1"], usages: ["server"] });
  const listener = createServer({
    ca: ca.certificate,
    cert: server.certificate,
    key: server.key,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  t.after(() => listener.close());
  const greet = (client: KeyPair) => greeted(listener, ca.certificate, client);
  assert.equal(await greet(await issue(ca, { cn: "system:mesh-node:n1", usages: ["client"] })), "system:mesh-node:n1");
  await assert.rejects(greet(await issue(otherCa, { cn: "system:mesh-node:n1", usages: ["client"] })));
  await assert.rejects(greet(await issue(ca, { cn: "apiserver", usages: ["server"] })));
});

/** The common name of this client as the server sees it; rejects when either side refuses the other. */
async function greeted(listener: Server, ca: string, client: KeyPair): Promise<string> {
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port, ca, cert: client.certificate, key: client.key });
  const outcome = new Promise<string>((resolve, reject) => {
    socket.on("error", reject);
    listener.once("tlsClientError", reject);
    listener.once("secureConnection", (peer) => resolve(String(peer.getPeerCertificate().subject.CN)));
  });
  return outcome.finally(() => {
    listener.removeAllListeners("tlsClientError").removeAllListeners("secureConnection");
    socket.destroy();
  });
}
