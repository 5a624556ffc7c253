/** The addresses of backends, by the ids that programs know them by: read in the map that the programs read. */
import { BackendId, BackendRow } from "@isthmus/bpf";
import type { ArrayPort } from "@isthmus/reconcile";

export interface BackendAddress {
  /** 16 bytes, a copy. */
  readonly address: Buffer;
  /** Its port. */
  readonly port: number;
}

export interface BackendAddresses {
  /** Undefined: the backend is gone, or never was. */
  byId(id: number): BackendAddress | undefined;
}

/** `backends`: mesh_backends. */
export function createBackendAddresses(backends: Pick<ArrayPort, "read" | "maxEntries">): BackendAddresses {
  return {
    byId(id) {
      const { index } = BackendId.fromWord(id);
      if (index === 0 || index >= backends.maxEntries) return undefined;
      const row = BackendRow.decode(backends.read(index));
      return row.id === id ? { address: Buffer.from(row.addr), port: row.port } : undefined;
    },
  };
}
