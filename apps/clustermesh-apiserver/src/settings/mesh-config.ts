/**
 * The static settings of a cluster: ConfigMap mesh-system/mesh-config, parsed strictly.
 *
 * In: its data. Out: settings, or `MESH_CONFIG` with the field, what is wrong, and what to write. `salvageMeshConfig` returns
 * the usable fields of an unusable one.
 */
import {
  type ClusterId,
  type ClusterName,
  DEFAULT_RESCUE_AFTER,
  formatPrefix,
  MeshError,
  type Prefix,
  parseClusterId,
  parseClusterName,
  parsePrefix,
  parseRescueAfter,
  prefixesOverlap,
  printable,
  RESCUE_AFTER_VALUES,
  type RescueAfter,
} from "@isthmus/model";
import { splitHostPort } from "@isthmus/observe";
import { type ClusterAuditMode, parseClusterAuditMode, type PolicyScope } from "@isthmus/policy";

export interface MeshConfig {
  /** "cluster-name": it changes only with a restart. */
  readonly cluster: ClusterName;
  /** "cluster-id": it never changes, as the maps of every node contain it. */
  readonly id: ClusterId;
  /** Ranges of the whole cluster, not of a node. Undefined: not usable, and no last good ones are known. */
  readonly podCidrs: readonly Prefix[] | undefined;
  /** Undefined: the ServiceCIDR objects are used. */
  readonly serviceCidrs: readonly Prefix[] | undefined;
  /** host:port of every replica, sent to agents. */
  readonly servers: readonly string[];
  /** host:port for the CLI. */
  readonly adminServers: readonly string[];
  /** PEM; "" when not set. */
  readonly adminCa: string;
  /** For Services without an annotation of it. */
  readonly rescueAfter: RescueAfter;
  /** Whose pods a selector of a Cilium policy means that asks for no cluster. */
  readonly policyScope: PolicyScope;
  /** Of pods and namespaces without an annotation about it; "never" while it cannot be known. */
  readonly auditMode: ClusterAuditMode;
}

export type ConfigData = Readonly<Record<string, string>>;
type Data = ConfigData;

/** As many ranges as the MeshCluster object takes; more servers than there are replicas. */
const MAX_ITEMS = 64;
const MAX_ITEM_LENGTH = 256;

/** Throws `MESH_CONFIG` for the first field that is missing or invalid, and for ranges that overlap. */
export function parseMeshConfig(data: Data): MeshConfig & { readonly podCidrs: readonly Prefix[] } {
  const podCidrs = list(data, "pod-cidrs", parsePrefix, "10.11.0.0/16");
  const serviceCidrs =
    data["service-cidrs"] === undefined ? undefined : list(data, "service-cidrs", parsePrefix, "10.96.0.0/16");
  refuseOverlaps([
    ...podCidrs.map((each) => ["pod-cidrs", each] as const),
    ...(serviceCidrs ?? []).map((each) => ["service-cidrs", each] as const),
  ]);
  return {
    cluster: field(data, "cluster-name", parseClusterName, "east"),
    id: field(data, "cluster-id", clusterId, "1"),
    podCidrs,
    serviceCidrs,
    servers: list(data, "servers", hostPort, "10.0.0.1:7443"),
    adminServers: data["admin-servers"] === undefined ? [] : list(data, "admin-servers", hostPort, "10.0.0.1:7444"),
    adminCa: data["admin-ca"] ?? "",
    rescueAfter: rescueDefault(data),
    policyScope: scopeDefault(data),
    auditMode: auditDefault(data),
  };
}

/** The usable fields of an unusable mesh-config; undefined unless it has the cluster's name and id. */
export function salvageMeshConfig(data: ConfigData): MeshConfig | undefined {
  const cluster = attempt(() => field(data, "cluster-name", parseClusterName, "east"));
  const id = attempt(() => field(data, "cluster-id", clusterId, "1"));
  if (cluster === undefined || id === undefined) return undefined;
  return {
    ...{ cluster, id, podCidrs: undefined, serviceCidrs: undefined, adminCa: "" },
    servers: attempt(() => list(data, "servers", hostPort, "10.0.0.1:7443")) ?? [],
    adminServers: attempt(() => list(data, "admin-servers", hostPort, "10.0.0.1:7444")) ?? [],
    rescueAfter: attempt(() => rescueDefault(data)) ?? DEFAULT_RESCUE_AFTER,
    policyScope: attempt(() => scopeDefault(data)) ?? "local",
    auditMode: attempt(() => auditDefault(data)) ?? "never",
  };
}

/** The fields that a start needs, as text; `parseMeshConfig` reads it back. */
export function savedText(data: ConfigData): string {
  return JSON.stringify(
    Object.fromEntries(KEPT.flatMap((name) => (data[name] === undefined ? [] : [[name, data[name]]]))),
  );
}

const KEPT = [
  "cluster-name",
  "cluster-id",
  "pod-cidrs",
  "service-cidrs",
  "servers",
  "admin-servers",
  "rescue-after",
  "policy-default-scope",
  "policy-audit-mode",
] as const;

function rescueDefault(data: Data): RescueAfter {
  if (data["rescue-after"] === undefined) return DEFAULT_RESCUE_AFTER;
  return field(data, "rescue-after", rescueAfter, "250ms");
}

function scopeDefault(data: Data): PolicyScope {
  if (data["policy-default-scope"] === undefined) return "local";
  return field(data, "policy-default-scope", policyScope, "local");
}

function auditDefault(data: Data): ClusterAuditMode {
  if (data["policy-audit-mode"] === undefined) return "false";
  return field(data, "policy-audit-mode", auditMode, "false");
}

function auditMode(text: string): ClusterAuditMode {
  const mode = parseClusterAuditMode(text);
  if (mode === undefined) throw new Error('it is none of "false", "true" and "never"');
  return mode;
}

function policyScope(text: string): PolicyScope {
  if (text !== "local" && text !== "mesh") throw new Error('it is neither "local" nor "mesh"');
  return text;
}

function rescueAfter(text: string): RescueAfter {
  const value = parseRescueAfter(text);
  if (value === undefined) throw new Error(`it is not ${RESCUE_AFTER_VALUES}`);
  return value;
}

function clusterId(text: string): ClusterId {
  return parseClusterId(/^\d+$/.test(text) ? Number(text) : Number.NaN);
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

function field<T>(data: Data, name: string, parse: (text: string) => T, example: string): T {
  const text = data[name]?.trim() ?? "";
  if (text === "")
    throw refused(name, `Cannot use mesh-config: "${name}" is missing, set it, for example to "${example}"`);
  try {
    return parse(text);
  } catch (cause) {
    const { message } = MeshError.from(cause);
    const value = printable(text, MAX_ITEM_LENGTH);
    throw refused(
      name,
      `Cannot use mesh-config: "${name}" is "${value}": ${printable(message, 2 * MAX_ITEM_LENGTH)}; write it like "${example}"`,
      cause,
    );
  }
}

function list<T>(data: Data, name: string, parse: (text: string) => T, example: string): readonly T[] {
  const items = (text: string) => {
    const parts = text.split(",");
    if (parts.length > MAX_ITEMS) throw new Error(`it has ${parts.length} items, at most ${MAX_ITEMS} are possible`);
    return parts.map((part) => parse(bounded(part.trim())));
  };
  return field(data, name, items, example);
}

function bounded(item: string): string {
  if (item.length <= MAX_ITEM_LENGTH) return item;
  throw new Error(`an item is longer than ${MAX_ITEM_LENGTH} characters`);
}

function hostPort(text: string): string {
  splitHostPort(text);
  return text;
}

function refuseOverlaps(ranges: readonly (readonly [name: string, prefix: Prefix])[]): void {
  for (const [i, [name, prefix]] of ranges.entries()) {
    const other = ranges.slice(i + 1).find(([, each]) => prefixesOverlap(prefix, each));
    if (other === undefined) continue;
    const why = `"${formatPrefix(prefix)}" in "${name}" overlaps "${formatPrefix(other[1])}" in "${other[0]}"`;
    throw refused(name, `Cannot use mesh-config: ${why}, write disjoint ones`);
  }
}

function refused(name: string, sentence: string, cause?: unknown): MeshError<{ code: "MESH_CONFIG"; field: string }> {
  return new MeshError({ code: "MESH_CONFIG", field: name }, sentence, { cause });
}
