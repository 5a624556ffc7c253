/** For tests: a builder with the records that it is given, asked for verdicts as programs ask the maps. */
import { type IdentityNumber, reservedIdentity } from "@isthmus/identity";
import { bytesKey, parseAddress, parseClusterId, prefixContains } from "@isthmus/model";
import { lookUp } from "@isthmus/policy";
import type { HashedRecord } from "@isthmus/records";
import { inTurns } from "@isthmus/runtime";
import type { RecordDelta, RecordName } from "../../records/record-delta.js";
import { createRecordDispatcher } from "../../records/record-dispatcher.js";
import type { DesiredPolicy } from "../desired-policy.js";
import type { NumbersInMaps } from "../node-local-identities.js";
import { createPolicyBuilder, type PolicyBuilder, type PolicyFlush } from "../policy-builder.js";

export interface PolicyNode {
  readonly builder: PolicyBuilder;
  readonly desired: DesiredPolicy;
  /** What records were refused for. */
  readonly refused: readonly string[];
  /** Takes what changed of one cluster; deletions are by key. */
  take(
    cluster: number,
    upserts: readonly HashedRecord[],
    deletes?: readonly RecordName[],
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
}

/** Node n1 of cluster east (1); west is 2. Everything that is taken is of clusters whose names are known. */
export function createPolicyNode({ inMaps, maxPrefixes = 1024 }: PolicyNodeOptions = {}): PolicyNode {
  const refused: string[] = [];
  const builder = createPolicyBuilder({
    ...{ node: "n1", cluster: "east", clusterId: parseClusterId(1) },
    prefixMap: { name: "prefixes", maxEntries: maxPrefixes },
    inMaps: inMaps ?? { inUse: [], prefixes: new Map() },
  });
  builder.name(2, "west");
  const dispatcher = createRecordDispatcher({
    builders: [builder],
    localClusterId: 1,
    refuse: (_, __, { message }) => void refused.push(message),
  });
  const { desired } = builder;

  function identity(address: string): IdentityNumber {
    const bytes = parseAddress(address);
    const exact = desired.addresses.get(bytesKey(bytes));
    if (exact !== undefined) return exact;
    const containing = [...desired.prefixes.values()].filter(({ prefix }) => prefixContains(prefix, bytes));
    const [longest] = containing.sort((a, b) => b.prefix.length - a.prefix.length);
    return longest?.identity ?? reservedIdentity("world");
  }

  const flush = () => inTurns(builder.flush());
  return {
    builder,
    desired,
    refused,
    identity,
    flush,
    take(cluster, upserts, deletes = [], first = false) {
      const delta: RecordDelta = { clusterId: cluster, upserts, deletes, transition: first ? "first" : "none" };
      return inTurns(dispatcher.take([delta]));
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
