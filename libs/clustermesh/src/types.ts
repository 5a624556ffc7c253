/**
 * What goes into the merge and what comes out: plain data, no bytes, no kernel.
 *
 * In: one view per cluster (the own one and each remote). Out: a table of frontends, each with tiers of backends.
 */
import type { Address, ClusterId, ClusterName, ServiceName } from "@isthmus/model";
import type { Family, Node, Port, Service, ServiceConfig } from "@isthmus/proto";
import type { AddressWords } from "./address-words.js";

/** Everything known of one cluster. Changes arrive record by record; maps are keyed as in the store. */
export interface ClusterView {
  readonly cluster: ClusterName;
  readonly id: ClusterId;
  readonly local: boolean;
  readonly services: ReadonlyMap<ServiceName, Service>;
  /** Slices of each Service by slice name. */
  readonly slices: ReadonlyMap<ServiceName, ReadonlyMap<string, SliceView>>;
  readonly nodes: ReadonlyMap<string, Node>;
}

/** One slice, read once; its backends are the same objects in every merge. */
export interface SliceView {
  readonly family: Family;
  readonly ports: readonly Port[];
  /** Backends of the slice's family under `ports[port]`; conditions are kept, also of what cannot serve now. */
  backends(port: number): readonly MergedBackend[];
}

/** How this cluster consumes its own Services; a Service without one is not global. */
export type ServiceConfigs = ReadonlyMap<ServiceName, ServiceConfig>;

/** One address that serves a port. Unique by (address, port, protocol) within a frontend: ready wins. */
export interface MergedBackend extends AddressWords {
  readonly cluster: ClusterName;
  readonly clusterId: ClusterId;
  readonly port: number;
  readonly protocol: number;
  readonly ready: boolean;
  /** Terminating and still serving: used only when no backend of the tier is ready. */
  readonly serving: boolean;
  /** Kubernetes name of its node, "" when unknown. */
  readonly node: string;
  readonly weight: number;
  /** `backendHash` of cluster, address, port and protocol. */
  readonly hash: number;
}

/** Clusters that are tried together, before the next tier. */
export interface MergedTier {
  readonly clusters: readonly ClusterName[];
  readonly backends: readonly MergedBackend[];
}

/** Why a cluster gives nothing to a frontend. */
export interface KeptOut {
  readonly cluster: ClusterName;
  /** One sentence without a full stop, for people. */
  readonly reason: string;
}

/** One (address, port, protocol) that clients dial. */
export interface MergedFrontend {
  readonly service: ServiceName;
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
  readonly portName: string;
  readonly global: boolean;
  readonly tiers: readonly MergedTier[];
  readonly keptOut: readonly KeptOut[];
  /** What of the object is not served as written. */
  readonly notes: readonly string[];
}

/** All frontends of one Service: the unit of change. */
export type ServiceTable = ReadonlyMap<ServiceName, readonly MergedFrontend[]>;
