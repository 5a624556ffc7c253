/** The real kube-proxy in a network namespace: its rules are in that namespace only, and go with it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { run } from "../host/run.js";
import { waitFor } from "../host/wait.js";
import { resolveKubeProxy } from "../kube-binaries/resolve.js";

/** The program that kube-proxy calls in each of its modes. */
export const PROXY_PROGRAMS = { iptables: "iptables", nftables: "nft" } as const;

export type ProxyMode = keyof typeof PROXY_PROGRAMS;

export interface KubeProxyOptions {
  readonly mode: ProxyMode;
  /** Path of the network namespace, whose loopback device is up. */
  readonly netns: string;
  /** Name of its Node object. */
  readonly node: string;
  /** The cluster's: what comes from it to a ClusterIP keeps its source address. */
  readonly podCidr: string;
  /** File with the rights of ClusterRole `system:node-proxier`. */
  readonly kubeconfig: string;
}

export interface KubeProxy {
  /** Ends it; its rules stay. */
  end(): Promise<void>;
  /** Removes the rules; call it after `end`. */
  removeRules(): Promise<void>;
}

const METRICS = "127.0.0.1:10249";
/** When it last wrote all rules, in seconds: 0 before it read the Services. One per family of addresses. */
const WRITTEN = /^kubeproxy_sync_proxy_rules_last_timestamp_seconds\{ip_family="IPv4"\} [1-9]/m;

/** Resolves when the rules of all Services are there. */
export async function startKubeProxy(options: KubeProxyOptions): Promise<KubeProxy> {
  const { mode, netns, node, podCidr, kubeconfig } = options;
  const program = await resolveKubeProxy();
  const inNode = ["nsenter", `--net=${netns}`, "--"];
  const settings = {
    kubeconfig,
    "proxy-mode": mode,
    "hostname-override": node,
    "cluster-cidr": podCidr,
    "metrics-bind-address": METRICS,
    // Sizes of the machine's table, which no node of a lab may set.
    "conntrack-max-per-core": "0",
    "conntrack-min": "0",
  };
  const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  // With this process, however it ends, kube-proxy ends.
  const argv = ["--pdeathsig", "KILL", ...inNode, program, ...flags];
  const child = spawn("setpriv", argv, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "exit");
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-1500);
  });
  const hasRules = async () => {
    if (child.exitCode !== null) throw new Error(`Cannot start kube-proxy: ${log}`);
    return WRITTEN.test(await run([...inNode, "curl", "-s", `http://${METRICS}/metrics`]).catch(() => ""));
  };
  const proxy: KubeProxy = {
    async end() {
      child.kill("SIGKILL");
      await ended;
    },
    removeRules: async () => void (await run([...inNode, program, "--cleanup", `--proxy-mode=${mode}`])),
  };
  try {
    const what = `kube-proxy on ${node} to have its rules`;
    await waitFor(what, hasRules, { timeoutMs: 20_000, everyMs: 100, reason: () => log });
    return proxy;
  } catch (error) {
    await proxy.end();
    throw error;
  }
}
