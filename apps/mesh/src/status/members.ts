/**
 * Looks at contexts → one view per cluster of the mesh, and a warning for each context that is taken for none (pure).
 *
 * Contexts that show the same cluster are one; a cluster without the mesh is left out, unless the operator named it. A context that cannot be read may be a member all the same; it is taken for a
 * stranger only when every peer that the readable members have is among the readable ones, since a member is a peer of others.
 */
import type { Finding } from "../output/findings.js";
import { shellWord } from "../output/units.js";
import type { ClusterView } from "./collect.js";

export interface Members {
  readonly views: readonly ClusterView[];
  readonly strangers: readonly Finding[];
}

/** `named`: the operator chose the contexts, and means each. */
export function membersOf(looks: readonly ClusterView[], named: boolean): Members {
  const views = mergeByCluster(named ? looks : looks.filter(({ noMesh }) => noMesh !== true));
  const dark = views.filter(isDark);
  const missing = new Set(named ? dark.map(({ context }) => context) : missingMembers(views, dark));
  return {
    views: views.filter((view) => !isDark(view) || missing.has(view.context)),
    strangers: dark.filter(({ context }) => !missing.has(context)).map(stranger),
  };
}

/** Of a cluster that several contexts show, the one whose apiserver answered. */
function mergeByCluster(looks: readonly ClusterView[]): readonly ClusterView[] {
  const clusters = new Map<string, ClusterView>();
  for (const look of looks) {
    const key = look.uid === undefined ? `context ${look.context}` : `cluster ${look.uid}`;
    const known = clusters.get(key);
    if (known === undefined || (known.report === undefined && look.report !== undefined)) clusters.set(key, look);
  }
  return [...clusters.values()];
}

/** Nothing is known of it, not even whether it has a MeshCluster. */
function isDark({ id, ambiguous = false }: ClusterView): boolean {
  return id === undefined && !ambiguous;
}

/** Contexts that may be the peers whom nobody showed: those of their names, or all as long as a peer is left without. */
function missingMembers(views: readonly ClusterView[], dark: readonly ClusterView[]): readonly string[] {
  const shown = views.filter((view) => !isDark(view));
  const names = new Set(shown.map(({ cluster }) => cluster));
  const unseen = new Set(
    shown.flatMap(({ peers }) => peers.map(({ name }) => name)).filter((name) => !names.has(name)),
  );
  const contexts = dark.map(({ context }) => context);
  const called = contexts.filter((context) => unseen.has(context));
  return shown.length === 0 || called.length < unseen.size ? contexts : called;
}

function stranger({ context, problem }: ClusterView): Finding {
  return {
    group: "clusters",
    status: "warning",
    subject: context,
    message: `${problem?.message ?? ""}; it is taken for no member, since no cluster that was read lacks a peer`,
    fix: `if it is one, look at it by name: mesh status --context ${shellWord(context)}; otherwise leave it out of the kubeconfig`,
  };
}
