/** The backend addresses and the counter of moved connects in a node's kernel, read from the pinned maps that the programs use. */
import { BackendRow, createMappedArray, MAP_NAMES, type MappedArray, Metric, native, readMetric } from "@isthmus/bpf";
import { parseAddress } from "@isthmus/model";

export interface MapView {
  holds(address: string): boolean;
  /** Connects that were moved to another backend since the node began. */
  moved(): number;
  close(): void;
}

/** `pins`: the node's folder in bpffs. */
export function openMapView(pins: string): MapView {
  const pin = native().openPin(`${pins}/${MAP_NAMES.backends}`);
  const rows = createMappedArray(MAP_NAMES.backends, pin);
  pin.close();
  const metrics = native().openPin(`${pins}/${MAP_NAMES.metrics}`);
  return {
    holds: (address) => holds(rows, address),
    moved: () => readMetric(metrics, Metric.Moved),
    close() {
      metrics.close();
      rows.close();
    },
  };
}

function holds(rows: MappedArray, address: string): boolean {
  const read = rows.read(0, rows.maxEntries);
  const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
  const wanted = parseAddress(address);
  const { addr } = BackendRow.offsets;
  for (let at = bytes.indexOf(wanted); at !== -1; at = bytes.indexOf(wanted, at + 1)) {
    if (at % BackendRow.size !== addr) continue;
    if (BackendRow.decode(bytes, at - addr).id !== 0) return true;
  }
  return false;
}
