/**
 * mesh_ipcache and mesh_ipcache_prefixes as a part of the datapath: which identity addresses have.
 *
 * ```
 *   make:   addresses and prefixes in, or with another identity      (sets have the rows of these identities already)
 *   break:  addresses and prefixes out ─► another revision for the pods that allowed more before
 * ```
 * An address gets another identity by one update of its row. Flows that were allowed while it had the former one are judged
 * again: by pods whose set may allow less of the new one. That this is to come is noted before the first write, for the next
 * agent.
 *
 * Nothing is written until the local cluster is in sync. Adopted rows that are not desired stay until no cluster may have them.
 */
import {
  IpcacheFlag,
  IpcacheKey,
  IpcachePrefixKey,
  IpcacheRow,
  KnownIdentity,
  keyCheck,
  type PolicyPort,
} from "@isthmus/bpf";
import { type IdentityNumber, identityCluster, LOCAL_BITS, NODE_LOCAL_CLUSTER } from "@isthmus/identity";
import { bytesKey, formatPrefix, keyBytes, type Prefix, parsePrefix } from "@isthmus/model";
import { createStatusTable, mapFull } from "@isthmus/reconcile";
import type { Slices } from "@isthmus/runtime";
import type { Part } from "../../apply/part.js";
import type { DesiredPolicy, DesiredPrefix } from "@isthmus/node-policy";
import type { IdentityMove, IdentityUses, PolicyRows, PolicySync } from "./modules.js";
import type { PolicyPartChanges } from "./policy-sets-part.js";
import { createPrefixTable, type PrefixRow, type PrefixTable, prefixKey } from "./prefix-table.js";
import type { Revisions } from "./revisions.js";

/** What the maps held at the start. */
export interface AdoptedIdentities {
  /** By address (`bytesKey`). */
  readonly addresses: Map<string, number>;
  /** All that the map has. */
  readonly prefixes: PrefixTable;
}

export interface IdentitiesModules {
  /** Read when it is planned; `touch` names what changed in it. */
  readonly desired: Pick<DesiredPolicy, "addresses" | "prefixes">;
  /** What the maps held at the start. */
  readonly adopted: AdoptedIdentities;
  /** Of `adopted`; this part keeps it. */
  readonly uses: IdentityUses;
  /** Its rows are written earlier in the same apply. */
  readonly rows: PolicyRows;
  /** What of the desired state is complete. */
  readonly sync: PolicySync;
  /** Of the same maps. */
  readonly revisions: Revisions;
  /** Id of the local cluster: rows are reserved for its addresses. */
  readonly localCluster: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export interface IdentitiesPart extends Part<PolicyPartChanges> {
  /** As the map has it; undefined: the address has no row. */
  identityOf(address: string): number | undefined;
}

type Ports = Pick<PolicyPort, "addresses" | "prefixes">;

const ADDRESSES = "identities of addresses";
const PREFIXES = "identities of prefixes";
/** Addresses that are planned before they are written. */
const ADDRESSES_PER_SLICE = 2048;
/** More moves concern every pod. */
const MOST_MOVES = 1024;

/** Reads both maps. */
export function* adoptIdentities(
  { addresses: port, prefixes: prefixPort }: Ports,
  uses: IdentityUses,
): Slices<AdoptedIdentities> {
  const addresses = new Map<string, number>();
  const prefixes = createPrefixTable();
  for (const part of port.parts()) {
    for (const [key, value] of part) {
      const { identity } = IpcacheRow.decode(value);
      const { addr } = IpcacheKey.decode(key);
      // A row that is not as this version writes it is written again.
      const isOurs = bytesKey(value) === bytesKey(addressRow(key, identity));
      addresses.set(bytesKey(addr), isOurs ? identity : KnownIdentity.None);
      uses.add(isOurs ? identity : KnownIdentity.None);
    }
    yield;
  }
  for (const part of prefixPort.parts()) {
    for (const [key, value] of part) {
      const { identity, flags } = IpcacheRow.decode(value);
      prefixes.set(bytesKey(key), { identity, exact: (flags & IpcacheFlag.Exact) !== 0 });
      uses.add(identity);
    }
    yield;
  }
  return { addresses, prefixes };
}

/** `adopted` becomes the part's own. */
export function createIdentitiesPart(ports: Ports, modules: IdentitiesModules): IdentitiesPart {
  const { desired, uses, rows, sync, revisions, localCluster, now } = modules;
  const { addresses, prefixes } = modules.adopted;
  const status = createStatusTable();
  const dirty = new Set<string>();
  const dirtyPrefixes = new Set<string>();
  /** Desired, without room. */
  const waiting = new Set<string>();
  const waitingPrefixes = new Set<string>();
  /** Desired with an identity that sets have no room for. */
  const held = new Set<string>();
  const heldPrefixes = new Set<string>();
  const unconfirmed = byCluster(addresses, (identity) => identity);
  const unconfirmedPrefixes = byCluster(prefixes.rows, ({ identity }) => identity);
  let batch: readonly string[] = [];
  let done = 0;
  let inserts = new Map<string, IdentityNumber>();
  let updates = new Map<string, IdentityNumber>();
  let prefixWrites = new Map<string, DesiredPrefix>();
  /** To be deleted, by key. */
  const gone = new Set<string>();
  const gonePrefixes = new Set<string>();
  /** What changed since the pods got their revisions; all: also what an agent before left. */
  let moves: Map<string, IdentityMove> | "all" = revisions.pending ? "all" : new Map();

  const fallback = (address: string): number => prefixes.find(keyBytes(address))?.identity ?? KnownIdentity.World;

  /** Notes before it is written that an address gets another identity. */
  function noteMove(before: number, after: number): void {
    if (before === after || moves === "all") return;
    moves.set(`${before} ${after}`, { before, now: after });
    if (moves.size > MOST_MOVES) moves = "all";
  }

  /** The next agent gives revisions, too, if this one ends before. */
  function announce(): void {
    if ((moves === "all" || moves.size > 0) && rows.isEnforcing) revisions.pending = true;
  }

  function hasRoom(identity: number): boolean {
    const cluster = identityCluster(identity);
    const isLocal = cluster === 0 || cluster === localCluster || cluster === NODE_LOCAL_CLUSTER;
    const { maxEntries } = ports.addresses;
    return addresses.size + inserts.size < (isLocal ? maxEntries : maxEntries - Math.floor(maxEntries / 4));
  }

  function wait(address: string): void {
    waiting.add(address);
    status.failed(ADDRESSES, mapFull(ports.addresses.name, ports.addresses.maxEntries), now());
  }

  function plan(address: string): void {
    waiting.delete(address);
    held.delete(address);
    const [wanted, have] = [desired.addresses.get(address), addresses.get(address)];
    if (wanted === undefined) {
      if (have !== undefined) gone.add(address);
      return;
    }
    gone.delete(address);
    if (have === wanted) return;
    if (rows.isBlocked(wanted)) held.add(address);
    else if (have !== undefined) updates.set(address, wanted);
    else if (hasRoom(wanted)) inserts.set(address, wanted);
    else wait(address);
  }

  function planPrefix(text: string): void {
    waitingPrefixes.delete(text);
    heldPrefixes.delete(text);
    const wanted = desired.prefixes.get(text);
    const key = prefixKey(wanted?.prefix ?? parsePrefix(text));
    const have = prefixes.rows.get(key);
    if (wanted === undefined) {
      if (have !== undefined) gonePrefixes.add(key);
      return;
    }
    gonePrefixes.delete(key);
    if (have?.identity === wanted.identity && have.exact === wanted.exact) return;
    if (rows.isBlocked(wanted.identity)) heldPrefixes.add(text);
    else prefixWrites.set(text, wanted);
  }

  /** Adopted rows that no cluster can have any more. */
  function confirm(): void {
    for (const [cluster, keys] of unconfirmed) {
      if (!sync.mayRemove(cluster << LOCAL_BITS)) continue;
      unconfirmed.delete(cluster);
      for (const address of keys) if (!desired.addresses.has(address) && addresses.has(address)) gone.add(address);
    }
    for (const [cluster, keys] of unconfirmedPrefixes) {
      // Node-local ones are of policies, which the local cluster alone has.
      if (cluster !== NODE_LOCAL_CLUSTER && !sync.mayRemove(cluster << LOCAL_BITS)) continue;
      unconfirmedPrefixes.delete(cluster);
      const known = new Set([...desired.prefixes.values()].map(({ prefix }) => prefixKey(prefix)));
      for (const key of keys) if (!known.has(key) && prefixes.rows.has(key)) gonePrefixes.add(key);
    }
  }

  function begin(): void {
    const due = status.due(now());
    if (due.includes(ADDRESSES)) for (const address of waiting) dirty.add(address);
    for (const address of held) {
      const wanted = desired.addresses.get(address);
      if (wanted === undefined || !rows.isBlocked(wanted)) dirty.add(address);
    }
    if (due.includes(PREFIXES)) for (const text of waitingPrefixes) dirtyPrefixes.add(text);
    for (const text of heldPrefixes) {
      const wanted = desired.prefixes.get(text);
      if (wanted === undefined || !rows.isBlocked(wanted.identity)) dirtyPrefixes.add(text);
    }
    confirm();
    for (const text of dirtyPrefixes) planPrefix(text);
    dirtyPrefixes.clear();
    batch = [...dirty];
    dirty.clear();
  }

  async function writeAddresses(
    wanted: ReadonlyMap<string, IdentityNumber>,
    write: "insert" | "update",
  ): Promise<void> {
    if (wanted.size === 0) return;
    const entries = new Map<string, Uint8Array>();
    const byKey = new Map<string, string>();
    for (const [address, identity] of wanted) {
      const key = IpcacheKey.encode({ addr: keyBytes(address), space: 0 });
      entries.set(bytesKey(key), addressRow(key, identity));
      byKey.set(bytesKey(key), address);
    }
    const { failed } = await ports.addresses[write](entries);
    for (const [key, address] of byKey) {
      const error = failed.get(key);
      if (error === undefined) took(address, wanted.get(address) ?? KnownIdentity.None);
      else {
        waiting.add(address);
        status.failed(ADDRESSES, error, now());
      }
    }
  }

  function took(address: string, identity: number): void {
    const before = addresses.get(address);
    if (before !== undefined) uses.delete(before);
    addresses.set(address, identity);
    uses.add(identity);
  }

  async function writePrefixes(wanted: ReadonlyMap<string, DesiredPrefix>): Promise<void> {
    if (wanted.size === 0) return;
    const entries = new Map<string, Uint8Array>();
    for (const { prefix, identity, exact } of wanted.values())
      entries.set(prefixKey(prefix), prefixRow({ identity, exact }));
    const { failed } = await ports.prefixes.update(entries);
    for (const [text, { prefix, identity, exact }] of wanted) {
      const key = prefixKey(prefix);
      const error = failed.get(key);
      if (error === undefined) {
        const before = prefixes.rows.get(key);
        if (before !== undefined) uses.delete(before.identity);
        prefixes.set(key, { identity, exact });
        uses.add(identity);
      } else {
        waitingPrefixes.add(text);
        status.failed(PREFIXES, error, now());
      }
    }
  }

  async function removeGone(): Promise<void> {
    for (const address of gone) noteMove(addresses.get(address) ?? KnownIdentity.None, fallback(address));
    if (gonePrefixes.size > 0) moves = "all";
    if (gone.size === 0 && gonePrefixes.size === 0) return;
    announce();
    const keys = new Map(
      [...gone].map((address) => [bytesKey(IpcacheKey.encode({ addr: keyBytes(address), space: 0 })), address]),
    );
    const { done: deleted } = await ports.addresses.delete(new Set(keys.keys()));
    for (const key of deleted) {
      const address = keys.get(key);
      const before = address === undefined ? undefined : addresses.get(address);
      if (address === undefined || before === undefined) continue;
      addresses.delete(address);
      uses.delete(before);
      gone.delete(address);
    }
    for (const key of (await ports.prefixes.delete(gonePrefixes)).done) {
      const before = prefixes.rows.get(key);
      prefixes.delete(key);
      if (before !== undefined) uses.delete(before.identity);
      gonePrefixes.delete(key);
    }
  }

  return {
    status,
    identityOf: (address) => addresses.get(address),
    touch({ policy }) {
      if (policy === undefined) return;
      for (const address of policy.addresses) dirty.add(address);
      for (const text of policy.prefixes) dirtyPrefixes.add(text);
    },
    async plan() {
      if (!sync.localInSync) return false;
      [inserts, updates, prefixWrites] = [new Map(), new Map(), done === 0 ? new Map() : prefixWrites];
      if (done === 0) begin();
      const end = Math.min(done + ADDRESSES_PER_SLICE, batch.length);
      while (done < end) plan(batch[done++] ?? "");
      const more = done < batch.length;
      if (!more) done = 0;
      return more;
    },
    async make(check) {
      if (!sync.localInSync) return;
      for (const [address, identity] of updates) noteMove(addresses.get(address) ?? KnownIdentity.None, identity);
      for (const [address, identity] of inserts) noteMove(fallback(address), identity);
      if (prefixWrites.size > 0) moves = "all";
      if (inserts.size + updates.size + prefixWrites.size > 0) announce();
      await writeAddresses(inserts, "insert");
      check();
      await writeAddresses(updates, "update");
      check();
      await writePrefixes(prefixWrites);
      prefixWrites = new Map();
      if (waiting.size === 0) status.done(ADDRESSES, now());
      if (waitingPrefixes.size === 0) status.done(PREFIXES, now());
    },
    async break(check) {
      if (!sync.localInSync) return;
      await removeGone();
      check();
      if (moves !== "all" && moves.size === 0) return;
      rows.judgeAgain(moves === "all" ? moves : [...moves.values()]);
      moves = new Map();
      revisions.pending = false;
    },
    fill: () => [
      { map: ports.addresses.name, used: addresses.size, capacity: ports.addresses.maxEntries },
      { map: ports.prefixes.name, used: prefixes.rows.size, capacity: ports.prefixes.maxEntries },
    ],
  };
}

/** Numbers of this node's own identities that the maps still name, and those of its prefixes. */
export interface AdoptedNumbers {
  /** Of addresses, prefixes, and rows of sets. */
  readonly inUse: ReadonlySet<number>;
  /** By text, without those in which each address has a row. */
  readonly prefixes: ReadonlyMap<string, number>;
}

/** `inSets`: identities with rows in sets. */
export function adoptedNumbers({ addresses, prefixes }: AdoptedIdentities, inSets: Iterable<number>): AdoptedNumbers {
  const inUse = new Set<number>();
  const note = (identity: number): void => {
    if (identityCluster(identity) === NODE_LOCAL_CLUSTER) inUse.add(identity);
  };
  for (const identity of addresses.values()) note(identity);
  for (const identity of inSets) note(identity);
  const byText = new Map<string, number>();
  for (const [key, { identity, exact }] of prefixes.rows) {
    note(identity);
    const { length, addr } = IpcachePrefixKey.decode(keyBytes(key));
    if (!exact) byText.set(formatPrefix({ address: addr as Prefix["address"], length: length - 32 }), identity);
  }
  return { inUse, prefixes: byText };
}

function byCluster<Row>(rows: ReadonlyMap<string, Row>, identityOf: (row: Row) => number): Map<number, Set<string>> {
  const clusters = new Map<number, Set<string>>();
  for (const [key, row] of rows) {
    const cluster = identityCluster(identityOf(row));
    clusters.set(cluster, (clusters.get(cluster) ?? new Set()).add(key));
  }
  return clusters;
}

function addressRow(key: Uint8Array, identity: number): Uint8Array {
  return IpcacheRow.encode({ identity, node: 0, flags: 0, check: keyCheck(key) });
}

function prefixRow({ identity, exact }: PrefixRow): Uint8Array {
  return IpcacheRow.encode({ identity, node: 0, flags: exact ? IpcacheFlag.Exact : 0, check: 0 });
}
