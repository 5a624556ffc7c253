/**
 * For tests: short notations for desired Services, an agent's datapath on an in-memory kernel, and the backends that a
 * program can choose.
 *
 * `selectable` returns all that `service_choose` of bpf/lib/service.h can choose: every slot of every tier, as the maps
 * are at this moment.
 */
import {
  BackendRow,
  backendIndex,
  type DatapathPort,
  FrontendRow,
  keyCheck,
  Limit,
  ServiceRow,
  TableLine,
  TierWord,
} from "@isthmus/bpf";
import { addressWords, backendHash, type MergedBackend } from "@isthmus/clustermesh";
import type { FrontendPlan } from "@isthmus/loadbalancer";
import {
  type ClusterId,
  type ClusterName,
  formatAddress,
  formatPrefix,
  keyBytes,
  parseAddress,
  type RescueAfter,
  type ServiceName,
  TCP,
} from "@isthmus/model";
import { createDesiredState, type DesiredState } from "../../desired/services/desired-state.js";
import { type FrontendName, frontendName } from "../../desired/services/frontends.js";
import { createDatapath, type Datapath } from "../datapath.js";

/** `"10.1.0.5"` of cluster 1, or `"2:10.2.0.5"` of cluster 2; `"2:10.2.0.5@n1"` on node n1. */
export type BackendText = string;

export function makeBackend(text: BackendText): MergedBackend {
  const match = /^(?:(\d+):)?([^@]+)(?:@(.+))?$/.exec(text);
  const clusterId = Number(match?.[1] ?? 1) as ClusterId;
  const words = addressWords(parseAddress(match?.[2] ?? ""));
  const [port, protocol] = [8080, TCP];
  return {
    cluster: `c${clusterId}` as ClusterName,
    clusterId,
    ...words,
    hash: backendHash(clusterId, words, port, protocol),
    port,
    protocol,
    ready: true,
    serving: false,
    node: match?.[3] ?? "",
    weight: 1,
  };
}

/** One frontend `ip:port`/TCP with tiers of backends, of which at most four slots are tried. */
export function makePlan(
  service: string,
  ip: string,
  tiers: readonly (readonly BackendText[])[],
  port = 80,
  rescueAfter: RescueAfter = "auto",
): FrontendPlan {
  const plans = tiers.map((texts) => {
    const slots = texts.map(makeBackend);
    const first = slots[0]?.clusterId ?? 0;
    const cluster = slots.every((backend) => backend.clusterId === first) ? first : 0;
    return { slots, tries: Math.min(slots.length, 4) - 1, cluster: cluster as ClusterId | 0 };
  });
  const frontend = {
    service: service as ServiceName,
    address: parseAddress(ip),
    port,
    protocol: TCP,
    portName: "http",
    global: false,
    rescueAfter,
    tiers: [],
    excluded: [],
    notes: [],
  };
  return { frontend, tiers: plans };
}

export function frontendOf(ip: string, port = 80): FrontendName {
  return frontendName(parseAddress(ip), port, TCP);
}

export interface Bench {
  readonly desired: DesiredState;
  readonly datapath: Datapath;
  /** Sets Services and applies; does not wait for freeing in the background. */
  set(...services: readonly (readonly FrontendPlan[] | string)[]): Promise<void>;
}

/** A fresh agent of cluster 1 on a kernel. A Service is set by its plans, or removed by its name. */
export async function startBench(port: DatapathPort, now: () => number = () => 0): Promise<Bench> {
  const desired = createDesiredState();
  const datapath = await createDatapath({ port, now, desired, localCluster: 1 });
  return {
    desired,
    datapath,
    async set(...services) {
      for (const service of services) {
        const name = typeof service === "string" ? service : service[0]?.frontend.service;
        if (name === undefined) continue;
        const plans = typeof service === "string" ? [] : service;
        datapath.touch({ frontends: desired.setService(name as ServiceName, plans) });
      }
      await datapath.apply();
    },
  };
}

export interface Reachable {
  readonly id: number;
  /** `cluster:address`, or "stale" when the row does not hold the id. */
  readonly backend: string;
}

/** The backends that a connect to the frontend can reach; undefined = no such frontend; empty = refused. */
export async function selectable(port: DatapathPort, name: FrontendName): Promise<readonly Reachable[] | undefined> {
  const bytes = (await port.frontends.load()).get(name);
  if (bytes === undefined) return undefined;
  const row = FrontendRow.decode(bytes);
  if (row.check !== keyCheck(keyBytes(name)) || row.service === 0) return undefined;
  const words = ServiceRow.decode(port.services.read(row.service)).tier;
  return words.flatMap((word) => {
    const { line, slots } = TierWord.fromWord(word);
    return Array.from({ length: slots }, (_, slot) => readSlot(port, line, slot));
  });
}

export function readSlot(port: DatapathPort, line: number, slot: number): Reachable {
  const { linesPerSegment, segments } = port.tables;
  const bytes = segments[Math.floor(line / linesPerSegment)]?.read(
    (line % linesPerSegment) + Math.floor(slot / Limit.LineSlots),
  );
  const id = bytes === undefined ? 0 : (TableLine.decode(bytes).id[slot % Limit.LineSlots] ?? 0);
  const row = BackendRow.decode(port.backends.read(backendIndex(id)));
  return { id, backend: id !== 0 && row.id === id ? `${row.cluster}:${formatAddress(row.addr)}` : "stale" };
}

const NO_SERVICE: Pick<ServiceRow, "tier" | "flags" | "rescueAfterMs"> = { tier: [], flags: 0, rescueAfterMs: 0 };

/**
 * Describes everything that programs can reach, without node-local indexes and without the order of slots, which
 * depends on past changes: equal for equal desired states.
 */
export async function describeKernel(port: DatapathPort): Promise<string[]> {
  const lines: string[] = [];
  for (const [name, bytes] of await port.frontends.load()) {
    const row = FrontendRow.decode(bytes);
    const { tier, flags, rescueAfterMs } =
      row.service === 0 ? NO_SERVICE : ServiceRow.decode(port.services.read(row.service));
    const tiers = tier.map((word) => {
      const { line, slots, tries, cluster } = TierWord.fromWord(word);
      const ids = Array.from({ length: slots }, (_, slot) => readSlot(port, line, slot).backend);
      return `${cluster}/${tries}[${ids.sort().join(" ")}]`;
    });
    lines.push(
      `${Buffer.from(keyBytes(name)).toString("hex")} flags=${row.flags},${flags} ${rescueAfterMs}ms ${tiers.join(" ")}`,
    );
  }
  const used = Array.from({ length: port.backends.maxEntries }, (_, i) => BackendRow.decode(port.backends.read(i)));
  const rows = used.filter((row) => row.id !== 0).map((row) => `backend ${row.cluster}:${formatAddress(row.addr)}`);
  const ranges = (await port.serviceRanges.load()).map((range) => `range ${formatPrefix(range)}`);
  return [...lines.sort(), ...rows.sort(), ...ranges.sort()];
}
