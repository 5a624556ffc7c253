/** Certificates of the shared etcd: one CA, the server's certificate, and the owner's (CN=root). */
import { join } from "node:path";
import { createAuthority, issue, writePair } from "@isthmus/pki";
import type { LabPaths } from "../plan/paths.js";
import type { LabPlan } from "../plan/plan.js";

export async function writeStoreCertificates(plan: LabPlan, paths: LabPaths): Promise<void> {
  const authority = await createAuthority(`${plan.name}-mesh-store`);
  const directory = paths.store.root;
  await writePair(directory, "ca", authority);
  const names = ["localhost", "127.0.0.1", plan.underlay.storeAddress];
  await writePair(directory, "server", await issue(authority, { cn: "mesh-etcd", sans: names, usages: ["server"] }));
  await writePair(directory, "root", await issue(authority, { cn: "root", usages: ["client"] }));
}

/** The content of the file that `MESH_STORE` names, with absolute paths. */
export function storeFile(plan: LabPlan, paths: LabPaths): string {
  const at = (name: string) => join(paths.store.root, name);
  const content = {
    endpoints: [`https://${plan.underlay.storeAddress}:2379`],
    ca: at("ca.crt"),
    cert: at("root.crt"),
    key: at("root.key"),
    caKey: at("ca.key"),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}
