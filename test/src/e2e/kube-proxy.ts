/** The real kube-proxy on a node of a lab. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClusterPlan, LabHandle, NodePlan } from "@isthmus/lab";
import { type ProxyMode, startKubeProxy } from "@isthmus/lab/testing";
import { issue, readPair, readPem } from "@isthmus/pki";
import { processOf } from "./processes.js";

export interface NodeProxy {
  /** Ends it and removes its rules. */
  stop(): Promise<void>;
}

/** Starts kube-proxy as the user `system:kube-proxy`, whose rights are those of ClusterRole `system:node-proxier`. */
export async function startNodeProxy(
  lab: LabHandle,
  cluster: ClusterPlan,
  node: NodePlan,
  mode: ProxyMode,
): Promise<NodeProxy> {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-kube-proxy-"));
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, await credentials(lab, cluster), { mode: 0o600 });
  const { pid } = await processOf(lab.plan.name, { role: "node", node: node.name });
  const netns = `/proc/${pid}/ns/net`;
  const proxy = await startKubeProxy({ mode, netns, node: node.name, podCidr: cluster.podCidr, kubeconfig });
  return {
    async stop() {
      await proxy.end();
      await rm(folder, { recursive: true });
      await proxy.removeRules();
    },
  };
}

async function credentials(lab: LabHandle, { name, apiAddress }: ClusterPlan): Promise<string> {
  const { pki } = lab.paths.cluster(name);
  const user = await issue(await readPair(pki, "ca"), { cn: "system:kube-proxy", usages: ["client"] });
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const authority = base64(await readPem(join(pki, "ca.crt")));
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server: `https://${apiAddress}:6443`, "certificate-authority-data": authority } }],
    users: [
      {
        name,
        user: { "client-certificate-data": base64(user.certificate), "client-key-data": base64(user.key) },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
  });
}
