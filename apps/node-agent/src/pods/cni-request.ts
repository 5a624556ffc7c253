/**
 * Parses and validates one call of the plugin, as apps/cni/src/agent.c writes it to the socket:
 *
 * `isthmus-cni 1\n`, `NAME=value\0` for each variable, `\0`, the network configuration as JSON.
 */
import { protocolNumber } from "@isthmus/model";
import { CNI_DECODE, CNI_INCOMPATIBLE_VERSION, CNI_INVALID_ENVIRONMENT, CniError } from "./cni-error.js";
import type { HostPort } from "./types.js";

export const REQUEST_MAX = 300 * 1024;
const HOST_PORTS_MAX = 64;

export type CniCommand = "ADD" | "DEL" | "CHECK";

export interface CniRequest {
  /** From CNI_COMMAND. */
  readonly command: CniCommand;
  /** From CNI_CONTAINERID: 1 to 128 of the characters that CNI allows. */
  readonly containerId: string;
  /** Path of the pod's network namespace on the node; "" in a DEL of a namespace that is gone. */
  readonly netns: string;
  /** From CNI_IFNAME: 1 to 15 characters. */
  readonly interfaceName: string;
  /** From CNI_ARGS; "" for what the runtime did not pass. */
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string };
  /**
   * The pod's cgroup as the runtime names it (capability `cgroupPath`): a path, or with systemd the name of a slice.
   */
  readonly podCgroup: string | undefined;
  /** Host ports that the pod requests (capability `portMappings`). */
  readonly hostPorts: readonly HostPort[];
}

const GREETING = "isthmus-cni 1\n";
const COMMANDS: ReadonlySet<string> = new Set(["ADD", "DEL", "CHECK"]);

/** Throws `CniError` when the request is invalid. */
export function parseRequest(bytes: Buffer): CniRequest {
  const end = bytes.indexOf("\0\0", 0, "latin1");
  if (bytes.subarray(0, GREETING.length).toString("latin1") !== GREETING || end < 0) {
    throw new CniError(CNI_DECODE, "Cannot read the request: it was not sent by this version's plugin");
  }
  const config = readConfig(bytes.subarray(end + 2).toString());
  const variables = new Map<string, string>();
  for (const entry of bytes.subarray(GREETING.length, end).toString().split("\0")) {
    variables.set(entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1));
  }
  const cgroup = config.runtimeConfig?.cgroupPath;
  return {
    ...checkVariables(variables),
    podCgroup: typeof cgroup === "string" && cgroup !== "" ? cgroup : undefined,
    hostPorts: readHostPorts(config.runtimeConfig?.portMappings),
  };
}

/**
 * Mappings without a valid port are skipped: a pod's network must not fail because of a port that is not served anyway.
 * containerd writes `HostPort` where CNI's convention is `hostPort`; programs in Go accept both.
 */
function readHostPorts(mappings: unknown): readonly HostPort[] {
  if (!Array.isArray(mappings)) return [];
  return mappings.slice(0, HOST_PORTS_MAX).flatMap((mapping: unknown) => {
    const fields = new Map(Object.entries(Object(mapping)).map(([name, value]) => [name.toLowerCase(), value]));
    const port = Number(fields.get("hostport"));
    const protocol = protocolNumber(String(fields.get("protocol") ?? "tcp").toUpperCase());
    return Number.isInteger(port) && port > 0 && port < 65_536 && protocol !== undefined ? [{ port, protocol }] : [];
  });
}

interface Config {
  readonly cniVersion?: unknown;
  readonly runtimeConfig?: { readonly cgroupPath?: unknown; readonly portMappings?: unknown } | null;
}

function readConfig(json: string): Config {
  let config: Config | null;
  try {
    config = JSON.parse(json) as Config | null;
  } catch (cause) {
    throw new CniError(CNI_DECODE, "Cannot read the network configuration as JSON", { cause });
  }
  if (config?.cniVersion === "1.0.0") return config;
  const sentence = `Cannot use CNI version "${String(config?.cniVersion)}": only "1.0.0" is supported`;
  throw new CniError(CNI_INCOMPATIBLE_VERSION, sentence);
}

function checkVariables(variables: ReadonlyMap<string, string>): Omit<CniRequest, "podCgroup" | "hostPorts"> {
  const value = (name: string) => variables.get(name) ?? "";
  const command = value("CNI_COMMAND");
  const netns = value("CNI_NETNS");
  const mayLackNetns = command === "DEL" && netns === "";
  require("CNI_COMMAND", command, COMMANDS.has(command));
  require("CNI_CONTAINERID", value("CNI_CONTAINERID"), /^[A-Za-z0-9][\w.-]{0,127}$/.test(value("CNI_CONTAINERID")));
  require("CNI_IFNAME", value("CNI_IFNAME"), isInterfaceName(value("CNI_IFNAME")));
  require("CNI_NETNS", netns, mayLackNetns || (/^\/[\w./:-]+$/.test(netns) && !netns.split("/").includes("..")));
  const args = new Map(
    value("CNI_ARGS")
      .split(";")
      .map((arg) => [arg.slice(0, arg.indexOf("=")), arg.slice(arg.indexOf("=") + 1)]),
  );
  const arg = (name: string) => args.get(`K8S_POD_${name}`) ?? "";
  return {
    command: command as CniCommand,
    containerId: value("CNI_CONTAINERID"),
    netns,
    interfaceName: value("CNI_IFNAME"),
    pod: { namespace: arg("NAMESPACE"), name: arg("NAME"), uid: arg("UID") },
  };
}

/** Names that the kernel accepts, except those that `ip` would parse as two words. */
function isInterfaceName(text: string): boolean {
  return /^[\w.-]{1,15}$/.test(text) && text !== "." && text !== "..";
}

function require(name: string, value: string, ok: boolean): void {
  if (!ok) throw new CniError(CNI_INVALID_ENVIRONMENT, `Cannot use ${name} "${value.slice(0, 100)}"`);
}
