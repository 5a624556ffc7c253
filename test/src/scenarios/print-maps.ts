/**
 * Prints the maps of a node, decoded with the codecs generated from the programs' headers: what a program would find, without
 * numbers that differ from node to node. Equal text means equal behaviour: slots of short tables are sorted, since no choice
 * depends on their order.
 */
import {
  BackendFlag,
  BackendRow,
  backendIndex,
  type DatapathPort,
  FrontendFlag,
  FrontendKey,
  FrontendRow,
  keyCheck,
  Limit,
  NodeRow,
  ServiceFlag,
  ServiceRow,
  TableLine,
  TierWord,
} from "@isthmus/bpf";
import { formatAddress, keyBytes, protocolName } from "@isthmus/model";
import type { ArrayPort } from "@isthmus/reconcile";

export async function printMaps(port: DatapathPort): Promise<string> {
  const frontends: string[] = [];
  for (const [key, value] of await port.frontends.load()) frontends.push(printFrontend(port, keyBytes(key), value));
  const backends = rows(port.backends, BackendRow).map((row) => {
    const flags = row.flags & BackendFlag.Terminating ? " terminating" : "";
    return `backend  ${row.cluster} ${endpoint(row)}/${protocolName(row.proto)}${nodeOf(port, row)}${flags}`;
  });
  const nodes = rows(port.nodes, NodeRow).map((row) => `node     ${row.cluster} ${formatAddress(row.tunnel)}`);
  return [...frontends.sort(), ...backends.sort(), ...nodes.sort()].join("\n");
}

function printFrontend(port: DatapathPort, key: Uint8Array, value: Uint8Array): string {
  const { addr, port: number, proto } = FrontendKey.decode(key);
  const { service, flags, check } = FrontendRow.decode(value);
  const where = number === 0 ? "*" : `${number}/${protocolName(proto)}`;
  const head = `frontend ${formatAddress(addr)}:${where}`;
  if (check !== keyCheck(key)) return `${head} BROKEN CHECK`;
  if (flags & FrontendFlag.Reject) return `${head} refuses`;
  if (flags & FrontendFlag.Pass) return `${head} left to another proxy`;
  const { tier, ...settings } = ServiceRow.decode(port.services.read(service));
  const words = tier.filter((word) => word !== 0n);
  if (words.length === 0) return `${head} refuses`;
  return [`${head}${rescueOf(settings)}`, ...words.map((word) => `  tier   ${printTier(port, word)}`)].join("\n");
}

function rescueOf({ flags, rescueAfterMs }: Pick<ServiceRow, "flags" | "rescueAfterMs">): string {
  if (flags & ServiceFlag.NoRescue) return " rescue off";
  return rescueAfterMs === 0 ? "" : ` rescue after ${rescueAfterMs} ms`;
}

function printTier(port: DatapathPort, word: bigint): string {
  const { line, slots, tries, cluster } = TierWord.fromWord(word);
  const ids = Array.from({ length: slots }, (_, slot) => readSlot(port, line, slot));
  const backends = ids.map((id) => {
    const row = BackendRow.decode(port.backends.read(backendIndex(id)));
    return row.id === id ? endpoint(row) : "STALE";
  });
  if (slots <= Limit.SearchSlots) backends.sort();
  return `cluster ${cluster === 0 ? "any" : cluster}, tries ${tries}: ${backends.join(" ")}`;
}

function readSlot({ tables }: DatapathPort, line: number, slot: number): number {
  const at = line + Math.floor(slot / Limit.LineSlots);
  const segment = tables.segments[Math.floor(at / tables.linesPerSegment)];
  const bytes = segment?.read(at % tables.linesPerSegment);
  return bytes === undefined ? 0 : (TableLine.decode(bytes).id[slot % Limit.LineSlots] ?? 0);
}

function endpoint({ addr, port }: BackendRow): string {
  return `${formatAddress(addr)}:${port}`;
}

function nodeOf(port: DatapathPort, { node }: BackendRow): string {
  return node === 0 ? "" : ` on ${formatAddress(NodeRow.decode(port.nodes.read(node)).tunnel)}`;
}

/** Rows in use. */
function rows<Row extends { readonly id: number }>(port: ArrayPort, codec: { decode(bytes: Uint8Array): Row }): Row[] {
  const all = Array.from({ length: port.maxEntries }, (_, index) => codec.decode(port.read(index)));
  return all.filter((row) => row.id !== 0);
}
