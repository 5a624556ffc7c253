/** Builds meshes of clusters from encoded records, for the tests of this package. */
import {
  type ClusterId,
  type ClusterName,
  parseAddress,
  parseClusterName,
  type ServiceName,
  TCP,
} from "@isthmus/model";
import { Affinity, Family, Kind, Service, ServiceConfig, Slice } from "@isthmus/proto";
import { serviceConfigKey, serviceKey, sliceKey } from "@isthmus/records";
import { wordsAddress } from "../address-words.js";
import { createServiceMerger, type ServiceMerger } from "../service-merger.js";
import type { MergedBackend, MergedFrontend } from "../types.js";

export const CART = "shop/cart" as ServiceName;
export const READY = 0b011;
export const TERMINATING = 0b110;
export const NOT_READY = 0b000;

/** A change of one record, as the stream carries it; a deletion has no value. */
export interface Change {
  readonly cluster: string;
  readonly kind: Kind;
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

export interface ServiceSpec {
  readonly name?: string;
  readonly frontends?: readonly string[];
  /** name:number, or name:number/protocol number. */
  readonly ports?: readonly string[];
  readonly shared?: boolean;
}

export function service(cluster: string, spec: ServiceSpec = {}): Change {
  const { name = CART, frontends = ["10.96.0.10"], ports = ["http:80"], shared = true } = spec;
  const record = Service.fromPartial({
    frontends: frontends.map((text) => Buffer.from(parseAddress(text))),
    ports: ports.map(port),
    shared,
  });
  return {
    cluster,
    kind: Kind.KIND_SERVICE,
    key: serviceKey(name as ServiceName),
    value: Service.encode(record).finish(),
  };
}

export interface SliceSpec {
  readonly name?: string;
  readonly slice?: string;
  readonly ports?: readonly string[];
  readonly family?: Family;
  /** Address to conditions. */
  readonly backends: Readonly<Record<string, number>>;
}

export function slice(cluster: string, spec: SliceSpec): Change {
  const { name = CART, slice = `${name.split("/")[1]}-a`, ports = ["http:8080"], family = Family.FAMILY_IPV4 } = spec;
  const record = Slice.fromPartial({
    family,
    ports: ports.map(port),
    backends: Object.entries(spec.backends).map(([address, conditions]) => ({
      address: Buffer.from(parseAddress(address)),
      conditions,
      node: `${cluster}-n1`,
    })),
  });
  return {
    cluster,
    kind: Kind.KIND_SLICE,
    key: sliceKey(name as ServiceName, slice),
    value: Slice.encode(record).finish(),
  };
}

export function config(settings: Parameters<typeof ServiceConfig.fromPartial>[0], name = CART): Change {
  const value = ServiceConfig.encode(ServiceConfig.fromPartial(settings)).finish();
  return { cluster: "east", kind: Kind.KIND_SERVICE_CONFIG, key: serviceConfigKey(name as ServiceName), value };
}

export const globalWith = (affinity: Affinity = Affinity.AFFINITY_NONE) => config({ global: true, affinity });

export function deletion(change: Change): Change {
  return { ...change, value: undefined };
}

/** A merger in cluster east with these clusters and changes, not flushed. */
export function mesh(changes: readonly Change[], clusters: readonly string[] = ["east", "west"]): ServiceMerger {
  const merger = createServiceMerger();
  for (const [i, name] of clusters.entries()) {
    merger.addCluster({ cluster: parseClusterName(name), id: (i + 1) as ClusterId, local: name === "east" });
  }
  play(merger, changes);
  return merger;
}

export function play(merger: ServiceMerger, changes: readonly Change[]): void {
  for (const { cluster, kind, key, value } of changes) {
    if (value === undefined) merger.remove(cluster as ClusterName, kind, key);
    else merger.upsert(cluster as ClusterName, kind, key, value);
  }
}

/** The frontends of `shop/cart` after a flush. */
export function cart(changes: readonly Change[], clusters?: readonly string[]): readonly MergedFrontend[] {
  const merger = mesh(changes, clusters);
  merger.flushServices();
  return merger.table.get(CART) ?? [];
}

/** `west 10.2.0.1:8080 ready` */
export function show(backend: MergedBackend): string {
  const state = backend.ready ? "ready" : backend.serving ? "serving" : "not ready";
  return `${backend.cluster} ${wordsAddress(backend).subarray(12).join(".")}:${backend.port} ${state}`;
}

/** Backends per tier, as `show` prints them. */
export function tiers(frontend: MergedFrontend | undefined): readonly (readonly string[])[] {
  return frontend?.tiers.map((tier) => tier.backends.map(show)) ?? [];
}

/** The first frontend's reasons by cluster. */
export function reasons(frontends: readonly MergedFrontend[]): Readonly<Record<string, string>> {
  return Object.fromEntries(frontends[0]?.excluded.map(({ cluster, reason }) => [cluster, reason]) ?? []);
}

function port(text: string): { name: string; port: number; protocol: number } {
  const [, name = "", number, protocol] = /^(.*):(\d+)(?:\/(\d+))?$/.exec(text) ?? [];
  return { name, port: Number(number), protocol: Number(protocol ?? TCP) };
}
