/**
 * What programs find for a frontend in this node's maps: the way of a connect (bpf/lib/frontend.h, service.h) up to the choice.
 *
 * ```
 *   address, port, protocol ─► mesh_frontends ─► mesh_services: tier words ─► lines of ids ─► mesh_backends, with three ranks
 *                                  └── no row ─► the row for the rest of the VIP ─► ranges of ClusterIPs
 * ```
 * Only rows on that way are read, one after another while the agent may change them, and in slices: a table has 131,071 slots
 * at most.
 */
import {
  BackendFlag,
  BackendId,
  BackendRow,
  FrontendFlag,
  FrontendKey,
  FrontendRow,
  FrontendScope,
  keyCheck,
  Limit,
  Proto,
  Rank,
  RankHelp,
  rankOf,
  ServiceFlag,
  ServiceRow,
  TableLine,
  TierWord,
} from "@isthmus/bpf";
import { prefixContains, printable } from "@isthmus/model";
import {
  type BackendSlots,
  type FrontendAddress,
  FrontendRowState,
  FrontendRows,
  type FrontendsQuery,
  type NodeFrontends,
  type TierRows,
} from "@isthmus/proto";
import type { Slices } from "@isthmus/runtime";
import type { DesiredState } from "../desired/services/desired-state.js";
import { type FrontendName, frontendName } from "../desired/services/frontends.js";
import type { NodePort } from "./node-maps.js";

export interface FrontendLookupModules {
  /** The maps, which are only read. */
  readonly port: Pick<
    NodePort,
    "backends" | "clusterState" | "frontends" | "nodeState" | "serviceRanges" | "services" | "tables"
  >;
  /** Real id of the local cluster, which programs take to be up. */
  readonly localCluster: number;
  /** Names the Service that has a frontend. */
  readonly desired: Pick<DesiredState, "get">;
  /** Why the maps lack what is desired of a frontend and its Service. */
  readonly problems: (frontend: FrontendName, service: string) => readonly Error[];
}

export interface FrontendLookup {
  /** The work of one answer, or why there is none. It throws when a map cannot be read. */
  open(query: FrontendsQuery): Slices<NodeFrontends> | { readonly problem: string };
}

/** Frontends of one query: a Service with many ports has some. */
const MAX_FRONTENDS = 16;
/** Backends of one answer: 80 bytes each, and a message of an agent has 320 KB at most. */
const MAX_BACKENDS = 1000;
const MAX_PROBLEMS = 8;
/** Read at once. */
const LINES = 64;
const BACKENDS = 64;

/** Reads nothing before an answer is made. */
export function createFrontendLookup(modules: FrontendLookupModules): FrontendLookup {
  return {
    open({ frontends }) {
      if (frontends.length > MAX_FRONTENDS)
        return { problem: `the agent looks up at most ${MAX_FRONTENDS} frontends at once` };
      if (frontends.some(({ address, port }) => address.length !== 16 || port > 0xffff))
        return { problem: "a frontend has an address of 16 bytes and a port" };
      return lookUp(modules, frontends);
    },
  };
}

function* lookUp(modules: FrontendLookupModules, wanted: readonly FrontendAddress[]): Slices<NodeFrontends> {
  const frontends: FrontendRows[] = [];
  const room = { left: MAX_BACKENDS };
  for (const frontend of wanted) frontends.push(yield* frontendRows(modules, frontend, room));
  return { frontends };
}

/** Backends that still fit into the answer. */
interface Room {
  left: number;
}

function* frontendRows(
  modules: FrontendLookupModules,
  { address, port, protocol }: FrontendAddress,
  room: Room,
): Slices<FrontendRows> {
  const name = frontendName(address, port, protocol);
  const desired = modules.desired.get(name);
  const plannedFor = desired?.kind === "service" ? desired.service : "";
  const problems = modules.problems(name, plannedFor).map(({ message }) => printable(message, 500));
  const { state, service } = findFrontend(modules.port, { address, port, protocol });
  const rows = FrontendRows.fromPartial({ state, plannedFor, problems: problems.slice(0, MAX_PROBLEMS) });
  if (state !== FrontendRowState.FRONTEND_ROW_STATE_SERVICE) return rows;
  const { tier, flags, gen, rescueAfterMs } = ServiceRow.decode(modules.port.services.read(service));
  const tiers: Tier[] = [];
  for (const word of tier.map(TierWord.fromWord)) if (word.slots > 0) tiers.push(yield* readTier(modules, word, room));
  return {
    ...{ ...rows, service, generation: gen, rescueAfterMs, noRescue: (flags & ServiceFlag.NoRescue) !== 0 },
    tiers: tiers.map(({ rows }) => rows),
    activeTier: activeTier(tiers),
    backendsLeftOut: tiers.reduce((sum, { leftOut }) => sum + leftOut, 0),
  };
}

/** As frontend_find(). */
function findFrontend(
  port: FrontendLookupModules["port"],
  { address, port: number, protocol }: FrontendAddress,
): { readonly state: FrontendRowState; readonly service: number } {
  const row = frontendRow(port, address, number, protocol);
  if (row !== undefined) {
    const leads = (row.flags & FrontendFlag.Reject) === 0 && row.service > 0 && row.service < port.services.maxEntries;
    return leads ? { state: SERVICE, service: row.service } : { state: REFUSED, service: 0 };
  }
  const rest = frontendRow(port, address, 0, Proto.Any);
  if (rest !== undefined) return { state: (rest.flags & FrontendFlag.Pass) === 0 ? REFUSED : OTHER_PROXY, service: 0 };
  const isInRange = port.serviceRanges.read().some((range) => prefixContains(range, address));
  return { state: isInRange ? UNKNOWN : NONE, service: 0 };
}

const {
  FRONTEND_ROW_STATE_SERVICE: SERVICE,
  FRONTEND_ROW_STATE_REFUSED: REFUSED,
  FRONTEND_ROW_STATE_OTHER_PROXY: OTHER_PROXY,
  FRONTEND_ROW_STATE_UNKNOWN: UNKNOWN,
  FRONTEND_ROW_STATE_NONE: NONE,
} = FrontendRowState;

/** A row with a wrong check is a miss. */
function frontendRow(
  { frontends }: FrontendLookupModules["port"],
  addr: Uint8Array,
  port: number,
  proto: number,
): FrontendRow | undefined {
  const key = FrontendKey.encode({ addr, port, proto, scope: FrontendScope.All });
  const value = frontends.get(key);
  const row = value && FrontendRow.decode(value);
  return row?.check === keyCheck(key) ? row : undefined;
}

/** A tier, and what decides which one programs use. */
interface Tier {
  readonly rows: TierRows;
  /** The lowest of its backends; undefined: it has none. */
  readonly bestRank: number | undefined;
  /** Backends that did not fit into the answer. */
  readonly leftOut: number;
}

function* readTier(modules: FrontendLookupModules, word: TierWord, room: Room): Slices<Tier> {
  const { line, slots, tries, cluster } = word;
  const skipped = cluster !== 0 && rankOf(clusterState(modules, cluster)) === Rank.Down;
  const rows: TierRows = { line, slots, tries, cluster, skipped, stale: 0, backends: [] };
  let [bestRank, leftOut, read] = [undefined as number | undefined, 0, 0];
  for (const [id, count] of yield* slotsById(modules, word)) {
    if (++read % BACKENDS === 0) yield;
    const backend = backendSlots(modules, id, count);
    if (backend === undefined) rows.stale += count;
    else {
      bestRank = Math.min(backend.rank, bestRank ?? backend.rank);
      if (room.left > 0) {
        room.left--;
        rows.backends.push(backend);
      } else leftOut++;
    }
  }
  return { rows, bestRank, leftOut };
}

/** Number of slots of each id, in the order of the first ones. */
function* slotsById(
  { port: { tables } }: FrontendLookupModules,
  { line, slots }: TierWord,
): Slices<ReadonlyMap<number, number>> {
  const counts = new Map<number, number>();
  const segment = tables.segments[Math.floor(line / tables.linesPerSegment)];
  const first = line % tables.linesPerSegment;
  const end = Math.min(first + Math.ceil(slots / Limit.LineSlots), segment?.maxEntries ?? first);
  let left = slots;
  for (let at = first; at < end; at += LINES) {
    const bytes = segment?.read(at, Math.min(LINES, end - at)) ?? new Uint8Array();
    for (let offset = 0; offset < bytes.length; offset += TableLine.size)
      for (const id of TableLine.decode(bytes, offset).id) if (left-- > 0) counts.set(id, (counts.get(id) ?? 0) + 1);
    yield;
  }
  return counts;
}

/** As backend_lookup() and backend_rank(); undefined: the backend is gone. */
function backendSlots(modules: FrontendLookupModules, id: number, slots: number): BackendSlots | undefined {
  const { backends, nodeState } = modules.port;
  const { index, generation } = BackendId.fromWord(id);
  if (id === 0 || index >= backends.maxEntries) return undefined;
  const row = BackendRow.decode(backends.read(index));
  if (row.id !== id) return undefined;
  const { addr, port, proto: protocol, cluster, node, flags } = row;
  const ownRank = row.state & 3;
  const clusterWord = clusterState(modules, cluster);
  const nodeWord = node > 0 && node < nodeState.maxEntries ? wordOf(nodeState.read(node)) : 0;
  const rank = Math.max(ownRank, rankOf(clusterWord), rankOf(nodeWord));
  return {
    ...{ index, generation, slots, port, protocol, cluster, node, ownRank },
    address: Buffer.from(addr),
    terminating: (flags & BackendFlag.Terminating) !== 0,
    rank,
    rankName: RankHelp.get(rank)?.name ?? "",
    clusterState: clusterWord,
    nodeState: nodeWord,
  };
}

/** As cluster_rank(): the local cluster is always up. */
function clusterState({ port: { clusterState }, localCluster }: FrontendLookupModules, cluster: number): number {
  if (cluster === 0 || cluster === localCluster || cluster >= clusterState.maxEntries) return 0;
  return wordOf(clusterState.read(cluster));
}

function wordOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
}

/**
 * As service_choose(): the first tier with a backend that is up, else the one with the lowest rank; a tier that is skipped, when
 * no other has a backend. From 1; 0: none has. In a tier with more slots than are probed, a connect may miss the backend that is up.
 */
function activeTier(tiers: readonly Tier[]): number {
  const probed = tiers.filter(({ rows, bestRank }) => !rows.skipped && bestRank !== undefined);
  const lowest = Math.min(...probed.map(({ bestRank = Rank.Down }) => bestRank));
  const chosen =
    probed.find(({ bestRank }) => bestRank === lowest) ??
    tiers.find(({ rows, bestRank }) => rows.skipped && bestRank !== undefined);
  return chosen === undefined ? 0 : tiers.indexOf(chosen) + 1;
}
