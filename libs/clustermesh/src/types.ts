/**
 * Input and output of the merge, as plain data.
 *
 * In: one view per cluster, local and remote. Out: a table of frontends, each with tiers of backends.
 */
import type { Address, ClusterId, ClusterName, ServiceName } from "@isthmus/model";
import type { Family, Node, Port, Service, ServiceConfig } from "@isthmus/proto";
import type { AddressWords } from "./address-words.js";

/** All records of one cluster, decoded, by the names in their keys. */
export interface ClusterView {
  readonly cluster: ClusterName;
  readonly id: ClusterId;
  readonly local: boolean;
  readonly services: ReadonlyMap<ServiceName, Service>;
  /** Slices of each Service by slice name. */
  readonly slices: ReadonlyMap<ServiceName, ReadonlyMap<string, SliceView>>;
  readonly nodes: ReadonlyMap<string, Node>;
}

/** A slice, decoded once; every merge uses the same backend objects. */
export interface SliceView {
  readonly family: Family;
  readonly ports: readonly Port[];
  /** Backends of the slice's family for `ports[port]`, including those that are not ready. */
  backends(port: number): readonly MergedBackend[];
}

/** How the local cluster consumes its Services; a Service without a config is not global. */
export type ServiceConfigs = ReadonlyMap<ServiceName, ServiceConfig>;

/**
 * An address that serves a port. Unique by (address, port, protocol) within a frontend; of duplicates a ready one is
 * kept.
 */
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

/** Backends of clusters that are used together, before those of the next tier. */
export interface MergedTier {
  readonly clusters: readonly ClusterName[];
  readonly backends: readonly MergedBackend[];
}

/** Why a cluster contributes no backends to a frontend. */
export interface ExcludedCluster {
  readonly cluster: ClusterName;
  /** One sentence for users, without a full stop. */
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
  readonly excluded: readonly ExcludedCluster[];
  /** Sentences for users about settings of the Service that are not served as written. */
  readonly notes: readonly string[];
}

/** Frontends by Service. Changes replace all frontends of a Service at once. */
export type ServiceTable = ReadonlyMap<ServiceName, readonly MergedFrontend[]>;
