/**
 * The static settings of a cluster: ConfigMap mesh-system/mesh-config, parsed strictly.
 *
 * In: its data. Out: settings, or `MESH_CONFIG` with the field, what is wrong, and what to write.
 */
import {
  type ClusterId,
  type ClusterName,
  MeshError,
  type Prefix,
  parseClusterId,
  parseClusterName,
  parsePrefix,
  prefixesOverlap,
} from "@isthmus/model";
import { splitHostPort } from "@isthmus/observe";

export interface MeshConfig {
  readonly cluster: ClusterName;
  readonly id: ClusterId;
  /** The whole cluster's, not a node's. */
  readonly podCidrs: readonly Prefix[];
  /** Undefined: from ServiceCIDR objects. */
  readonly serviceCidrs: readonly Prefix[] | undefined;
  /** host:port of every replica, told to agents. */
  readonly servers: readonly string[];
  /** host:port for the CLI. */
  readonly adminServers: readonly string[];
  /** PEM; "" when not set. */
  readonly adminCa: string;
}

type Data = Readonly<Record<string, string>>;

export function parseMeshConfig(data: Data): MeshConfig {
  const podCidrs = list(data, "pod-cidrs", parsePrefix, "10.11.0.0/16");
  const serviceCidrs =
    data["service-cidrs"] === undefined ? undefined : list(data, "service-cidrs", parsePrefix, "10.96.0.0/16");
  refuseOverlaps([...podCidrs, ...(serviceCidrs ?? [])]);
  return {
    cluster: field(data, "cluster-name", parseClusterName, "east"),
    id: field(data, "cluster-id", (text) => parseClusterId(/^\d+$/.test(text) ? Number(text) : Number.NaN), "1"),
    podCidrs,
    serviceCidrs,
    servers: list(data, "servers", hostPort, "10.0.0.1:7443"),
    adminServers: data["admin-servers"] === undefined ? [] : list(data, "admin-servers", hostPort, "10.0.0.1:7444"),
    adminCa: data["admin-ca"] ?? "",
  };
}

function field<T>(data: Data, name: string, parse: (text: string) => T, example: string): T {
  const text = data[name]?.trim() ?? "";
  if (text === "")
    throw refused(name, `Cannot use mesh-config: "${name}" is missing, set it, for example to "${example}"`);
  try {
    return parse(text);
  } catch (cause) {
    const { message } = MeshError.from(cause);
    throw refused(
      name,
      `Cannot use mesh-config: "${name}" is "${text}": ${message}; write it like "${example}"`,
      cause,
    );
  }
}

function list<T>(data: Data, name: string, parse: (text: string) => T, example: string): readonly T[] {
  return field(data, name, (text) => text.split(",").map((part) => parse(part.trim())), example);
}

function hostPort(text: string): string {
  splitHostPort(text);
  return text;
}

function refuseOverlaps(prefixes: readonly Prefix[]): void {
  prefixes.forEach((a, i) => {
    if (prefixes.slice(i + 1).some((b) => prefixesOverlap(a, b)))
      throw refused(
        "pod-cidrs",
        'Cannot use mesh-config: two of "pod-cidrs" and "service-cidrs" overlap, write disjoint ones',
      );
  });
}

function refused(name: string, sentence: string, cause?: unknown): MeshError<{ code: "MESH_CONFIG"; field: string }> {
  return new MeshError({ code: "MESH_CONFIG", field: name }, sentence, { cause });
}
