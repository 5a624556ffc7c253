/** Policies and identities in the maps of test objects. */
import { parseAddress, parsePrefix } from "@isthmus/model";
import { keyCheck } from "../check.js";
import {
  EndpointRow,
  IpcacheFlag,
  IpcacheKey,
  IpcachePrefixKey,
  IpcacheRow,
  MAP_NAMES,
  PeerVerdict,
  PodPolicyWord,
  PolicyPeerKey,
  PolicyPeerRow,
  PolicyPortKey,
  PolicyPortRow,
  PolicySetRow,
} from "../gen/index.js";
import { native } from "../native.js";
import type { TestObject } from "./objects.js";

/** All ports by this rule, or what this class says of protocol and port. */
export type TestVerdict = { readonly allow: boolean; readonly rule?: number } | { readonly class: number };

/** What a set says of both directions; `DENY` where nothing is said. */
export interface TestDirections {
  readonly in?: TestVerdict;
  readonly out?: TestVerdict;
}

/** A row of a class; without a port all of the protocol, without a protocol all. */
export interface TestClassRow {
  readonly protocol?: number;
  readonly port?: number;
  /** Significant bits of the port; 16 by default. */
  readonly bits?: number;
  readonly allow?: boolean;
  readonly rule?: number;
}

export const ALLOW: TestVerdict = { allow: true };
export const DENY: TestVerdict = { allow: false };

/** Writes to the maps of a loaded object. */
export function createPolicyWriter({ map, array }: Pick<TestObject, "map" | "array">) {
  const endpoints = array(MAP_NAMES.endpoints);
  const sets = array(MAP_NAMES.policySets);
  const put = (name: string, key: Uint8Array, value: Uint8Array) => native().mapUpdate(map(name), key, value, 0);
  const verdict = (given: TestVerdict = DENY): number =>
    PeerVerdict.toWord(
      "class" in given
        ? { number: given.class, allow: 0, allPorts: 0 }
        : { number: given.rule ?? 0, allow: Number(given.allow), allPorts: 1 },
    );

  return {
    /** Sets what is enforced for the pod in this row of mesh_endpoints. */
    enforce(row: number, set: number, revision: number, mode: "enforce" | "audit" = "enforce"): void {
      const word = { set, audit: Number(mode === "audit"), revision };
      endpoints.storeWord64(row, EndpointRow.offsets.policy, PodPolicyWord.toWord(word));
    },
    identity(address: string, identity: number): void {
      const key = IpcacheKey.encode({ addr: parseAddress(address), space: 0 });
      put(MAP_NAMES.ipcache, key, IpcacheRow.encode({ identity, node: 0, flags: 0, check: keyCheck(key) }));
    },
    /** `exactOnly`: each known address of it has a row of its own. */
    prefix(cidr: string, identity: number, exactOnly = false): void {
      const { address: addr, length } = parsePrefix(cidr);
      const flags = exactOnly ? IpcacheFlag.Exact : 0;
      const key = IpcachePrefixKey.encode({ length: 32 + length, space: 0, addr });
      put(MAP_NAMES.ipcachePrefixes, key, IpcacheRow.encode({ identity, node: 0, flags, check: 0 }));
    },
    /** What a set says of identities without a row. */
    set(index: number, directions: TestDirections): void {
      const words = { in: verdict(directions.in), out: verdict(directions.out) };
      sets.writeBody(index, PolicySetRow.encode(words), 0);
    },
    peer(set: number, identity: number, directions: TestDirections): void {
      const words = { in: verdict(directions.in), out: verdict(directions.out) };
      put(
        MAP_NAMES.policyPeers,
        PolicyPeerKey.encode({ set, identity }),
        PolicyPeerRow.encode({ set, identity, ...words }),
      );
    },
    class(number: number, rows: readonly TestClassRow[]): void {
      for (const { protocol, port, bits = 16, allow = true, rule = 0 } of rows) {
        const length = protocol === undefined ? 32 : port === undefined ? 48 : 48 + bits;
        const key = { length, class: number, proto: protocol ?? 0, port: port ?? 0 };
        const row = { class: number, rule, allow: Number(allow), flags: 0, proxy: 0 };
        put(MAP_NAMES.policyPorts, PolicyPortKey.encode(key), PolicyPortRow.encode(row));
      }
    },
  };
}
