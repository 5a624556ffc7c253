/** The real kube-proxy on a node of a lab: its rules are in the node's network namespace only, and go with the node. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClusterPlan, type LabHandle, type NodePlan, resolveKubeProxy } from "@isthmus/lab";
import { issue, readPair, readPem } from "@isthmus/pki";
import { eventually } from "./eventually.js";
import { processOf } from "./processes.js";
import { run } from "./run.js";

export type ProxyMode = "iptables" | "nftables";

export interface KubeProxy {
  /** Ends it and removes its rules. */
  stop(): Promise<void>;
}

/** Port of its health answer, which is 200 when all Services that it knows are in its rules. */
const HEALTH = 10256;

/** Starts kube-proxy as the user `system:kube-proxy`, whose rights are those of ClusterRole `system:node-proxier`. */
export async function startKubeProxy(
  lab: LabHandle,
  cluster: ClusterPlan,
  node: NodePlan,
  mode: ProxyMode,
): Promise<KubeProxy> {
  const program = await resolveKubeProxy();
  const folder = await mkdtemp(join(tmpdir(), "isthmus-kube-proxy-"));
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, await credentials(lab, cluster), { mode: 0o600 });
  const { pid } = await processOf(lab.plan.name, { role: "node", node: node.name });
  const inNode = [`--net=/proc/${pid}/ns/net`, "--"];
  const settings = {
    kubeconfig,
    "proxy-mode": mode,
    "hostname-override": node.name,
    "cluster-cidr": cluster.podCidr,
    "healthz-bind-address": `127.0.0.1:${HEALTH}`,
    "metrics-bind-address": "127.0.0.1:10249",
    // Sizes of the machine's table, which no node of a lab may set.
    "conntrack-max-per-core": "0",
    "conntrack-min": "0",
  };
  const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  // With this process, however it ends, kube-proxy ends.
  const argv = ["--pdeathsig", "KILL", "nsenter", ...inNode, program, ...flags];
  const child = spawn("setpriv", argv, { stdio: ["ignore", "ignore", "pipe"] });
  const said: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.push(text);
    if (said.length > 200) said.shift();
  });
  const ended = once(child, "exit");
  const healthy = async () => {
    if (child.exitCode !== null) return `it ended: ${said.join("").slice(-1500)}`;
    const url = `http://127.0.0.1:${HEALTH}/healthz`;
    return (await run("nsenter", [...inNode, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url])).out;
  };
  await eventually(`kube-proxy on ${node.name} to have its rules`, healthy, (answer) => answer === "200", 60_000);
  return {
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
      const cleaned = await run("nsenter", [...inNode, program, "--cleanup", `--proxy-mode=${mode}`]);
      await rm(folder, { recursive: true });
      if (cleaned.code !== 0) throw new Error(`Cannot remove the rules of kube-proxy: ${cleaned.err.slice(-1500)}`);
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
