/** Writes N services of ten backends each directly through the port: 10.96.0.0 and up, port 80. */
import { BackendRow, backendId, type Datapath, Limit, Proto, ServiceRow, TableLine, TierWord } from "@isthmus/bpf";
import { frontend } from "@isthmus/bpf/testing";
import { parseAddress } from "@isthmus/model";
import { PORT, PORTS, SERVER } from "./rig.js";

export const BACKENDS = 10;
/** Rows per call, as the agent writes them for 512 frontends. */
const CHUNK = 512 * BACKENDS;
export const FIRST_VIP = "10.96.0.0";

export function vip(service: number): string {
  return `10.${96 + (service >> 16)}.${(service >> 8) & 255}.${service & 255}`;
}

/** Milliseconds that each kind of write took. */
export interface WriteTimes {
  readonly backends: number;
  readonly tables: number;
  readonly words: number;
  readonly frontends: number;
  readonly total: number;
}

/** Writes services 0..count-1 (rows 1..count) in the order of the commit rule. Every backend has a real server. */
export async function writeServices(datapath: Datapath, count: number): Promise<WriteTimes> {
  const addr = parseAddress(SERVER);
  const start = performance.now();
  for (let first = 1; first <= count * BACKENDS; first += CHUNK) {
    const rows = Math.min(CHUNK, count * BACKENDS + 1 - first);
    const indexes = Uint32Array.from({ length: rows }, (_, i) => first + i);
    const bytes = new Uint8Array(rows * BackendRow.size);
    for (const [i, index] of indexes.entries()) {
      const port = PORT + (index % PORTS);
      const row = { id: 0, port, proto: Proto.Tcp, state: 0, node: 0, cluster: 1, zone: 0, flags: 0, addr };
      BackendRow.encode(row, bytes, i * BackendRow.size);
    }
    datapath.backends.writeBodies(indexes, bytes);
    const offsets = new Uint32Array(rows).fill(BackendRow.offsets.id);
    const ids = indexes.map((index) => backendId(1, index));
    datapath.backends.storeWords32(indexes, offsets, ids);
  }
  const backends = performance.now();
  for (let service = 0; service < count; service++) writeLine(datapath, service, 1);
  const tables = performance.now();
  for (let service = 0; service < count; service++)
    datapath.services.storeWord64(service + 1, ServiceRow.offsets.tier, word(service));
  const words = performance.now();
  const rows = Array.from({ length: count }, (_, service) => frontend(vip(service), 80, Proto.Tcp, service + 1));
  const { failed } = await datapath.frontends.insert(new Map(rows));
  for (const error of failed.values()) throw error;
  const end = performance.now();
  return {
    backends: backends - start,
    tables: tables - backends,
    words: words - tables,
    frontends: end - words,
    total: end - start,
  };
}

/** Writes the service's line; the backend in its first slot has this generation. */
function writeLine(datapath: Datapath, service: number, generation: number): void {
  const segment = datapath.tables.segments[Math.floor(service / Limit.SegmentLines)];
  if (segment === undefined) throw new Error(`Cannot write line ${service}: there is no such segment`);
  const id = Array.from({ length: BACKENDS }, (_, i) =>
    backendId(i === 0 ? generation : 1, service * BACKENDS + i + 1),
  );
  segment.writeBody(service % Limit.SegmentLines, TableLine.encode({ id }));
}

function word(line: number): bigint {
  return TierWord.toWord({ line, slots: BACKENDS, tries: 3, maglev: 0, cluster: 1 });
}

/** Exchanges one endpoint of one service: writes a backend, a line, a word. `spare`: an unused line and backend index. */
export function changeEndpoint(datapath: Datapath, service: number, spare: number): void {
  const addr = parseAddress(SERVER);
  const id = backendId(1, spare);
  datapath.backends.writeBody(
    spare,
    BackendRow.encode({ id: 0, port: PORT, proto: Proto.Tcp, state: 0, node: 0, cluster: 1, zone: 0, flags: 0, addr }),
  );
  datapath.backends.storeWord32(spare, BackendRow.offsets.id, id);
  const ids = [id, ...Array.from({ length: BACKENDS - 1 }, (_, i) => backendId(1, service * BACKENDS + i + 2))];
  datapath.tables.segments[0]?.writeBody(spare % Limit.SegmentLines, TableLine.encode({ id: ids }));
  datapath.services.storeWord64(service + 1, ServiceRow.offsets.tier, word(spare % Limit.SegmentLines));
}
