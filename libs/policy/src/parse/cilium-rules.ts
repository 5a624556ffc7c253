/**
 * Reads rules of Cilium policies.
 *
 * A rule without a list of peers means everyone if it has ports or ICMP types, and nothing otherwise: `{}` isolates and allows
 * nothing. An empty list of peers means nobody.
 */
import type { Peer, PolicyRule } from "../model/policy.js";
import { PEER_LISTS, type PeerLists } from "./cilium-peers.js";
import { readCiliumPorts } from "./cilium-ports.js";
import type { CiliumScope } from "./cilium-selector.js";
import { type Fields, isAbsent, joinPath, type Reader, readList, readObject } from "./findings.js";

/** The rules of one list of a spec: `ingress`, `egressDeny`, … */
export function readCiliumRules(
  reader: Reader,
  value: unknown,
  path: string,
  kind: Pick<PolicyRule, "direction" | "action">,
  scope: CiliumScope,
): readonly PolicyRule[] {
  return readList(reader, value, path).flatMap(([one, at]) => {
    const lists = PEER_LISTS[kind.direction === "ingress" ? "from" : "to"];
    const fields = readObject(reader, one, at, [...Object.keys(lists), "toPorts", "icmps"]);
    if (fields === undefined) return [];
    const peers = readPeerLists(reader, fields, at, lists, scope);
    const ports = readCiliumPorts(
      reader,
      [fields["toPorts"], joinPath(at, "toPorts")],
      [fields["icmps"], joinPath(at, "icmps")],
    );
    if (peers === undefined && ports === "all") return [];
    return [{ ...kind, path: at, peers: peers ?? "all", ports }];
  });
}

/** Undefined where there is no list. */
function readPeerLists(
  reader: Reader,
  fields: Fields,
  path: string,
  lists: PeerLists,
  scope: CiliumScope,
): "all" | readonly Peer[] | undefined {
  const written = Object.entries(lists).filter(([list]) => !isAbsent(fields[list]));
  const [first, second] = written.map(([list]) => list);
  if (first === undefined) return undefined;
  if (second !== undefined) reader.refuse(joinPath(path, second), `cannot be beside ${first}: write a rule for each`);
  const peers = written.map(([list, read]) => read(reader, fields[list], joinPath(path, list), scope));
  return peers.some((its) => its === "all") ? "all" : peers.flatMap((its) => (its === "all" ? [] : its));
}
