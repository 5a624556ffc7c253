/**
 * Creates the certificates of the kind clusters. Private keys are written only to files with mode 0600.
 *
 *   node pki.mjs store DIR ADDRESS…               the store's CA, etcd's server certificate, the owner's (CN=root), store.json
 *   node pki.mjs cluster DIR NODE=ADDRESS…        a cluster's CA, its apiservers' certificate, one per node's agent
 *
 * Existing files are kept, so that running it again changes nothing; a server whose address changed gets a new certificate.
 */
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { createAuthority, issue, readPair, writePair } from "../../libs/pki/dist/index.js";

const [verb, dir, ...rest] = process.argv.slice(2);
if (verb === "store" && rest.length > 0) await store(dir, rest);
else if (verb === "cluster" && rest.length > 0) await cluster(dir, rest);
else {
  console.error("Usage: node pki.mjs store DIR ADDRESS… | cluster DIR NODE=ADDRESS…");
  process.exitCode = 2;
}

async function store(dir, addresses) {
  const authority = await kept(dir, "ca", () => createAuthority("isthmus-store"));
  const sans = ["localhost", "127.0.0.1", ...addresses];
  await keptFor(dir, "server", authority, { cn: "mesh-etcd", sans, usages: ["server", "client"] });
  await kept(dir, "root", () => issue(authority, { cn: "root", usages: ["client"] }));
  const endpoints = addresses.map((address) => `https://${address}:2379`);
  const file = { endpoints, ca: "ca.crt", cert: "root.crt", key: "root.key", caKey: "ca.key" };
  await writeFile(join(dir, "store.json"), `${JSON.stringify(file, null, 2)}\n`);
}

async function cluster(dir, pairs) {
  const nodes = pairs.map((pair) => pair.split("="));
  const authority = await kept(dir, "ca", () => createAuthority("isthmus-mesh"));
  const sans = ["clustermesh-apiserver.mesh-system.svc", ...nodes.map(([, address]) => address)];
  await keptFor(dir, "apiserver", authority, { cn: "clustermesh-apiserver", sans, usages: ["server"] });
  for (const [node] of nodes) {
    await kept(dir, node, () => issue(authority, { cn: `system:mesh-node:${node}`, usages: ["client"] }));
  }
}

/** Keeps an existing certificate that is valid for all names and addresses of the leaf; otherwise issues a new one. */
async function keptFor(dir, name, authority, leaf) {
  const file = join(dir, `${name}.crt`);
  if (existsSync(file)) {
    const certificate = new X509Certificate(readFileSync(file));
    const serves = (san) => (isIP(san) ? certificate.checkIP(san) : certificate.checkHost(san)) !== undefined;
    if (leaf.sans.every(serves)) return;
  }
  await writePair(dir, name, await issue(authority, leaf));
}

async function kept(dir, name, make) {
  if (!existsSync(join(dir, `${name}.crt`))) await writePair(dir, name, await make());
  return readPair(dir, name);
}
