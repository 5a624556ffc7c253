/**
 * The pod ranges of all clusters, from their nodes. A range that nodes of two clusters have is the local cluster's if one of them
 * is, else of the cluster that had it first.
 */
import { type Address, formatPrefix, type Prefix, prefixMask } from "@isthmus/model";
import { isV4Prefix } from "@isthmus/policy";
import { createPrefixIndex } from "./prefix-index.js";

export interface ClusterRange {
  /** No bit beyond its length is set. */
  readonly prefix: Prefix;
  /** Real id. */
  readonly cluster: number;
}

export interface RangeChanges {
  /** Texts of ranges that came, went or belong to another cluster. */
  readonly ranges: ReadonlySet<string>;
  /** Clusters with another `supernet`. */
  readonly supernets: ReadonlySet<number>;
}

export interface ClusterRanges {
  /** Replaces the ranges of a node of the cluster, by its Kubernetes name. */
  setNode(cluster: number, name: string, ranges: readonly Prefix[]): void;
  /** By text; as of the last `takeChanges`. */
  readonly ranges: ReadonlyMap<string, ClusterRange>;
  /** A range that contains all of the prefix, perhaps itself; as of the last `takeChanges`. */
  containing(prefix: Prefix): ClusterRange | undefined;
  /** The longest prefix that contains all IPv4 ranges of the cluster; as of the last `takeChanges`. */
  supernet(cluster: number): Prefix | undefined;
  /** Settles what was set since the last call, and returns what changed. */
  takeChanges(): RangeChanges;
}

interface Users {
  readonly prefix: Prefix;
  /** Cluster of each node, in the order in which they came. */
  readonly nodes: Map<string, number>;
}

/** Knows no range. `localCluster`: its real id. */
export function createClusterRanges(localCluster: number): ClusterRanges {
  const users = new Map<string, Users>();
  const ofNode = new Map<string, readonly string[]>();
  /** Texts of the IPv4 ranges of each cluster, with the number of its nodes that have them. */
  const ofCluster = new Map<number, Map<string, number>>();
  const touched = new Set<string>();
  const clusters = new Set<number>();
  const ranges = new Map<string, ClusterRange>();
  const index = createPrefixIndex<ClusterRange>();
  const supernets = new Map<number, Prefix>();

  function count(cluster: number, text: string, { prefix }: Users, change: 1 | -1): void {
    touched.add(text);
    if (!isV4Prefix(prefix)) return;
    const counts = ofCluster.get(cluster) ?? new Map<string, number>();
    ofCluster.set(cluster, counts);
    const now = (counts.get(text) ?? 0) + change;
    if (now === 0) counts.delete(text);
    else counts.set(text, now);
    if (now === 0 || (change === 1 && now === 1)) clusters.add(cluster);
  }

  function settleRange(text: string): boolean {
    const { prefix, nodes } = users.get(text) ?? {};
    const before = ranges.get(text);
    if (prefix === undefined || nodes === undefined || nodes.size === 0) {
      users.delete(text);
      if (before === undefined) return false;
      ranges.delete(text);
      index.delete(before.prefix);
      return true;
    }
    const owners = [...nodes.values()];
    const cluster = owners.includes(localCluster) ? localCluster : (owners[0] ?? 0);
    if (before?.cluster === cluster) return false;
    const range = { prefix, cluster };
    ranges.set(text, range);
    index.set(prefix, range);
    return true;
  }

  function settleSupernet(cluster: number): boolean {
    const before = supernets.get(cluster);
    const texts = [...(ofCluster.get(cluster)?.keys() ?? [])];
    const all = texts.flatMap((text) => users.get(text)?.prefix ?? []);
    const now = all.length === 0 ? undefined : all.reduce(commonPrefix);
    if (now === undefined) {
      supernets.delete(cluster);
      ofCluster.delete(cluster);
    } else supernets.set(cluster, now);
    return (before && formatPrefix(before)) !== (now && formatPrefix(now));
  }

  return {
    ranges,
    setNode(cluster, name, its) {
      const node = `${cluster}/${name}`;
      for (const text of ofNode.get(node) ?? []) {
        const user = users.get(text);
        user?.nodes.delete(node);
        if (user !== undefined) count(cluster, text, user, -1);
      }
      const texts = new Set<string>();
      for (const one of its) {
        const prefix = maskPrefix(one);
        const text = formatPrefix(prefix);
        if (texts.has(text)) continue;
        texts.add(text);
        const user = users.get(text) ?? { prefix, nodes: new Map<string, number>() };
        users.set(text, user);
        user.nodes.set(node, cluster);
        count(cluster, text, user, 1);
      }
      if (texts.size === 0) ofNode.delete(node);
      else ofNode.set(node, [...texts]);
    },
    containing: ({ address, length }) => index.longest(address, length),
    supernet: (cluster) => supernets.get(cluster),
    takeChanges() {
      const changes = {
        ranges: new Set([...touched].filter(settleRange)),
        supernets: new Set([...clusters].filter(settleSupernet)),
      };
      touched.clear();
      clusters.clear();
      return changes;
    },
  };
}

function maskPrefix({ address, length }: Prefix): Prefix {
  const mask = prefixMask(length);
  return { address: address.map((byte, i) => byte & (mask[i] ?? 0)) as Address, length };
}

/** The longest prefix that contains both. */
function commonPrefix(a: Prefix, b: Prefix): Prefix {
  let length = Math.min(a.length, b.length);
  for (let i = 0; i < 16 && 8 * i < length; i++) {
    const differing = (a.address[i] ?? 0) ^ (b.address[i] ?? 0);
    if (differing !== 0) length = Math.min(length, 8 * i + Math.clz32(differing) - 24);
  }
  return maskPrefix({ address: a.address, length });
}
