/** The command line of node-agent. Throws a `USAGE` error that says what to write. */
import { join } from "node:path";
import { type DatapathMode, type MapSizes, SIZE_NAMES, sizeProblem } from "@isthmus/bpf";
import { checkAddressOption, readOptions, usageError } from "@isthmus/observe";
import { covers, pathOf } from "./cgroups/layouts.js";

export interface Arguments {
  /** Kubernetes name of this node; its certificate names it as `system:mesh-node:NAME`. */
  readonly node: string;
  /** The node's root folder as this process sees it. */
  readonly nodeRoot: string;
  /** The node's cgroup2 folder. */
  readonly cgroup: string;
  /** Cgroups of pods, relative to `cgroup`, no outer slashes; undefined = the known layouts (cgroups/layouts.ts). */
  readonly podsCgroups: readonly string[] | undefined;
  /** Folder of the pins, as this process sees it. */
  readonly bpffs: string;
  /** `HOST:PORT` of apiservers, at least one; those of a Welcome are tried after them. */
  readonly servers: readonly string[];
  /** Folder with `ca.crt`, `tls.crt` and `tls.key`, which are read again for each connection. */
  readonly tlsDir: string;
  /** Folder of the files that are kept between starts, as this process sees it. */
  readonly stateDir: string;
  /** `IP:PORT` of /livez, /readyz and /metrics. */
  readonly health: string;
  /** Address on which metrics are served to other hosts; undefined = not served. */
  readonly metricsAddress: string | undefined;
  /** The static plugin, as this process sees it; it is copied to `cniBinDir`. */
  readonly cniPlugin: string;
  /** This path and the next two are as the node sees them. */
  readonly cniBinDir: string;
  /** Folder in which the node's runtime looks for network configurations. */
  readonly cniConfDir: string;
  /** The socket on which the plugin finds this agent. */
  readonly cniSocket: string;
  /**
   * True: a connect to an address of the Service ranges without a Service fails with EHOSTUNREACH. False: it is passed
   * on.
   */
  readonly refuseUnknownClusterIps: boolean;
  /** Entries of the maps; those that are absent have their default. */
  readonly mapSizes: Partial<MapSizes>;
  /** `packets`: programs on devices deliver packets between pods of the mesh past the node's stack. */
  readonly datapathMode: DatapathMode;
  /** A change to mode `sockets` ends the enforcement of policies; without it such a change is refused while pods have policies. */
  readonly unenforcedPolicy: boolean;
  /** Folder of the built BPF objects; undefined = beside this program. */
  readonly bpfDir: string | undefined;
}

export const USAGE = `Usage: node-agent --node NAME --cgroup DIR --servers HOST:PORT[,HOST:PORT] --tls-dir DIR --cni-plugin FILE [options]

Programs this node's kernel with the Services of its cluster and of connected ones, and gives its pods their network.
Stopping it removes nothing: programs, maps, routes and pods' interfaces stay, and the next start adopts them.

  --node NAME          name of the Kubernetes node
  --servers LIST       apiservers to try first; those that a Welcome lists are kept on disk
  --tls-dir DIR        ca.crt tls.crt tls.key; the certificate's name is system:mesh-node:NAME
  --health IP:PORT     /livez /readyz /metrics (127.0.0.1:9444)
  --metrics-address IP:PORT
                       /metrics for scrapers on other hosts, without authentication (not served)

  --node-root DIR      the node's root folder, as this process sees it (/)
  --state-dir DIR      files that are kept between starts (NODE_ROOT/var/lib/isthmus/agent)
  --cgroup DIR         the node's cgroup2 folder, or the one that has it as "unified" beside cgroup v1: /sys/fs/cgroup
  --pods-cgroup LIST   the cgroups of pods in it, or auto: those that exist of kubepods, kubepods.slice,
                       kubelet/kubepods and kubelet.slice/kubelet-kubepods.slice (auto)
  --unknown-cluster-ip refuse|pass
                       a connect to an address of the Service ranges that belongs to no Service: fails at once with
                       EHOSTUNREACH, or is passed to the network (refuse)
  --bpffs DIR          folder of the pins (/sys/fs/bpf/isthmus)
  --map-sizes LIST     entries of the maps, NAME=NUMBER[,NAME=NUMBER]; maps of a running node grow while traffic runs,
                       and never shrink (frontends=65536,services=65536,backends=262144,nodes=32768,udp=65536; in mode
                       packets flows=524288,pods=4096,ranges=65536,addresses=262144,prefixes=65536,sets=16384,
                       peers=262144,ports=262144, and events=2097152: bytes of the ring buffer, a power of two)
  --datapath-mode sockets|packets
                       packets: Services when a pod connects, and programs on devices that deliver packets between pods
                       of the mesh past the node's stack and move connects to dead backends to others; sockets: Services
                       alone, packets by plain routing and no policies (packets)
  --unenforced-policy  with --datapath-mode sockets: change to it although policies select pods of the node, which are
                       open from then on; without it the agent does not start, and the policies stay in force
  --bpf-dir DIR        the built BPF objects (beside this program)

  --cni-plugin FILE    the static plugin to install
  --cni-bin-dir DIR    where the node's runtime looks for plugins (/opt/cni/bin)
  --cni-conf-dir DIR   where it looks for configurations (/etc/cni/net.d)
  --cni-socket PATH    where the plugin finds this agent (/run/isthmus/cni.sock)

Exit codes: 0 stopped, 1 an error that the last line of the log names, 2 a wrong command line.
`;

const NAMES = [
  "node",
  "node-root",
  "cgroup",
  "pods-cgroup",
  "bpffs",
  "servers",
  "tls-dir",
  "state-dir",
  "health",
  "metrics-address",
  "cni-plugin",
  "cni-bin-dir",
  "cni-conf-dir",
  "cni-socket",
  "unknown-cluster-ip",
  "bpf-dir",
  "datapath-mode",
  "map-sizes",
] as const;

const FLAGS = ["unenforced-policy"] as const;

/**
 * `argv`: without the paths of Node.js and the program. Throws `USAGE` for an option that is unknown, missing or
 * invalid.
 */
export function parseArguments(argv: readonly string[]): Arguments {
  const values = readOptions(argv, NAMES, FLAGS);
  const need = (name: (typeof NAMES)[number]): string => {
    const value = values[name];
    if (value === undefined || value === "") throw usageError(`--${name} is missing`);
    return value;
  };
  const servers = need("servers").split(",");
  for (const server of servers) checkAddressOption("servers", server);
  const health = values["health"] ?? "127.0.0.1:9444";
  checkAddressOption("health", health);
  const metricsAddress = values["metrics-address"];
  if (metricsAddress !== undefined) checkAddressOption("metrics-address", metricsAddress);
  const nodeRoot = values["node-root"] ?? "/";
  const datapathMode = parseDatapathMode(values["datapath-mode"] ?? "packets");
  const unenforcedPolicy = values["unenforced-policy"] ?? false;
  if (unenforcedPolicy && datapathMode !== "sockets")
    throw usageError("--unenforced-policy is for --datapath-mode sockets, leave it out");
  return {
    node: need("node"),
    nodeRoot,
    cgroup: need("cgroup"),
    podsCgroups: parsePodsCgroups(values["pods-cgroup"] ?? "auto"),
    bpffs: values["bpffs"] ?? "/sys/fs/bpf/isthmus",
    servers,
    tlsDir: need("tls-dir"),
    stateDir: values["state-dir"] ?? join(nodeRoot, "var/lib/isthmus/agent"),
    health,
    metricsAddress,
    cniPlugin: need("cni-plugin"),
    cniBinDir: values["cni-bin-dir"] ?? "/opt/cni/bin",
    cniConfDir: values["cni-conf-dir"] ?? "/etc/cni/net.d",
    cniSocket: values["cni-socket"] ?? "/run/isthmus/cni.sock",
    refuseUnknownClusterIps: parseUnknownClusterIp(values["unknown-cluster-ip"] ?? "refuse"),
    mapSizes: parseMapSizes(values["map-sizes"] ?? ""),
    datapathMode,
    unenforcedPolicy,
    bpfDir: values["bpf-dir"],
  };
}

function parseUnknownClusterIp(text: string): boolean {
  if (text === "refuse" || text === "pass") return text === "refuse";
  throw usageError(`--unknown-cluster-ip is "${text}", write "refuse" or "pass"`);
}

function parseDatapathMode(text: string): DatapathMode {
  if (text === "sockets" || text === "packets") return text;
  throw usageError(`--datapath-mode is "${text}", write "sockets" or "packets"`);
}

function parseMapSizes(text: string): Partial<MapSizes> {
  const sizes: Partial<Record<keyof MapSizes, number>> = {};
  for (const item of text === "" ? [] : text.split(",")) {
    const [, name = "", digits = ""] = /^([a-z]+)=(\d+)$/.exec(item) ?? [];
    const wrong = (what: string) => usageError(`--map-sizes has "${item}", ${what}`);
    if (digits === "") throw wrong('write it like "backends=524288"');
    if (!isSizeName(name)) throw wrong(`choose the name from ${SIZE_NAMES.join(", ")}`);
    if (name in sizes) throw wrong(`name "${name}" once`);
    const entries = Number(digits);
    const problem = sizeProblem(name, entries);
    if (problem !== undefined) throw wrong(problem);
    sizes[name] = entries;
  }
  return sizes;
}

function isSizeName(name: string): name is keyof MapSizes {
  return SIZE_NAMES.some((known) => known === name);
}

/** No cgroup of the list may be inside another one: a program would run twice for one connect. */
function parsePodsCgroups(text: string): readonly string[] | undefined {
  if (text === "auto") return undefined;
  const wrong = (what: string) => usageError(`--pods-cgroup is "${text}", ${what}`);
  const cgroups = text.split(",").map(pathOf);
  if (cgroups.some((cgroup) => cgroup === "" || cgroup.split("/").some((part) => part === "." || part === ".."))) {
    throw wrong('write it like "kubepods.slice", relative to --cgroup, or "auto"');
  }
  for (const [i, a] of cgroups.entries()) {
    if (cgroups.some((b, j) => i !== j && covers(a, b)))
      throw wrong("of which one is in another: name only the outer one");
  }
  return cgroups;
}
