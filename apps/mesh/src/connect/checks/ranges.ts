/** Checks that the pod and service CIDRs of all members, known peers included, are disjoint: an address is unique in the mesh. */
import { MeshError, type Prefix, parsePrefix, prefixesOverlap } from "@isthmus/model";
import type { Finding } from "../../output/findings.js";
import type { ClusterFacts } from "../facts/cluster-facts.js";

interface Range {
  readonly cluster: string;
  readonly kind: "pod" | "service";
  readonly text: string;
  readonly prefix: Prefix;
}

const GROUP = "address ranges";
const FIX = "ranges cannot be changed in a running cluster: build one of the two anew with other ranges";

/** One "fail" for each pair that overlaps. */
export function checkRanges(clusters: readonly ClusterFacts[]): readonly Finding[] {
  const { ranges, unreadable } = collect(clusters);
  const overlaps = ranges.flatMap((a, i) =>
    ranges
      .slice(i + 1)
      .filter((b) => overlap(a, b))
      .map(
        (b): Finding => ({
          group: GROUP,
          status: "fail",
          subject: a.cluster === b.cluster ? a.cluster : `${a.cluster}, ${b.cluster}`,
          message: `${a.kind} CIDR ${a.text} of "${a.cluster}" overlaps ${b.kind} CIDR ${b.text} of "${b.cluster}"`,
          fix: FIX,
        }),
      ),
  );
  const bad = [...unreadable, ...overlaps];
  if (bad.length > 0 || ranges.length === 0) return bad;
  return [
    {
      group: GROUP,
      status: "ok",
      subject: "disjoint",
      message: ranges.map(({ cluster, kind, text }) => `${cluster} ${kind}s ${text}`).join(", "),
    },
  ];
}

function overlap(a: Range, b: Range): boolean {
  return prefixesOverlap(a.prefix, b.prefix);
}

/** Ranges of a cluster named on the command line come from itself; those of any other peer come from the MeshPeer objects. */
function collect(clusters: readonly ClusterFacts[]): { ranges: readonly Range[]; unreadable: readonly Finding[] } {
  const unreadable: Finding[] = [];
  const known = new Map<string, { podCIDRs: readonly string[]; serviceCIDRs: readonly string[] }>();
  for (const { peers } of clusters) for (const { metadata, spec } of peers) known.set(metadata.name ?? "", spec);
  for (const { cluster } of clusters) if (cluster !== undefined) known.set(cluster.metadata.name ?? "", cluster.spec);
  const ranges = [...known]
    .sort(byName)
    .flatMap(([cluster, { podCIDRs, serviceCIDRs }]) => [
      ...[...podCIDRs].sort().flatMap((text) => range(cluster, "pod", text)),
      ...[...serviceCIDRs].sort().flatMap((text) => range(cluster, "service", text)),
    ]);
  return { ranges, unreadable };

  /** Sorts, since Kubernetes lists peers, and an operator names contexts, in any order. */
  function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
    return a < b ? -1 : 1;
  }

  function range(cluster: string, kind: Range["kind"], text: string): Range[] {
    try {
      return [{ cluster, kind, text, prefix: parsePrefix(text) }];
    } catch (thrown) {
      const { message } = MeshError.from(thrown);
      unreadable.push({
        group: GROUP,
        status: "fail",
        subject: cluster,
        message,
        fix: "correct ConfigMap mesh-system/mesh-config",
      });
      return [];
    }
  }
}
