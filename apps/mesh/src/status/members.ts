/**
 * Reduces the views of contexts to one view per cluster of the mesh, with a warning for each ignored context (pure).
 *
 * Contexts of the same cluster are merged; a cluster without the mesh is left out, unless the operator named its context. An
 * unreadable context may be a member too; it is ignored only when every peer of the readable members is itself readable,
 * since each member is a peer of others.
 */
import type { Finding } from "../output/findings.js";
import { shellWord } from "../output/units.js";
import type { ClusterView } from "./collect.js";

export interface Members {
  /** One for each cluster of the mesh. */
  readonly views: readonly ClusterView[];
  /** A warning for each context that is left out. */
  readonly ignored: readonly Finding[];
}

/** `named`: the operator named the contexts, so each must be a member. */
export function membersOf(looks: readonly ClusterView[], named: boolean): Members {
  const views = mergeByCluster(named ? looks : looks.filter(({ noMesh }) => noMesh !== true));
  const unreadable = views.filter(isUnreadable);
  const missing = new Set(named ? unreadable.map(({ context }) => context) : missingMembers(views, unreadable));
  return {
    views: views.filter((view) => !isUnreadable(view) || missing.has(view.context)),
    ignored: unreadable.filter(({ context }) => !missing.has(context)).map(ignoredContext),
  };
}

/** Keeps one view per cluster, preferably one whose apiserver answered. */
function mergeByCluster(looks: readonly ClusterView[]): readonly ClusterView[] {
  const clusters = new Map<string, ClusterView>();
  for (const look of looks) {
    const key = look.uid === undefined ? `context ${look.context}` : `cluster ${look.uid}`;
    const known = clusters.get(key);
    if (known === undefined || (known.report === undefined && look.report !== undefined)) clusters.set(key, look);
  }
  return [...clusters.values()];
}

/** True when the context could not be read, so that it is unknown whether it has a MeshCluster. */
function isUnreadable({ id, misinstalled = false }: ClusterView): boolean {
  return id === undefined && !misinstalled;
}

/** Unreadable contexts that may be missing peers: those with a missing peer's name, or all if a missing peer has no such context. */
function missingMembers(views: readonly ClusterView[], unreadable: readonly ClusterView[]): readonly string[] {
  const shown = views.filter((view) => !isUnreadable(view));
  const names = new Set(shown.map(({ cluster }) => cluster));
  const unseen = new Set(
    shown.flatMap(({ peers }) => peers.map(({ name }) => name)).filter((name) => !names.has(name)),
  );
  const contexts = unreadable.map(({ context }) => context);
  const called = contexts.filter((context) => unseen.has(context));
  return shown.length === 0 || called.length < unseen.size ? contexts : called;
}

function ignoredContext({ context, problem }: ClusterView): Finding {
  return {
    group: "clusters",
    status: "warning",
    subject: context,
    message: `${problem?.message ?? ""}; it is ignored, since the clusters that were read miss no peer`,
    fix: `if it is a member, name it: mesh status --context ${shellWord(context)}; otherwise leave it out of the kubeconfig`,
  };
}
