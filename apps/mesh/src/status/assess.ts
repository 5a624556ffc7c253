/** All clusters' views → hops, and what is wrong with what to do about it. */
import type { Finding } from "../output/findings.js";
import type { ClusterView } from "./collect.js";
import { type Hop, hopsOf } from "./hops.js";
import { warnings } from "./warnings.js";

export interface MeshStatus {
  /** Every hop of every pair is fresh and in sync. */
  readonly ok: boolean;
  readonly clusters: readonly {
    readonly context: string;
    readonly cluster: string;
    readonly id: number | null;
    readonly instance: string;
    readonly version: string;
    readonly kubeAgeMs: number | null;
    readonly agents: number;
    /** By what runs on them: only Linux nodes have an agent. Null when the apiserver does not say. */
    readonly nodes: { readonly linux: number; readonly windows: number; readonly virtual: number } | null;
  }[];
  readonly hops: readonly Hop[];
  readonly findings: readonly Finding[];
}

export function assess(views: readonly ClusterView[]): MeshStatus {
  const hops = views.flatMap((view) => hopsOf(view, views));
  const broke = [...unasked(views), ...strangers(views), ...hops.flatMap(broken)];
  const findings = [...broke, ...warnings(views, hops)];
  return { ok: broke.length === 0 && views.length > 0, clusters: views.map(summary), hops, findings };
}

/** In order, and no agent is still awaited: what `--wait` waits for. */
export function isSettled({ ok, hops }: MeshStatus): boolean {
  return ok && hops.every(({ nodes = [] }) => nodes.every(({ awaited }) => !awaited));
}

function summary({ context, cluster, id, report }: ClusterView): MeshStatus["clusters"][number] {
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
  };
}

function unasked(views: readonly ClusterView[]): Finding[] {
  return views.flatMap(({ cluster, context, problem }) =>
    problem === undefined
      ? []
      : [
          {
            group: "clusters",
            status: "fail",
            subject: cluster,
            message: problem,
            fix: `see: kubectl --context ${context} -n mesh-system get pods`,
          },
        ],
  );
}

/** Members that do not consume each other. */
function strangers(views: readonly ClusterView[]): Finding[] {
  const members = views.filter(({ id }) => id !== undefined);
  return members.flatMap((view) =>
    members
      .filter((other) => other !== view && !view.peers.some(({ name }) => name === other.cluster))
      .map((other) => ({
        group: "pairs",
        status: "fail" as const,
        subject: `${other.cluster} → ${view.cluster}`,
        message: `"${view.cluster}" has no MeshPeer "${other.cluster}"`,
        fix: `run: mesh connect ${view.context} ${other.context}`,
      })),
  );
}

function broken({ from, to, hop, problem }: Hop): Finding[] {
  if (problem === undefined) return [];
  return [{ group: "pairs", status: "fail", subject: `${from} → ${to} (${hop})`, message: problem, fix: FIXES[hop] }];
}

const FIXES: Record<Hop["hop"], string> = {
  publish: "see the conditions: kubectl describe meshcluster",
  read: "see the conditions: kubectl describe meshpeer; and that the store can be reached",
  apply: "see the node-agent's log on that node",
};
