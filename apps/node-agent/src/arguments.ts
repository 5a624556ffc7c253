/** The command line of node-agent. Throws `USAGE` with what to write. */
import { join } from "node:path";
import { checkAddressOption, readOptions, usageError } from "@isthmus/observe";

export interface Arguments {
  readonly node: string;
  /** The node's files as this process sees them. */
  readonly nodeRoot: string;
  /** The node's cgroup2 folder; programs go to its `kubepods`. */
  readonly cgroup: string;
  readonly bpffs: string;
  readonly servers: readonly string[];
  readonly tlsDir: string;
  readonly stateDir: string;
  readonly health: string;
  readonly cniPlugin: string;
  /** As the node sees them. */
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly cniSocket: string;
  /** Folder of the built BPF objects; undefined = beside this program. */
  readonly bpfDir: string | undefined;
}

export const USAGE = `Usage: node-agent --node NAME --cgroup DIR --servers HOST:PORT[,HOST:PORT] --tls-dir DIR --cni-plugin FILE [options]

  --node NAME          name of the Kubernetes node
  --node-root DIR      where the node's files are (/)
  --cgroup DIR         the node's cgroup2 folder; programs go to its kubepods
  --bpffs DIR          folder of the pins (/sys/fs/bpf/isthmus)
  --servers LIST       apiservers to begin with
  --tls-dir DIR        ca.crt tls.crt tls.key
  --state-dir DIR      what is kept between starts (NODE_ROOT/var/lib/isthmus/agent)
  --health IP:PORT     /livez /readyz /metrics (127.0.0.1:9444)
  --cni-plugin FILE    the static plugin to install
  --cni-bin-dir DIR    where the node's runtime looks for plugins (/opt/cni/bin)
  --cni-conf-dir DIR   where it looks for configurations (/etc/cni/net.d)
  --cni-socket PATH    where the plugin finds this agent (/run/isthmus/cni.sock)
  --bpf-dir DIR        the built BPF objects (beside this program)
`;

const NAMES = [
  "node",
  "node-root",
  "cgroup",
  "bpffs",
  "servers",
  "tls-dir",
  "state-dir",
  "health",
  "cni-plugin",
  "cni-bin-dir",
  "cni-conf-dir",
  "cni-socket",
  "bpf-dir",
] as const;

export function parseArguments(argv: readonly string[]): Arguments {
  const values = readOptions(argv, NAMES);
  const need = (name: (typeof NAMES)[number]): string => {
    const value = values[name];
    if (value === undefined || value === "") throw usageError(`--${name} is missing`);
    return value;
  };
  const servers = need("servers").split(",");
  for (const server of servers) checkAddressOption("servers", server);
  const health = values["health"] ?? "127.0.0.1:9444";
  checkAddressOption("health", health);
  const nodeRoot = values["node-root"] ?? "/";
  return {
    node: need("node"),
    nodeRoot,
    cgroup: need("cgroup"),
    bpffs: values["bpffs"] ?? "/sys/fs/bpf/isthmus",
    servers,
    tlsDir: need("tls-dir"),
    stateDir: values["state-dir"] ?? join(nodeRoot, "var/lib/isthmus/agent"),
    health,
    cniPlugin: need("cni-plugin"),
    cniBinDir: values["cni-bin-dir"] ?? "/opt/cni/bin",
    cniConfDir: values["cni-conf-dir"] ?? "/etc/cni/net.d",
    cniSocket: values["cni-socket"] ?? "/run/isthmus/cni.sock",
    bpfDir: values["bpf-dir"],
  };
}
