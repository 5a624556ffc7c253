/** Clusters east (1, the local one) and west (2), with pods, nodes and a policy, as the sources of a server of east. */
import { parseClusterId, parseClusterName } from "@isthmus/model";
import { allow, makeEndpoint, makeIdentity, makeMeshNode, numberOf, shopLabels } from "@isthmus/node-policy/testing";
import { Endpoint, Kind } from "@isthmus/proto";
import { createSourceIndex, type HashedRecord, hashRecord, localPosition, remotePosition } from "@isthmus/records";
import type { StreamSource } from "../../../ports/stream-source.js";

export const [WEB, CLIENT, WEST_CLIENT] = [numberOf(1, 256), numberOf(1, 257), numberOf(2, 256)];
export const EAST = { clusterId: parseClusterId(1), cluster: "east" };

const STORE = Buffer.alloc(16, 1);

export function makeSource(clusterId: number, cluster: string, ...upserts: readonly HashedRecord[]): StreamSource {
  const index = createSourceIndex();
  const position = positionOf(clusterId, 100);
  index.apply({ upserts, deletes: [], position, observedMicros: 0 });
  return { clusterId, cluster: parseClusterName(cluster), index } as StreamSource;
}

/** After `revision` changes of the source. */
export function positionOf(clusterId: number, revision: number) {
  return clusterId === 0 ? localPosition(STORE, [BigInt(revision)]) : remotePosition(STORE, BigInt(revision));
}

/** The endpoint of a pod of namespace shop. */
export function makePod(name: string, address: string, ...rest: Tail<Parameters<typeof makeEndpoint>>): HashedRecord {
  const { key, value } = makeEndpoint(address, ...rest);
  const endpoint = { ...Endpoint.decode(value), namespace: "shop", pod: name };
  return hashRecord(Kind.KIND_ENDPOINT, key, Endpoint.encode(endpoint).finish());
}

type Tail<All extends readonly unknown[]> = All extends readonly [unknown, ...infer Others] ? Others : never;

const unreadable = (kind: Kind, key: string) => hashRecord(kind, key, Buffer.from([0xff]));

/** Pods web and client of east, client of west; web admits east's client and 203.0.113.0/24. */
export function policySources(): readonly [east: StreamSource, west: StreamSource] {
  return [
    makeSource(
      0,
      "east",
      makeIdentity(WEB, shopLabels("east", { app: "web" })),
      makeIdentity(CLIENT, shopLabels("east", { app: "client" })),
      makeMeshNode("w1", { addresses: ["192.0.2.1"], podCidrs: ["10.1.1.0/24"] }),
      makeMeshNode("w2", { addresses: ["192.0.2.2"], podCidrs: ["10.1.2.0/24"] }),
      makePod("web", "10.1.1.5", WEB, { node: "w1" }),
      makePod("client", "10.1.2.6", CLIENT, { node: "w2" }),
      allow("web", "web", "ingress", [
        { podSelector: { matchLabels: { app: "client" } } },
        { ipBlock: { cidr: "203.0.113.0/24" } },
      ]),
      unreadable(Kind.KIND_ENDPOINT, "endpoints/10.1.1.9"),
      unreadable(Kind.KIND_NODE, "nodes/w9"),
      unreadable(Kind.KIND_POLICY, "policies/networkpolicies/shop/bad"),
    ),
    makeSource(
      2,
      "west",
      makeIdentity(WEST_CLIENT, shopLabels("west", { app: "client" })),
      makeMeshNode("w1", { addresses: ["192.0.2.9"], podCidrs: ["10.2.1.0/24"] }),
      makePod("client", "10.2.1.7", WEST_CLIENT, { node: "w1" }),
    ),
  ];
}
