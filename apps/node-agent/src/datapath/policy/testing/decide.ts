/** What programs decide by the maps as they are: the look-ups of bpf/lib/policy.h. */
import {
  IpcacheKey,
  IpcachePrefixKey,
  IpcacheRow,
  KnownIdentity,
  keyCheck,
  PeerVerdict,
  PodPolicyWord,
  PolicyPeerKey,
  PolicyPeerRow,
  type PolicyPort,
  PolicyPortKey,
  PolicyPortRow,
  PolicySetRow,
} from "@isthmus/bpf";
import { bytesKey } from "@isthmus/model";
import type { PolicyQuery } from "@isthmus/policy";
import type { HashPort } from "@isthmus/reconcile";

/** A copy of the maps at one moment. */
export interface PolicyView {
  /** True for a pod with this word, a `struct pod_policy_word`, when the flow may pass, if only in audit mode. */
  allows(word: bigint, query: Omit<PolicyQuery, "identity"> & { readonly identity: number }): boolean;
  /** Identity of an address (`bytesKey`). */
  identityOf(address: string): number;
  /** Identities that addresses and prefixes have. */
  readonly identities: ReadonlySet<number>;
  /** Content of each class that a row of a set or of an identity names. */
  readonly namedClasses: ReadonlyMap<number, string>;
  /** Content of a class: equal for equal rows. */
  classText(number: number): string;
  /** Rows in use. */
  readonly counts: Readonly<Record<"sets" | "peers" | "ports" | "addresses" | "prefixes", number>>;
}

interface PortRow {
  readonly length: number;
  readonly proto: number;
  readonly port: number;
  readonly row: PolicyPortRow;
}

export function viewPolicy({ sets, peers, ports, addresses, prefixes }: PolicyPort): PolicyView {
  const setBytes = sets.read(0, sets.maxEntries);
  const peerRows = new Map<string, PolicyPeerRow>();
  for (const [key, value] of entries(peers)) {
    const { set, identity } = PolicyPeerKey.decode(key);
    peerRows.set(`${set} ${identity}`, PolicyPeerRow.decode(value));
  }
  const classes = new Map<number, PortRow[]>();
  for (const [key, value] of entries(ports)) {
    const { length, class: number, proto, port } = PolicyPortKey.decode(key);
    const rows = classes.get(number) ?? [];
    classes.set(number, rows);
    rows.push({ length, proto, port, row: PolicyPortRow.decode(value) });
  }
  const exact = new Map<string, IpcacheRow>();
  for (const [key, value] of entries(addresses)) {
    const row = IpcacheRow.decode(value);
    if (row.check === keyCheck(key)) exact.set(bytesKey(IpcacheKey.decode(key).addr), row);
  }
  const ranges = entries(prefixes).map(([key, value]) => ({
    ...IpcachePrefixKey.decode(key),
    row: IpcacheRow.decode(value),
  }));
  ranges.sort((a, b) => b.length - a.length);

  function classAllows(number: number, protocol: number, port: number): boolean {
    let best: PortRow | undefined;
    for (const one of classes.get(number) ?? []) {
      const bits = one.length - 32;
      const isOf = bits === 0 || (one.proto === protocol && (one.port ^ port) >> (32 - bits) === 0);
      if (isOf && (best === undefined || best.length < one.length)) best = one;
    }
    return best !== undefined && best.row.class === number && best.row.allow !== 0;
  }

  function classText(number: number): string {
    const rows = (classes.get(number) ?? []).map(({ length, proto, port, row }) => [
      length,
      proto,
      port,
      row.allow,
      row.rule,
    ]);
    return JSON.stringify(rows.map((row) => row.join(" ")).sort());
  }

  const setRows = Array.from({ length: sets.maxEntries - 1 }, (_, i) =>
    PolicySetRow.decode(setBytes, (i + 1) * PolicySetRow.size),
  ).filter((row) => row.in !== 0 || row.out !== 0);
  const named = [...setRows, ...peerRows.values()]
    .flatMap((row) => [row.in, row.out].map(PeerVerdict.fromWord))
    .flatMap(({ allPorts, number }) => (allPorts ? [] : [number]));

  return {
    classText,
    identities: new Set([...exact.values(), ...ranges.map(({ row }) => row)].map(({ identity }) => identity)),
    namedClasses: new Map(named.map((number) => [number, classText(number)])),
    allows(word, { direction, identity, protocol, port }) {
      const { set, audit } = PodPolicyWord.fromWord(word);
      if (set === 0 || audit !== 0) return true;
      if (identity === KnownIdentity.Host && direction === "ingress") return true;
      const peer = peerRows.get(`${set} ${identity}`);
      if (peer === undefined && set >= sets.maxEntries) return false;
      if (peer !== undefined && (peer.set !== set || peer.identity !== identity)) return false;
      const row = peer ?? PolicySetRow.decode(setBytes, set * PolicySetRow.size);
      const verdict = PeerVerdict.fromWord(direction === "ingress" ? row.in : row.out);
      return verdict.allPorts ? verdict.allow !== 0 : classAllows(verdict.number, protocol, port);
    },
    identityOf(address) {
      const own = exact.get(address);
      if (own !== undefined) return own.identity;
      const range = ranges.find(({ length, addr }) => hasPrefix(addr, address, length - 32));
      return range?.row.identity ?? KnownIdentity.World;
    },
    counts: {
      sets: setRows.length,
      peers: peerRows.size,
      ports: [...classes.values()].flat().length,
      addresses: exact.size,
      prefixes: ranges.length,
    },
  };
}

function entries({ parts }: Pick<HashPort, "parts">): readonly (readonly [Uint8Array, Uint8Array])[] {
  return [...parts()].flat();
}

function hasPrefix(prefix: Uint8Array, address: string, bits: number): boolean {
  for (let i = 0; i < 16 && bits > i * 8; i++) {
    const mask = 0xff << Math.max(0, 8 - (bits - i * 8));
    if ((((prefix[i] ?? 0) ^ address.charCodeAt(i)) & mask & 0xff) !== 0) return false;
  }
  return true;
}
