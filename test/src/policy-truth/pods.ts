/** The pods of the truth tables: clients and servers of two clusters, and what a client may try with a server. */

export const CLUSTERS = ["solo", "other"] as const;
export type ClusterName = (typeof CLUSTERS)[number];

export interface TruthPod {
  readonly name: string;
  readonly cluster: ClusterName;
  readonly namespace: string;
  /** Index of its node in the cluster. */
  readonly node: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Of a server, the port that it calls SQL. */
  readonly sql?: number;
}

export const SHOP = "shop";
export const OPS = "ops";
export const SQL = "sql";

export const CLIENTS: readonly TruthPod[] = [
  { name: "web", cluster: "solo", namespace: SHOP, node: 0, labels: { app: "web", tier: "front" } },
  { name: "batch", cluster: "solo", namespace: SHOP, node: 1, labels: { app: "batch" } },
  { name: "ops", cluster: "solo", namespace: OPS, node: 0, labels: { app: "web" } },
  { name: "far", cluster: "other", namespace: SHOP, node: 0, labels: { app: "web", tier: "front" } },
];

export const SERVERS: readonly TruthPod[] = [
  { name: "db", cluster: "solo", namespace: SHOP, node: 0, labels: { app: "db" }, sql: 7000 },
  { name: "api", cluster: "solo", namespace: SHOP, node: 1, labels: { app: "api" }, sql: 8080 },
  { name: "cache", cluster: "other", namespace: SHOP, node: 1, labels: { app: "db" }, sql: 7000 },
];

export const PODS = [...CLIENTS, ...SERVERS];

/** Labels of the Namespaces of `solo` at the begin of a table; those of `other` have none. */
export const NAMESPACE_LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [SHOP]: {},
  [OPS]: { team: "ops" },
};

/** Servers listen on these, with TCP and UDP. */
export const PORTS = [7000, 8080] as const;

export interface Trial {
  readonly letter: string;
  /** As `mesh policy explain` and the tables' failures name it. */
  readonly text: string;
  /** IP protocol. */
  readonly protocol: number;
  /** Of ICMP type << 8 | code. */
  readonly port: number;
}

/** What each client tries with each server: the letters of a grid. */
export const TRIALS: readonly Trial[] = [
  { letter: "t", text: "7000/tcp", protocol: 6, port: 7000 },
  { letter: "h", text: "8080/tcp", protocol: 6, port: 8080 },
  { letter: "u", text: "7000/udp", protocol: 17, port: 7000 },
  { letter: "i", text: "ICMP echo", protocol: 1, port: 8 << 8 },
];
