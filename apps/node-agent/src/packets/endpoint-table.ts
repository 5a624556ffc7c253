/**
 * The pods of this node in mesh_endpoint_index and mesh_endpoints: a row for each address, adopted from what the maps
 * hold.
 *
 * A row is written body first, then its id, then the entry that names it. To free it the entry is deleted, and after a
 * grace period the id is set to 0; only then is the row used again. An address gets a row again only when nothing is left of
 * the pod that had it.
 *
 * What is enforced for a pod, and its identity, are two words of its row that others set here. They stay as long as the pod has
 * a row, also when that is replaced. The row of another pod begins with 0: everything is allowed, which concerns nobody before
 * its ADD is answered.
 */
import { EndpointKey, EndpointRow, type PacketPath, rtnetlink } from "@isthmus/bpf";
import { type Address, bytesKey, MeshError } from "@isthmus/model";
import { readChunks } from "@isthmus/reconcile";
import { inTurns } from "@isthmus/runtime";
import { createIndexPool } from "../datapath/rows/index-pool.js";

export interface Endpoint {
  /** Of the pod, 16 bytes. */
  readonly address: Address;
  /** The node's side of its veth. */
  readonly ifindex: number;
  /** Of the pod's side and of the node's side, as `02:00:00:00:00:01`. */
  readonly mac: string;
  readonly hostMac: string;
  /** Number that the node's network namespace has for the pod's; undefined = not known. */
  readonly netnsId: number | undefined;
}

export interface EndpointTable {
  /**
   * Writes the pod's row unless it is there. A row of this address in which only the number of the namespace differs
   * keeps its place and gets it by one store, as after an older agent, which knew none; with other content it is
   * replaced. Rejects with `MAP_FULL`.
   */
  put(endpoint: Endpoint): Promise<void>;
  /** Removes the row of an address, if it is of the pod with this MAC, which no other pod has. */
  remove(address: Address, mac: string): Promise<void>;
  /** Removes the rows of all other addresses (as `bytesKey`). */
  retain(addresses: ReadonlySet<string>): Promise<void>;
  /** By address (`bytesKey`), of pods that have one. */
  readonly rows: ReadonlyMap<string, number>;
  /** Addresses (`bytesKey`) of pods that have a row. */
  readonly addresses: Iterable<string>;
  /** Undefined: the address has no row. */
  policyOf(address: string): PodPolicy | undefined;
  /** Stores both. Returns false when the address has no row. */
  setPolicy(address: string, word: bigint, identity: number): boolean;
  /** Calls `changed` with each address whose row comes or goes, when no program finds the former one any more. */
  onChange(changed: (address: string) => void): void;
  /** Rows in use, those that wait to be freed included. */
  readonly used: number;
}

/** What is enforced for a pod. */
export interface PodPolicy {
  /** A `struct pod_policy_word`. */
  readonly word: bigint;
  /** 0 = not known. */
  readonly identity: number;
}

export interface EndpointTableModules {
  /** Resolves when no program that began before the call still runs. */
  readonly gracePeriod: () => Promise<void>;
  /** No program finds the rows of some addresses any more; resolves when nothing is left of their pods elsewhere. Never rejects. */
  readonly removed: () => Promise<void>;
}

type TablePort = Pick<PacketPath, "endpointIndex" | "endpoints">;

const BODY = EndpointRow.offsets.ifindex;
const NO_POLICY: PodPolicy = { word: 0n, identity: 0 };

/** Calls must not overlap. Resolves when rows that no entry names are free. */
export async function openEndpointTable(
  { endpointIndex, endpoints }: TablePort,
  { gracePeriod, removed }: EndpointTableModules,
): Promise<EndpointTable> {
  const rows = new Map<string, number>();
  const listeners: ((address: string) => void)[] = [];
  /** What is enforced for pods whose row is being replaced. */
  const replaced = new Map<string, PodPolicy>();
  /** Addresses of pods of which something is left. */
  const leaving = new Map<string, Promise<void>>();
  for (const [address, value] of await endpointIndex.load())
    rows.set(address, new DataView(value.buffer, value.byteOffset).getUint32(0, true));
  const named = new Set(rows.values());
  const orphans: number[] = [];
  for (const { first, count, view } of readChunks(endpoints))
    for (let i = first === 0 ? 1 : 0; i < count; i++)
      if (view.getUint32(i * EndpointRow.size, true) !== 0 && !named.has(first + i)) orphans.push(first + i);
  await gracePeriod();
  for (const index of orphans) endpoints.storeWord32(index, EndpointRow.offsets.id, 0);
  const pool = await inTurns(createIndexPool(endpoints.maxEntries, named));

  function report(address: string): void {
    for (const listener of listeners) listener(address);
  }

  async function drop(address: string): Promise<void> {
    const index = rows.get(address);
    if (index === undefined) return;
    const { failed } = await endpointIndex.delete(new Set([address]));
    for (const error of failed.values()) throw error;
    rows.delete(address);
    if (!replaced.has(address)) report(address);
    const left = leave(index).finally(() => {
      if (leaving.get(address) === left) leaving.delete(address);
    });
    leaving.set(address, left);
  }

  /**
   * In the background: an ADD of another address does not wait for it. A row whose grace period failed, or ended after the maps were
   * closed, is free at the next start.
   */
  async function leave(index: number): Promise<void> {
    try {
      await gracePeriod();
      endpoints.storeWord32(index, EndpointRow.offsets.id, 0);
      pool.give(index);
    } catch {
      // It stays in use.
    }
    await removed();
  }

  function storePolicy(index: number, { word, identity }: PodPolicy): void {
    endpoints.storeWord32(index, EndpointRow.offsets.identity, identity);
    endpoints.storeWord64(index, EndpointRow.offsets.policy, word);
  }

  /** The address has no row. */
  async function insert(key: string, row: Omit<EndpointRow, "id" | "identity" | "policy">): Promise<number> {
    const index = pool.take();
    if (index === undefined)
      throw new MeshError(
        { code: "MAP_FULL", map: endpoints.name, maxEntries: endpoints.maxEntries },
        `Cannot add to ${endpoints.name}: all ${endpoints.maxEntries - 1} rows are used`,
      );
    const { word: policy, identity } = replaced.get(key) ?? NO_POLICY;
    const bytes = EndpointRow.encode({ ...row, id: 0, identity, policy });
    endpoints.writeBody(index, bytes.subarray(BODY), BODY);
    endpoints.storeWord32(index, EndpointRow.offsets.id, index);
    const { failed } = await endpointIndex.insert(new Map([[key, new Uint8Array(Uint32Array.of(index).buffer)]]));
    for (const error of failed.values()) {
      endpoints.storeWord32(index, EndpointRow.offsets.id, 0);
      pool.give(index);
      throw error;
    }
    return index;
  }

  return {
    async put({ address, ifindex, mac, hostMac, netnsId }) {
      const key = bytesKey(EndpointKey.encode({ addr: address }));
      const macs = { mac: rtnetlink.macBytes(mac), hostMac: rtnetlink.macBytes(hostMac) };
      const netns = netnsId === undefined ? 0 : netnsId + 1;
      const counts = { moved: 0, movesEnded: 0 };
      const row = { ifindex, ...macs, netnsId: netns, flags: 0, addr: address, ...counts };
      const known = rows.get(key);
      if (known !== undefined) {
        const held = EndpointRow.decode(endpoints.read(known));
        const { moved, movesEnded, identity, policy } = held;
        const counted = { moved, movesEnded, identity, policy };
        const same = EndpointRow.encode({ ...row, ...counted, id: known, netnsId: held.netnsId });
        if (Buffer.compare(EndpointRow.encode(held), same) === 0) {
          if (held.netnsId !== netns) endpoints.storeWord32(known, EndpointRow.offsets.netnsId, netns);
          return;
        }
        if (Buffer.compare(held.mac, macs.mac) === 0) replaced.set(key, { word: policy, identity });
      }
      try {
        await drop(key);
        await leaving.get(key);
        const index = await insert(key, row);
        rows.set(key, index);
        const kept = replaced.get(key);
        // It may have been set while the entry was inserted.
        if (kept !== undefined) storePolicy(index, kept);
        else report(key);
      } catch (error) {
        if (replaced.delete(key)) report(key);
        throw error;
      }
      replaced.delete(key);
    },
    async remove(address, mac) {
      const key = bytesKey(EndpointKey.encode({ addr: address }));
      const index = rows.get(key);
      if (index === undefined) return;
      const row = EndpointRow.decode(endpoints.read(index));
      if (Buffer.compare(row.mac, rtnetlink.macBytes(mac)) === 0) await drop(key);
    },
    async retain(addresses) {
      for (const address of [...rows.keys()]) if (!addresses.has(address)) await drop(address);
    },
    rows,
    get addresses() {
      return rows.keys();
    },
    policyOf(address) {
      const index = rows.get(address);
      if (index === undefined) return replaced.get(address);
      const { policy, identity } = EndpointRow.decode(endpoints.read(index));
      return { word: policy, identity };
    },
    setPolicy(address, word, identity) {
      const index = rows.get(address);
      if (index !== undefined) storePolicy(index, { word, identity });
      else if (replaced.has(address)) replaced.set(address, { word, identity });
      else return false;
      return true;
    },
    onChange: (changed) => void listeners.push(changed),
    get used() {
      return pool.used;
    },
  };
}
