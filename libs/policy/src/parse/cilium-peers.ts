/** Reads the lists of peers of rules of Cilium policies. */
import type { Peer } from "../model/policy.js";
import type { Selector } from "../model/selector.js";
import { readCidrSet } from "./cilium-cidr-set.js";
import { readEntities, reservedSelector } from "./cilium-entities.js";
import { type CiliumScope, readPeers } from "./cilium-selector.js";
import { readServices } from "./cilium-services.js";
import { type Reader, readList } from "./findings.js";
import { readAddressOrCidr } from "./ip-block.js";

/** Peers of the list at a path. */
type ListReader = (reader: Reader, value: unknown, path: string, scope: CiliumScope) => "all" | readonly Peer[];

export type PeerLists = Readonly<Record<string, ListReader>>;

/** By their names after `from` or `to`. */
const BOTH_SIDES: PeerLists = {
  Endpoints: (reader, value, path, scope) =>
    readList(reader, value, path).map(([one, at]) => ofLabels(readPeers(reader, one, at, scope))),
  Entities: (reader, value, path, { cluster }) => {
    const entities = readEntities(reader, value, path, cluster);
    return entities === "all" ? "all" : entities.map(ofLabels);
  },
  CIDR: (reader, value, path) =>
    readList(reader, value, path).flatMap(([one, at]) => {
      const block = readAddressOrCidr(reader, one, at);
      return block === undefined ? [] : [{ kind: "block", block, selector: OUTSIDE }];
    }),
  CIDRSet: (reader, value, path, scope) =>
    readList(reader, value, path)
      .flatMap(([one, at]) => readCidrSet(reader, one, at, scope))
      .map((block) => ({ kind: "block", block, selector: OUTSIDE })),
};

/** By their whole names, those that a rule of a side may have. */
export const PEER_LISTS: Readonly<Record<"from" | "to", PeerLists>> = {
  from: withSide("from", BOTH_SIDES),
  to: withSide("to", {
    ...BOTH_SIDES,
    Services: (reader, value, path, scope) =>
      readList(reader, value, path).flatMap(([one, at]) => readServices(reader, one, at, scope)),
  }),
};

function withSide(side: string, lists: PeerLists): PeerLists {
  return Object.fromEntries(Object.entries(lists).map(([name, read]) => [side + name, read]));
}

/** Ranges of Cilium policies mean no pods and no nodes, even if their addresses are inside. */
const OUTSIDE = reservedSelector("world");

function ofLabels(selector: Selector): Peer {
  return { kind: "labels", selector };
}
