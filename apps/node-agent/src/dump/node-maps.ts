/**
 * What each map of the datapath holds, decoded: words taken apart, states by name, free rows left out.
 *
 * Reserved fields have no column.
 */
import {
  BackendFlagHelp,
  BackendId,
  BackendRow,
  type Datapath,
  EndpointRow,
  FloorRow,
  FrontendFlagHelp,
  FrontendKey,
  FrontendRow,
  FrontendScopeHelp,
  IpcacheFlagHelp,
  IpcacheKey,
  IpcachePrefixKey,
  IpcacheRow,
  NodeFlagHelp,
  NodeRow,
  type PacketPath,
  PeerVerdict,
  PodPolicyWord,
  PodRangeKey,
  PodRangeRow,
  PolicyPeerRow,
  type PolicyPort,
  PolicyPortKey,
  PolicyPortRow,
  PolicySetRow,
  RankHelp,
  rankOf,
  ServiceFlag,
  ServiceRow,
  StateWord,
  TableLine,
  TierWord,
  validFloor,
} from "@isthmus/bpf";
import { formatAddress, isV4, type NodeMap, protocolName } from "@isthmus/model";
import type { ArrayPort, HashPort } from "@isthmus/reconcile";
import type { PodNames } from "../events/pod-names.js";
import type { MapTable, Row, RowSteps } from "./map-rows.js";

/** The maps that every node has. */
export type NodePort = Pick<
  Datapath,
  "backends" | "clusterState" | "floors" | "frontends" | "nodeState" | "nodes" | "serviceRanges" | "services" | "tables"
>;

/** The maps of mode `packets`. */
export type PacketPort = Pick<PacketPath, "endpointIndex" | "endpoints" | "podRanges" | "policy">;

/** Rows of an array that are read at once. */
const CHUNK = 512;

/** Maps that only mode `packets` has. */
const PACKET_MAPS = [
  "endpoints",
  "endpoint-index",
  "pod-ranges",
  "ipcache",
  "ipcache-prefixes",
  "policy-sets",
  "policy-peers",
  "policy-ports",
] as const satisfies readonly NodeMap[];

export type PacketMap = (typeof PACKET_MAPS)[number];

export function isPacketMap(map: NodeMap): map is PacketMap {
  return PACKET_MAPS.some((one) => one === map);
}

/** A table for each map that every node has. */
export function nodeTables(port: NodePort): Readonly<Record<Exclude<NodeMap, PacketMap>, MapTable>> {
  return {
    services: services(port),
    frontends: hashTable(
      port.frontends,
      [
        ["address", "text"],
        ["port", "number"],
        ["protocol", "text"],
        ["scope", "text"],
        ["service", "number"],
        ["flags", "list"],
      ],
      (key, value) => {
        const [{ addr, port: number, proto, scope }, row] = [FrontendKey.decode(key), FrontendRow.decode(value)];
        const protocol = proto === 0 ? "any" : protocolName(proto);
        const flags = bitNames(FrontendFlagHelp, row.flags);
        return [formatAddress(addr), number, protocol, nameOf(FrontendScopeHelp, scope), row.service, flags];
      },
    ),
    backends: arrayTable(
      port.backends,
      [
        ["index", "number"],
        ["generation", "number"],
        ["address", "text"],
        ["port", "number"],
        ["protocol", "text"],
        ["state", "text"],
        ["cluster", "number"],
        ["node", "number"],
        ["flags", "list"],
      ],
      (bytes, at, index) => {
        if (isZero(bytes, at + BackendRow.offsets.id, 4)) return undefined;
        return () => {
          const { id, addr, port: number, proto, state, cluster, node, flags } = BackendRow.decode(bytes, at);
          const facts = [formatAddress(addr), number, protocolName(proto), nameOf(RankHelp, state), cluster, node];
          return [index, BackendId.fromWord(id).generation, ...facts, bitNames(BackendFlagHelp, flags)];
        };
      },
    ),
    tables: {
      columns: [
        ["line", "number"],
        ["backends", "list"],
      ],
      *steps(): RowSteps {
        for (const [segment, array] of port.tables.segments.entries())
          yield* arrayRows(array, (bytes, at, index) => {
            if (isZero(bytes, at, TableLine.size)) return undefined;
            return () => [segment * port.tables.linesPerSegment + index, TableLine.decode(bytes, at).id.map(idText)];
          });
      },
    },
    "service-ranges": {
      columns: [["range", "text"]],
      *steps(): RowSteps {
        for (const prefix of port.serviceRanges.read()) yield () => [rangeText(prefix.address, prefix.length)];
      },
    },
    nodes: arrayTable(
      port.nodes,
      [
        ["index", "number"],
        ["cluster", "number"],
        ["tunnel", "text"],
        ["health", "text"],
        ["flags", "list"],
      ],
      (bytes, at, index) => {
        if (isZero(bytes, at + NodeRow.offsets.id, 4)) return undefined;
        return () => {
          const { cluster, tunnel, health, flags } = NodeRow.decode(bytes, at);
          return [index, cluster, addressText(tunnel), addressText(health), bitNames(NodeFlagHelp, flags)];
        };
      },
    ),
    "node-state": stateTable(port.nodeState, "node"),
    "cluster-state": stateTable(port.clusterState, "cluster"),
    floors: arrayTable(
      port.floors,
      [
        ["cluster", "number"],
        ["copy", "number"],
        ["check", "text"],
        ["store", "text"],
        ["positions", "list"],
      ],
      (bytes, at, index) => {
        if (isZero(bytes, at + FloorRow.offsets.valid, 4)) return undefined;
        return () => {
          const row = FloorRow.decode(bytes, at);
          const floor = validFloor(row);
          if (floor === undefined) return [index, row.valid, "no copy is whole", "", []];
          const named = row.copy[row.valid - 1] === floor;
          const last = floor.position.findLastIndex((position) => position !== 0n);
          const positions = floor.position.slice(0, last + 1).map(String);
          return [index, row.valid, named ? "ok" : "the other copy is whole", hex(floor.store), positions];
        };
      },
    ),
  };
}

/** A table for each map of mode `packets`. */
export function packetTables(
  path: PacketPort,
  pods: Pick<PodNames, "byDevice">,
): Readonly<Record<PacketMap, MapTable>> {
  return {
    endpoints: arrayTable(
      path.endpoints,
      [
        ["index", "number"],
        ["address", "text"],
        ["pod", "text"],
        ["ifindex", "number"],
        ["mac", "text"],
        ["host-mac", "text"],
        ["netns-id", "number"],
        ["moved-connects", "number"],
        ["identity", "number"],
        ["policy-set", "number"],
        ["policy-mode", "text"],
        ["revision", "number"],
      ],
      (bytes, at, index) => {
        if (isZero(bytes, at + EndpointRow.offsets.id, 4)) return undefined;
        return () => {
          const { addr, ifindex, mac, hostMac, netnsId, moved, movesEnded, identity, policy } = EndpointRow.decode(
            bytes,
            at,
          );
          const pod = pods.byDevice(ifindex);
          const name = pod === undefined ? "" : `${pod.namespace}/${pod.name}`;
          const ofDevice = [ifindex, macText(mac), macText(hostMac), netnsNumber(netnsId)];
          const { set, audit, revision } = PodPolicyWord.fromWord(policy);
          const mode = set === 0 ? "" : audit === 0 ? "enforce" : "audit";
          const enforced = [identity, set, mode, revision];
          return [index, formatAddress(addr), name, ...ofDevice, (moved - movesEnded) >>> 0, ...enforced];
        };
      },
    ),
    "endpoint-index": hashTable(
      path.endpointIndex,
      [
        ["address", "text"],
        ["endpoint", "number"],
      ],
      (key, value) => [formatAddress(key), numberOf(value)],
    ),
    "pod-ranges": hashTable(
      path.podRanges,
      [
        ["range", "text"],
        ["cluster", "number"],
      ],
      (key, value) => {
        const { addr, length } = PodRangeKey.decode(key);
        return [rangeText(addr, length), PodRangeRow.decode(value).cluster];
      },
    ),
    ...policyTables(path.policy),
  };
}

/** Identities of addresses, and what policy sets say of identities. */
function policyTables({
  sets,
  peers,
  ports,
  addresses,
  prefixes,
}: PolicyPort): Readonly<
  Record<"ipcache" | "ipcache-prefixes" | "policy-sets" | "policy-peers" | "policy-ports", MapTable>
> {
  return {
    ipcache: hashTable(
      addresses,
      [
        ["address", "text"],
        ["identity", "number"],
      ],
      (key, value) => [formatAddress(IpcacheKey.decode(key).addr), IpcacheRow.decode(value).identity],
    ),
    "ipcache-prefixes": hashTable(
      prefixes,
      [
        ["prefix", "text"],
        ["identity", "number"],
        ["flags", "list"],
      ],
      (key, value) => {
        const [{ addr, length }, { identity, flags }] = [IpcachePrefixKey.decode(key), IpcacheRow.decode(value)];
        return [rangeText(addr, length - IPCACHE_KEY_BITS), identity, bitNames(IpcacheFlagHelp, flags)];
      },
    ),
    "policy-sets": arrayTable(
      sets,
      [
        ["set", "number"],
        ["ingress", "text"],
        ["egress", "text"],
      ],
      (bytes, at, index) => {
        if (index === 0 || isZero(bytes, at, PolicySetRow.size)) return undefined;
        return () => {
          const row = PolicySetRow.decode(bytes, at);
          return [index, verdictText(row.in), verdictText(row.out)];
        };
      },
    ),
    "policy-peers": hashTable(
      peers,
      [
        ["set", "number"],
        ["identity", "number"],
        ["ingress", "text"],
        ["egress", "text"],
      ],
      (_, value) => {
        const row = PolicyPeerRow.decode(value);
        return [row.set, row.identity, verdictText(row.in), verdictText(row.out)];
      },
    ),
    "policy-ports": hashTable(
      ports,
      [
        ["class", "number"],
        ["protocol", "text"],
        ["ports", "text"],
        ["verdict", "text"],
        ["rule", "number"],
      ],
      (key, value) => {
        const { length, class: number, proto, port } = PolicyPortKey.decode(key);
        const { allow, rule } = PolicyPortRow.decode(value);
        const isOfAll = length === CLASS_BITS;
        return [number, isOfAll ? "any" : protocolName(proto), portsText(length, port), allowText(allow !== 0), rule];
      },
    ),
  };
}

/** Bits before the address in a key of mesh_ipcache_prefixes. */
const IPCACHE_KEY_BITS = 32;
/** Bits of the class in a key of mesh_policy_ports, and of what stands before the port. */
const CLASS_BITS = 32;
const PORT_AT = 48;

/** `allow by 5`, for all ports; `class 7`, by port. */
function verdictText(word: number): string {
  const { allPorts, allow, number } = PeerVerdict.fromWord(word);
  return allPorts === 0 ? `class ${number}` : `${allowText(allow !== 0)} by ${number}`;
}

function allowText(allow: boolean): string {
  return allow ? "allow" : "deny";
}

/** The ports that so many bits of a key mean. */
function portsText(length: number, port: number): string {
  if (length <= PORT_AT) return "any";
  const last = port + 2 ** (PORT_AT + 16 - length) - 1;
  return last === port ? String(port) : `${port}-${last}`;
}

/** A row for each tier. A service without tiers is one that a frontend leads to: else its row is free. */
function services({ services: array, frontends }: Pick<NodePort, "services" | "frontends">): MapTable {
  return {
    columns: [
      ["service", "number"],
      ["generation", "number"],
      ["tier", "number"],
      ["cluster", "text"],
      ["slots", "number"],
      ["line", "number"],
      ["tries", "number"],
      ["table", "text"],
      ["rescue", "text"],
    ],
    *steps(): RowSteps {
      const used = new Uint8Array(array.maxEntries);
      for (const part of frontends.parts()) {
        for (const [, value] of part) used[FrontendRow.decode(value).service] = 1;
        yield undefined;
      }
      for (const { bytes, at, index } of eachEntry(array)) {
        if (bytes === undefined) yield undefined;
        else if (index > 0 && (used[index] === 1 || !isZero(bytes, at, TIERS_BYTES))) yield* tierRows(bytes, at, index);
      }
    },
  };
}

const TIERS_BYTES = ServiceRow.offsets.flags - ServiceRow.offsets.tier;

function* tierRows(bytes: Uint8Array, at: number, index: number): RowSteps {
  const { tier, gen, flags, rescueAfterMs } = ServiceRow.decode(bytes, at);
  const tiers = tier.map(TierWord.fromWord);
  const rescue = flags & ServiceFlag.NoRescue ? "off" : rescueAfterMs === 0 ? "auto" : `${rescueAfterMs}ms`;
  if (tiers.every(({ slots }) => slots === 0)) yield () => [index, gen, "", "", 0, "", "", "none", rescue];
  for (const [i, { slots, cluster, line, tries, maglev }] of tiers.entries())
    if (slots !== 0) {
      const row: Row = () => {
        const kind = maglev === 1 ? "maglev" : "slots";
        return [index, gen, i, cluster === 0 ? "mixed" : String(cluster), slots, line, tries, kind, rescue];
      };
      yield row;
    }
}

/** Rows that report something: the others are up. */
function stateTable(array: ArrayPort, of: "node" | "cluster"): MapTable {
  return arrayTable(
    array,
    [
      [of, "number"],
      ["state", "text"],
      ["draining", "list"],
      ["suspect", "list"],
      ["down", "list"],
    ],
    (bytes, at, index) => {
      if (isZero(bytes, at, StateWord.size)) return undefined;
      return () => {
        const word = StateWord.decode(bytes, at);
        const reporters = [word.draining, word.suspect, word.down].map(bitNumbers);
        return [index, nameOf(RankHelp, rankOf(StateWord.toWord(word))), ...reporters];
      };
    },
  );
}

type ReadRow = (bytes: Uint8Array, at: number, index: number) => Row | undefined;

function arrayTable(array: ArrayPort, columns: MapTable["columns"], read: ReadRow): MapTable {
  return { columns, steps: () => arrayRows(array, read) };
}

function* arrayRows(array: ArrayPort, read: ReadRow): RowSteps {
  for (const { bytes, at, index } of eachEntry(array)) yield bytes === undefined ? undefined : read(bytes, at, index);
}

/** Each entry; without bytes after each chunk. */
function* eachEntry(array: ArrayPort): Generator<{ bytes: Uint8Array | undefined; at: number; index: number }, void> {
  for (let first = 0; first < array.maxEntries; first += CHUNK) {
    const count = Math.min(CHUNK, array.maxEntries - first);
    const bytes = array.read(first, count);
    for (let i = 0; i < count; i++) yield { bytes, at: i * array.entrySize, index: first + i };
    yield { bytes: undefined, at: 0, index: 0 };
  }
}

function hashTable(
  hash: HashPort,
  columns: MapTable["columns"],
  decode: (key: Uint8Array, value: Uint8Array) => ReturnType<Row>,
): MapTable {
  return {
    columns,
    *steps(): RowSteps {
      for (const part of hash.parts()) {
        for (const [key, value] of part) yield () => decode(key, value);
        yield undefined;
      }
    },
  };
}

type Names = ReadonlyMap<number, { readonly name: string }>;

/** The name of a value of an enum; the number of one that this version does not know. */
function nameOf(names: Names, value: number): string {
  return names.get(value)?.name ?? `unknown-${value}`;
}

/** The names of the bits that are set; `bit-5` for one that this version does not know. */
export function bitNames(names: Names, bits: number): readonly string[] {
  return bitNumbers(bits).map((bit) => names.get(1 << Number(bit))?.name ?? `bit-${bit}`);
}

function bitNumbers(bits: number): readonly string[] {
  return Array.from({ length: 32 }, (_, bit) => bit)
    .filter((bit) => ((bits >>> bit) & 1) === 1)
    .map(String);
}

function isZero(bytes: Uint8Array, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** Index and generation of a backend's id; "-" for a slot without one. */
function idText(word: number): string {
  if (word === 0) return "-";
  const { index, generation } = BackendId.fromWord(word);
  return `${index}#${generation}`;
}

function addressText(address: Uint8Array): string {
  return isZero(address, 0, address.length) ? "" : formatAddress(address);
}

function rangeText(address: Uint8Array, length: number): string {
  return isV4(address) && length >= 96
    ? `${formatAddress(address)}/${length - 96}`
    : `${formatAddress(address)}/${length}`;
}

function macText(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function netnsNumber(netnsId: number): number | string {
  return netnsId === 0 ? "" : netnsId - 1;
}

function numberOf(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0, true);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
