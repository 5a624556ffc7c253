/**
 * Input and output of the merge, as plain data.
 *
 * In: one view per cluster, local and remote. Out: a table of frontends, each with tiers of backends.
 */
import type { Address, ClusterId, ClusterName, RescueAfter, ServiceName } from "@isthmus/model";
import type { BackendExclusion, Family, Node, Port, Service, ServiceConfig } from "@isthmus/proto";
import type { AddressWords } from "./address-words.js";

/** All records of one cluster, decoded, by the names in their keys. */
export interface ClusterView {
  /** Name from the record's source. */
  readonly cluster: ClusterName;
  /** The real id, also for the local cluster. */
  readonly id: ClusterId;
  /** The cluster of this agent or apiserver. */
  readonly local: boolean;
  /** Service records by namespace/name. */
  readonly services: ReadonlyMap<ServiceName, Service>;
  /** Slices of each Service by slice name. */
  readonly slices: ReadonlyMap<ServiceName, ReadonlyMap<string, SliceView>>;
  /** Node records by the node's name in Kubernetes. */
  readonly nodes: ReadonlyMap<string, Node>;
}

/** A slice, decoded once; every merge uses the same backend objects. */
export interface SliceView {
  /** Of all its backends; an address of the other family is left out. */
  readonly family: Family;
  /** Names, protocols and numbers as in the slice: the number is the target port. */
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
  /** The cluster whose slice has it. */
  readonly cluster: ClusterName;
  /** Id of `cluster`, as in the maps. */
  readonly clusterId: ClusterId;
  /** Target port, host order. */
  readonly port: number;
  /** IANA number. */
  readonly protocol: number;
  /** May get new connections; as in the EndpointSlice. */
  readonly ready: boolean;
  /** Terminating and still serving: used only when no backend of the tier is ready. */
  readonly serving: boolean;
  /** Kubernetes name of its node, "" when unknown. */
  readonly node: string;
  /** 1 unless its record has another; relative to the other backends of its tier. */
  readonly weight: number;
  /** `backendHash` of cluster, address, port and protocol. */
  readonly hash: number;
}

/** Backends of clusters that are used together, before those of the next tier. */
export interface MergedTier {
  /** Names, also of those that have no backends. */
  readonly clusters: readonly ClusterName[];
  /** Sorted by cluster, address and port, those that are not ready included. */
  readonly backends: readonly MergedBackend[];
}

/** Why a cluster contributes no backends to a frontend. */
export interface ExcludedCluster {
  /** A remote cluster that is connected. */
  readonly cluster: ClusterName;
  /** One sentence for users, without a full stop. */
  readonly reason: string;
}

/** Why a backend is left out. */
export interface Exclusion {
  /** What left it out. */
  readonly cause: BackendExclusion;
  /** One sentence for users, without a full stop. */
  readonly reason: string;
}

/** A backend that was left out of a frontend. */
export interface ExcludedBackend extends Exclusion {
  /** Its port is the first of its slice if the slice has not the one of the frontend. */
  readonly backend: MergedBackend;
}

/** One (address, port, protocol) that clients dial. */
export interface MergedFrontend {
  /** The local Service, namespace/name. */
  readonly service: ServiceName;
  /** A ClusterIP of the local Service. */
  readonly address: Address;
  /** Number of the local Service's port, host order. */
  readonly port: number;
  /** IANA number. */
  readonly protocol: number;
  /** Name of the local Service's port, by which remote ports are matched; "" when it has none. */
  readonly portName: string;
  /** The local Service has the annotation: remote clusters may contribute. */
  readonly global: boolean;
  /** When connects to it are moved to another backend, by the local Service or its cluster's default. */
  readonly rescueAfter: RescueAfter;
  /** Best first; one tier of the local cluster alone when it is not global. No backend is in two of them. */
  readonly tiers: readonly MergedTier[];
  /** Each remote cluster without backends here, once. */
  readonly excluded: readonly ExcludedCluster[];
  /** Every backend of every cluster that is in no tier; absent unless the merge explains. */
  readonly excludedBackends?: readonly ExcludedBackend[];
  /** Sentences for users about settings of the Service that are not served as written. */
  readonly notes: readonly string[];
}

/** Frontends by Service. Changes replace all frontends of a Service at once. */
export type ServiceTable = ReadonlyMap<ServiceName, readonly MergedFrontend[]>;
