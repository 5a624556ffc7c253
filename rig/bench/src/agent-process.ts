/** The real agent and its certificates, for parts that run it as a process on a node of their own. */
import { mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DatapathMode } from "@isthmus/bpf";
import { createAuthority, issue, writeCertificate, writePair } from "@isthmus/pki";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

/** The name of the node, in its certificate too. */
export const NODE = "n1";
/** Where the apiserver serves agents. */
export const SERVER = "127.0.0.1:7443";
export const PLUGIN = join(REPOSITORY, "apps/cni/build/isthmus-cni");

export interface AgentOptions {
  /** The node's root folder; created when it is missing. */
  readonly root: string;
  /** The node's cgroup2 folder. */
  readonly cgroup: string;
  /** Folder of the pins. */
  readonly pins: string;
  /** Folder with ca.crt, tls.crt and tls.key. */
  readonly tlsDir: string;
  readonly mode?: DatapathMode;
}

/** Program and arguments; it runs in the network namespace of the process that starts it. */
export function agentCommand({ root, cgroup, pins, tlsDir, mode = "sockets" }: AgentOptions): [string, string[]] {
  mkdirSync(join(root, "run"), { recursive: true });
  const args = [
    ["--node", NODE, "--node-root", root, "--cgroup", cgroup, "--bpffs", pins, "--servers", SERVER],
    ["--tls-dir", tlsDir, "--health", "127.0.0.1:9444", "--cni-plugin", PLUGIN, "--datapath-mode", mode],
  ].flat();
  return [process.execPath, [join(REPOSITORY, "apps/node-agent/dist/main.js"), ...args]];
}

/** Writes those of an apiserver and of the agent; resolves with their folders. */
export async function makeCertificates(folder: string): Promise<{ readonly server: string; readonly agent: string }> {
  const authority = await createAuthority("mesh ca of bench");
  const sans = ["127.0.0.1", "localhost", "clustermesh-apiserver.mesh-system.svc"];
  const pairs = {
    server: await issue(authority, { cn: "apiserver", sans, usages: ["server"] }),
    agent: await issue(authority, { cn: `system:mesh-node:${NODE}`, usages: ["client"] }),
  };
  for (const [name, pair] of Object.entries(pairs)) {
    mkdirSync(join(folder, name), { recursive: true });
    await writePair(join(folder, name), "tls", pair);
    await writeCertificate(join(folder, name, "ca.crt"), authority.certificate);
  }
  return { server: join(folder, "server"), agent: join(folder, "agent") };
}

/** Removes the cgroup and those that the agent created in it, after its processes have exited. */
export function removeCgroups(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroups(join(path, entry.name));
  }
  rmdirSync(path);
}
