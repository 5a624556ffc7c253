/** For tests: a builder with the records that it is given, asked for verdicts as programs ask the maps. */
import type { IdentityNumber } from "@isthmus/identity";
import { bytesKey, MeshError, parseAddress, parseClusterId } from "@isthmus/model";
import { lookUp } from "@isthmus/policy";
import { byApplyOrder, byDeleteOrder, type HashedRecord } from "@isthmus/records";
import { inTurns } from "@isthmus/runtime";
import type { DesiredPolicy } from "../desired-policy.js";
import { identityAt } from "../identity-at.js";
import type { NumbersInMaps } from "../node-local-identities.js";
import { createPolicyBuilder, type PolicyBuilder, type PolicyFlush, type PolicyRecordName } from "../policy-builder.js";

export interface PolicyNode {
  readonly builder: PolicyBuilder;
  readonly desired: DesiredPolicy;
  /** What records were refused for. */
  readonly refused: readonly string[];
  /** Takes what changed of one cluster; deletions are by key. */
  take(
    cluster: number,
    upserts: readonly HashedRecord[],
    deletes?: readonly PolicyRecordName[],
    first?: boolean,
  ): Promise<void>;
  /** A pod of this node, with the uid `uid-ADDRESS` unless it is given. */
  attach(address: string, uid?: string): void;
  flush(): Promise<PolicyFlush>;
  /** Flushes until nothing waits; returns the changes of each flush. */
  settle(): Promise<readonly PolicyFlush[]>;
  /** The identity of an address, as programs find it. */
  identity(address: string): IdentityNumber;
  /** Whether the policy of a pod allows a flow; undefined: it has none. */
  allows(pod: string, direction: "ingress" | "egress", other: string, port: number): boolean | undefined;
}

export interface PolicyNodeOptions {
  readonly inMaps?: NumbersInMaps;
  readonly maxPrefixes?: number;
  readonly kept?: readonly HashedRecord[];
}

/** Node n1 of cluster east (1); west is 2. Everything that is taken is of clusters whose names are known. */
export function createPolicyNode({ inMaps, maxPrefixes = 1024, kept = [] }: PolicyNodeOptions = {}): PolicyNode {
  const refused: string[] = [];
  const builder = createPolicyBuilder({
    ...{ node: "n1", cluster: "east", clusterId: parseClusterId(1) },
    prefixMap: { name: "prefixes", maxEntries: maxPrefixes },
    kept,
    inMaps: inMaps ?? { inUse: [], prefixes: new Map() },
  });
  builder.name(2, "west");
  const { desired } = builder;

  const identity = (address: string) => identityAt(desired, parseAddress(address));

  function upsert(cluster: number, record: HashedRecord): void {
    try {
      builder.upsert(cluster, record);
    } catch (thrown) {
      refused.push(MeshError.from(thrown).message);
    }
  }

  const flush = () => inTurns(builder.flush());
  return {
    builder,
    desired,
    refused,
    identity,
    flush,
    async take(cluster, upserts, deletes = [], first = false) {
      if (first) builder.beginSync(cluster);
      for (const record of [...upserts].sort(byApplyOrder)) upsert(cluster, record);
      for (const name of [...deletes].sort(byDeleteOrder)) builder.remove(cluster, name);
    },
    attach: (address, uid = `uid-${address}`) =>
      builder.pods.attach({ hostDevice: `mesh${address}`, addresses: [parseAddress(address)], uid }),
    async settle() {
      const all = [await flush()];
      while (all.at(-1)?.again) all.push(await flush());
      return all;
    },
    allows(pod, direction, other, port) {
      const subject = desired.subjects.get(bytesKey(parseAddress(pod)));
      return subject && lookUp(subject.set, { direction, identity: identity(other), protocol: 6, port }).allow;
    },
  };
}
