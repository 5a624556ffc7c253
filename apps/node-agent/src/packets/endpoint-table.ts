/**
 * The pods of this node in mesh_endpoint_index and mesh_endpoints: a row for each address, adopted from what the maps
 * hold.
 *
 * A row is written body first, then its id, then the entry that names it. To free it the entry is deleted, and after a
 * grace period the id is set to 0; only then is the row used again.
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
  /** Rows in use, those that wait to be freed included. */
  readonly used: number;
}

type TablePort = Pick<PacketPath, "endpointIndex" | "endpoints">;

const BODY = EndpointRow.offsets.ifindex;

/** Calls must not overlap. Resolves when rows that no entry names are free. */
export async function openEndpointTable(
  { endpointIndex, endpoints }: TablePort,
  gracePeriod: () => Promise<void>,
): Promise<EndpointTable> {
  /** By address. */
  const rows = new Map<string, number>();
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

  async function drop(address: string): Promise<void> {
    const index = rows.get(address);
    if (index === undefined) return;
    const { failed } = await endpointIndex.delete(new Set([address]));
    for (const error of failed.values()) throw error;
    rows.delete(address);
    void free(index);
  }

  /** In the background: an ADD does not wait for it. A row whose grace period failed is free at the next start. */
  async function free(index: number): Promise<void> {
    try {
      await gracePeriod();
    } catch {
      return;
    }
    endpoints.storeWord32(index, EndpointRow.offsets.id, 0);
    pool.give(index);
  }

  return {
    async put({ address, ifindex, mac, hostMac, netnsId }) {
      const key = bytesKey(EndpointKey.encode({ addr: address }));
      const macs = { mac: rtnetlink.macBytes(mac), hostMac: rtnetlink.macBytes(hostMac) };
      const row = { id: 0, ifindex, ...macs, identity: 0, flags: 0, policy: 0n, addr: address };
      const netns = netnsId === undefined ? 0 : netnsId + 1;
      const bodyWith = (number: number) => EndpointRow.encode({ ...row, netnsId: number }).subarray(BODY);
      const body = bodyWith(netns);
      const known = rows.get(key);
      if (known !== undefined) {
        const held = endpoints.read(known);
        const before = EndpointRow.decode(held).netnsId;
        if (Buffer.compare(held.subarray(BODY), bodyWith(before)) === 0) {
          if (before !== netns) endpoints.storeWord32(known, EndpointRow.offsets.netnsId, netns);
          return;
        }
      }
      await drop(key);
      const index = pool.take();
      if (index === undefined)
        throw new MeshError(
          { code: "MAP_FULL", map: endpoints.name, maxEntries: endpoints.maxEntries },
          `Cannot add to ${endpoints.name}: all ${endpoints.maxEntries - 1} rows are used`,
        );
      endpoints.writeBody(index, body, BODY);
      endpoints.storeWord32(index, EndpointRow.offsets.id, index);
      const { failed } = await endpointIndex.insert(new Map([[key, new Uint8Array(Uint32Array.of(index).buffer)]]));
      for (const error of failed.values()) {
        endpoints.storeWord32(index, EndpointRow.offsets.id, 0);
        pool.give(index);
        throw error;
      }
      rows.set(key, index);
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
    get used() {
      return pool.used;
    },
  };
}
