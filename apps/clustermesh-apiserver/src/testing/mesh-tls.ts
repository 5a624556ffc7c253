/** For tests: a cluster's mesh CA with a server certificate in a folder, and client certificates for nodes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority, issue, type Usage, writeCertificate, writePair } from "@isthmus/pki";
import type { AgentTls } from "./test-agent.js";

export interface MeshTls {
  /** ca.crt tls.crt tls.key */
  readonly folder: string;
  readonly ca: string;
  node(name: string): Promise<AgentTls>;
  /** A client certificate with any common name. */
  client(cn: string): Promise<AgentTls>;
  /** A certificate that is valid for servers only. */
  server(): Promise<AgentTls>;
  /** Writes a new server certificate into the folder. */
  renew(): Promise<void>;
  remove(): void;
}

export async function createMeshTls(): Promise<MeshTls> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-tls-"));
  const authority = await createAuthority("mesh ca of test");
  const renew = async () => {
    const sans = ["127.0.0.1", "localhost", "clustermesh-apiserver.mesh-system.svc"];
    const pair = await issue(authority, { cn: "apiserver", sans, usages: ["server"] });
    await writePair(folder, "tls", pair);
  };
  await renew();
  await writeCertificate(join(folder, "ca.crt"), authority.certificate);
  const pair = async (cn: string, usage: Usage) => {
    const { certificate, key } = await issue(authority, { cn, usages: [usage] });
    return { ca: authority.certificate, certificate, key };
  };
  const client = (cn: string) => pair(cn, "client");
  return {
    folder,
    ca: authority.certificate,
    node: (name) => client(`system:mesh-node:${name}`),
    client,
    server: () => pair("system:mesh-node:n1", "server"),
    renew,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
