/** Checks that names and ids are unique among the contexts and their peers, and that no other cluster claims them in the store. */
import type { Finding } from "../../output/findings.js";
import { type ClusterFacts, isUnknown } from "../facts/cluster-facts.js";
import type { StoreFacts } from "../facts/store-facts.js";

interface Member {
  readonly name: string;
  readonly id: number;
  readonly uid: string | undefined;
  /** Where it is declared: `context "a"`, or a MeshPeer there. */
  readonly where: string;
}

const GROUP = "names and ids";

/** One "ok" when all are unique; otherwise one finding for each clash, once. */
export function checkNames(clusters: readonly ClusterFacts[], store: StoreFacts): readonly Finding[] {
  const members = clusters.flatMap(memberOf);
  const clashes = pairs([...members, ...clusters.flatMap(peersOf)]).flatMap(([a, b]) => clash(a, b));
  const claims = members.flatMap((member) => claimed(member, store));
  const bad = [...new Map([...clashes, ...claims].map((one) => [`${one.subject} ${one.message}`, one])).values()];
  if (bad.length > 0 || members.length === 0) return bad;
  const list = members.map(({ name, id }) => `${name} (${id})`).join(", ");
  return [{ group: GROUP, status: "ok", subject: "unique", message: `${list}; claimed by nobody else in the store` }];
}

function memberOf({ context, cluster }: ClusterFacts): Member[] {
  if (cluster === undefined) return [];
  const name = cluster.metadata.name ?? "";
  return [{ name, id: cluster.spec.id, uid: cluster.status?.uid, where: `context "${context}"` }];
}

/** Clusters that are members already but not named on the command line. */
function peersOf({ context, peers }: ClusterFacts): Member[] {
  return peers.map(({ metadata, spec }) => ({
    name: metadata.name ?? "",
    id: spec.id,
    uid: spec.uid,
    where: `MeshPeer "${metadata.name}" of context "${context}"`,
  }));
}

function clash(a: Member, b: Member): Finding[] {
  const both = `${a.where} and ${b.where}`;
  const contexts = a.where.startsWith("context") && b.where.startsWith("context");
  if (contexts && a.uid !== undefined && a.uid === b.uid)
    return [fail(a.name, `${both} are the same cluster`, "name each cluster once")];
  const fix =
    "names and ids are set in ConfigMap mesh-system/mesh-config before a cluster is installed; give one of them another";
  if (a.name === b.name && (contexts || a.id !== b.id))
    return [fail(a.name, `name "${a.name}" is used by ${both}`, fix)];
  if (a.id === b.id && a.name !== b.name) return [fail(a.name, `id ${a.id} is used by ${both}`, fix)];
  return [];
}

function claimed({ name, id, uid }: Member, { claims }: StoreFacts): Finding[] {
  if (isUnknown(claims))
    return [{ group: GROUP, status: "unknown", subject: name, message: `claims in the store: ${claims.unknown}` }];
  const fix = `if that cluster is gone, remove its claim: etcdctl del /mesh/v1/ids/${id}; otherwise give this one another id`;
  const holder = claims.get(id);
  if (claims.has(id) && holder === undefined)
    return [fail(name, `what claims id ${id} in the store cannot be read`, fix)];
  if (holder !== undefined && holder.name !== name)
    return [fail(name, `id ${id} is claimed in the store by cluster "${holder.name}"`, fix)];
  if (holder !== undefined && uid !== undefined && holder.uid !== uid)
    return [
      fail(
        name,
        `the store knows "${name}" as another cluster of that name (uid ${holder.uid}, this one is ${uid})`,
        fix,
      ),
    ];
  const other = [...claims].find(([number, claim]) => claim?.name === name && number !== id);
  if (other === undefined) return [];
  return [
    fail(
      name,
      `name "${name}" is claimed in the store with id ${other[0]}`,
      `if that cluster is gone, remove its claim: etcdctl del /mesh/v1/ids/${other[0]}`,
    ),
  ];
}

function fail(subject: string, message: string, fix: string): Finding {
  return { group: GROUP, status: "fail", subject, message, fix };
}

function pairs<T>(items: readonly T[]): [T, T][] {
  return items.flatMap((a, i) => items.slice(i + 1).map((b): [T, T] => [a, b]));
}
