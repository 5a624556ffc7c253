/**
 * Reads rules of Cilium policies.
 *
 * A rule without a list of peers means everyone if it has ports or ICMP types, and nothing otherwise: `{}` isolates and allows
 * nothing. An empty list of peers means nobody.
 */
import type { Direction, Peer, PolicyRule } from "../model/policy.js";
import type { Selector } from "../model/selector.js";
import { readEntities, reservedSelector } from "./cilium-entities.js";
import { readCiliumPorts } from "./cilium-ports.js";
import { type CiliumScope, readPeers } from "./cilium-selector.js";
import { type Fields, isAbsent, joinPath, type Reader, readList, readObject } from "./findings.js";
import { readAddressOrCidr, readIpBlock } from "./ip-block.js";

/** The rules of one list of a spec: `ingress`, `egressDeny`, … */
export function readCiliumRules(
  reader: Reader,
  value: unknown,
  path: string,
  kind: Pick<PolicyRule, "direction" | "action">,
  scope: CiliumScope,
): readonly PolicyRule[] {
  return readList(reader, value, path).flatMap(([one, at]) => {
    const lists = peerLists(kind.direction);
    const fields = readObject(reader, one, at, [...lists, "toPorts", "icmps"]);
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

type PeerLists = readonly [endpoints: string, entities: string, cidr: string, cidrSet: string];

function peerLists(direction: Direction): PeerLists {
  return direction === "ingress"
    ? ["fromEndpoints", "fromEntities", "fromCIDR", "fromCIDRSet"]
    : ["toEndpoints", "toEntities", "toCIDR", "toCIDRSet"];
}

/** Undefined where there is no list. */
function readPeerLists(
  reader: Reader,
  fields: Fields,
  path: string,
  lists: PeerLists,
  scope: CiliumScope,
): "all" | readonly Peer[] | undefined {
  const written = lists.filter((list) => !isAbsent(fields[list]));
  const [first, second] = written;
  if (first === undefined) return undefined;
  if (second !== undefined) reader.refuse(joinPath(path, second), `cannot be beside ${first}: write a rule for each`);
  const peers = written.map((list) =>
    readPeerList(reader, fields[list], joinPath(path, list), lists.indexOf(list), scope),
  );
  return peers.some((its) => its === "all") ? "all" : peers.flatMap((its) => (its === "all" ? [] : its));
}

function readPeerList(
  reader: Reader,
  value: unknown,
  path: string,
  which: number,
  scope: CiliumScope,
): "all" | readonly Peer[] {
  if (which === 1) {
    const entities = readEntities(reader, value, path, scope.cluster);
    return entities === "all" ? "all" : entities.map(ofLabels);
  }
  return readList(reader, value, path).flatMap(([one, at]): readonly Peer[] => {
    if (which === 0) return [ofLabels(readPeers(reader, one, at, scope))];
    const block = which === 2 ? readAddressOrCidr(reader, one, at) : readIpBlock(reader, one, at);
    return block === undefined ? [] : [{ kind: "block", block, selector: OUTSIDE }];
  });
}

/** Ranges of Cilium policies mean no pods and no nodes, even if their addresses are inside. */
const OUTSIDE = reservedSelector("world");

function ofLabels(selector: Selector): Peer {
  return { kind: "labels", selector };
}
