/** Assesses the views of all contexts. Out: the clusters, their hops, and findings with fixes. */
import { configFix } from "../access/mesh-objects.js";
import type { Finding } from "../output/findings.js";
import { kubectl, shellWord } from "../output/units.js";
import { badAgents } from "./agents.js";
import { expiries } from "./certificates.js";
import type { ClusterView } from "./collect.js";
import { figureFindings } from "./figure-findings.js";
import { figuresOf, type NodeFigures } from "./figures.js";
import { type Hop, hopsOf } from "./hops.js";
import { membersOf } from "./members.js";
import { warnings } from "./warnings.js";

export interface MeshStatus {
  /** Every hop of every pair is fresh and in sync. */
  readonly ok: boolean;
  /** One for each member; null = its apiserver did not say. */
  readonly clusters: readonly {
    readonly context: string;
    readonly cluster: string;
    readonly id: number | null;
    readonly instance: string;
    readonly version: string;
    readonly kubeAgeMs: number | null;
    readonly agents: number;
    /** Number of nodes by kind: only Linux nodes have an agent. Null when the apiserver does not report it. */
    readonly nodes: { readonly linux: number; readonly windows: number; readonly virtual: number } | null;
    /** Number of MeshPeers. */
    readonly peers: number;
  }[];
  /** Per cluster: publish, reads, applies. */
  readonly hops: readonly Hop[];
  /** With `figures`: one for each node, the worst first. */
  readonly nodes?: readonly NodeFigures[];
  /** Failures first, then warnings. */
  readonly findings: readonly Finding[];
}

export interface AssessOptions {
  /** The operator named the contexts: each must be a member. */
  readonly named?: boolean;
  /** Wall clock. */
  readonly nowMs?: number;
  /** The apiservers were asked for the figures of nodes. */
  readonly figures?: boolean;
}

/** Ok, and no agent is still expected to connect: what `--wait` waits for. */
export function isSettled({ ok, hops }: MeshStatus): boolean {
  return ok && hops.every(({ nodes = [] }) => nodes.every(({ awaited }) => !awaited));
}

/** Pure. `looks`: one for each context that was looked at. */
export function assess(looks: readonly ClusterView[], options: AssessOptions = {}): MeshStatus {
  const { views, ignored } = membersOf(looks, options.named ?? false);
  const hops = views.flatMap((view) => hopsOf(view, views));
  const certificates = expiries(views, options.nowMs ?? Date.now());
  const broke = [
    ...(views.length === 0 ? [NO_MEMBER] : []),
    ...unasked(views),
    ...views.flatMap(unusableConfig),
    ...unpaired(views),
    ...hops.flatMap((hop) => broken(hop, views)),
    ...badAgents(hops),
    ...certificates.filter(({ status }) => status === "fail"),
  ];
  const seen = [...ignored, ...certificates.filter(({ status }) => status !== "fail"), ...warnings(views, hops)];
  const found = { ok: broke.length === 0, clusters: views.map(summary), hops };
  if (options.figures !== true) return { ...found, findings: [...broke, ...seen] };
  return { ...found, nodes: figuresOf(views), findings: [...broke, ...seen, ...views.flatMap(figureFindings)] };
}

const NO_MEMBER: Finding = {
  group: "clusters",
  status: "fail",
  subject: "mesh",
  message: "no context holds a MeshCluster",
  fix: "install the mesh first: kubectl --context NAME apply -k deploy/base",
};

function summary({ context, cluster, id, report, peers }: ClusterView): MeshStatus["clusters"][number] {
  const nodes = report?.nodes;
  return {
    context,
    cluster,
    id: id ?? null,
    instance: report?.instance ?? "",
    version: report?.version ?? "",
    kubeAgeMs: report?.kubeAgeMs ?? null,
    agents: report?.agents.length ?? 0,
    nodes: nodes?.known === true ? { linux: nodes.linux, windows: nodes.windows, virtual: nodes.virtual } : null,
    peers: peers.length,
  };
}

function unasked(views: readonly ClusterView[]): Finding[] {
  return views.flatMap(({ cluster, problem }) =>
    problem === undefined ? [] : [{ group: "clusters", status: "fail", subject: cluster, ...problem }],
  );
}

/** A mesh-config that is not in force. The last good one is: everything runs, but not as it is configured now. */
function unusableConfig({ cluster, context, configProblem }: ClusterView): Finding[] {
  if (configProblem === undefined) return [];
  const about = { group: "clusters", status: "fail", subject: cluster } as const;
  return [{ ...about, message: configProblem, fix: configFix(context) }];
}

/** Findings for members without a MeshPeer for each other. */
function unpaired(views: readonly ClusterView[]): Finding[] {
  const members = views.filter(({ id }) => id !== undefined);
  return members.flatMap((view) =>
    members
      .filter((other) => other !== view && !view.peers.some(({ name }) => name === other.cluster))
      .map((other) => ({
        group: "pairs",
        status: "fail" as const,
        subject: `${other.cluster} → ${view.cluster}`,
        message: `"${view.cluster}" has no MeshPeer "${other.cluster}"`,
        fix: `run: mesh connect ${shellWord(view.context)} ${shellWord(other.context)}`,
      })),
  );
}

/** Finding for a hop with a problem. Problems of agents have their own findings (agents.ts). */
function broken({ from, to, hop, problem, nodes = [] }: Hop, views: readonly ClusterView[]): Finding[] {
  if (problem === undefined || nodes.some((node) => node.problem !== undefined)) return [];
  const at = (cluster: string) => kubectl(views.find((view) => view.cluster === cluster)?.context ?? cluster);
  const fixes: Record<Hop["hop"], string> = {
    publish: `see the conditions: ${at(from)} describe meshcluster ${shellWord(from)}`,
    read: `see the conditions: ${at(to)} describe meshpeer ${shellWord(from)}; and that the store can be reached`,
    apply: "see the node-agent's log on that node",
  };
  return [{ group: "pairs", status: "fail", subject: `${from} → ${to} (${hop})`, message: problem, fix: fixes[hop] }];
}
