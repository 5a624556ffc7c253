/** For tests: valid records of peers, and sources that read a real store. */
import type { Store } from "@isthmus/kvstore";
import { type Clock, parseAddress, parseClusterId, parseClusterName, parsePrefix, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { Family, Kind, Node, Slice } from "@isthmus/proto";
import {
  asBuffer,
  createSourceIndex,
  type HashedRecord,
  hashRecord,
  NODE_KIND,
  type RecordTable,
  type SourceIndex,
  STORE_KINDS,
  sameSums,
} from "@isthmus/records";
import { until } from "@isthmus/testing";
import type { PeerSpec } from "../peer.js";
import type { RemoteSource } from "../remote-source.js";
import { createRemoteSources, type RemoteSources, type RemoteSourcesSettings } from "../remote-sources.js";

/** Cluster n has pods in 10.n.0.0/16 and services in 10.(100+n).0.0/16. */
export function peer(name: string, id: number, uid = ""): PeerSpec {
  return {
    cluster: parseClusterName(name),
    id: parseClusterId(id),
    podCidrs: [parsePrefix(`10.${id}.0.0/16`)],
    serviceCidrs: [parsePrefix(`10.${100 + id}.0.0/16`)],
    uid,
  };
}

export const LOCAL = peer("own", 99);

/** Slice number `i` with one backend of cluster `id`; `version` changes its bytes, `size` pads them as a newer version would. */
export function slice(id: number, i: number, version = 0, size = 0): HashedRecord {
  const address = asBuffer(parseAddress(`10.${id}.${(i >> 8) & 255}.${i & 255}`));
  const backends = [{ address, conditions: 3, weight: version }];
  const value = Slice.encode(Slice.fromPartial({ family: Family.FAMILY_IPV4, backends })).finish();
  return hashRecord(
    Kind.KIND_SLICE,
    `slices/shop/cart/s${i}`,
    size === 0 ? value : Buffer.concat([value, padding(size)]),
  );
}

/** Field 999, which no version uses yet, with `size` bytes. */
function padding(size: number): Uint8Array {
  const length: number[] = [];
  for (let rest = size; rest > 0; rest >>>= 7) length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  return Buffer.concat([Buffer.from([0xba, 0x3e, ...length]), Buffer.alloc(size)]);
}

export function slices(id: number, count: number, version = 0, size = 0): HashedRecord[] {
  return Array.from({ length: count }, (_, i) => slice(id, i, version, size));
}

/** A node of cluster `id`; `zone` changes its bytes. */
export function node(id: number, name: string, addresses: string | readonly string[], zone = ""): HashedRecord {
  const cidr = parsePrefix(`10.${id}.0.0/24`);
  const podCidrs = [{ address: asBuffer(cidr.address), length: cidr.length }];
  const parsed = [addresses].flat().map((text) => asBuffer(parseAddress(text)));
  return NODE_KIND.record(`nodes/${name}`, Node.create({ name, addresses: parsed, podCidrs, zone }));
}

export interface RunningSources {
  readonly sources: RemoteSources;
  readonly localIndex: SourceIndex;
  source(id: number): RemoteSource;
  stop(): Promise<void>;
}

export function runSources(
  store: Store,
  peers: readonly PeerSpec[],
  clock: Clock = systemClock,
  settings: RemoteSourcesSettings = { allowOpenStore: true },
): RunningSources {
  const controller = new AbortController();
  const localIndex = createSourceIndex();
  const sources = createRemoteSources(LOCAL, { store, clock, log: silentLogger, localIndex }, settings);
  sources.update(peers);
  const over = sources.run(controller.signal);
  return {
    sources,
    localIndex,
    source(id) {
      const source = sources.get(id);
      if (source === undefined) throw new Error(`No source with id ${id}`);
      return source;
    },
    stop: async () => {
      controller.abort();
      await over;
    },
  };
}

/** Waits until a source is in sync and holds exactly these records. */
export function untilSame(source: RemoteSource, table: RecordTable, limitMs?: number): Promise<void> {
  return until(
    `source ${source.cluster} matches the published records`,
    () => source.isVerified() && sameSums(source.index.sums(STORE_KINDS), table.sums(STORE_KINDS)),
    limitMs,
  );
}
