/** The fields of Kubernetes objects that Isthmus reads or writes; other fields are ignored. */

export interface ObjectMeta {
  /** Absent only in a new object with `generateName`. */
  readonly name?: string;
  /** Prefix to which the API adds a random suffix at creation. */
  readonly generateName?: string;
  /** Absent for a cluster-scoped object. */
  readonly namespace?: string;
  /** Set by the API; another one after a deletion and a new creation. */
  readonly uid?: string;
  /** A decimal number that increases with each write, since it is etcd's revision. */
  readonly resourceVersion?: string;
  /** Counts the changes of the spec. Not every resource has one. */
  readonly generation?: number;
  /** RFC 3339 in whole seconds: `2024-05-01T12:00:00Z`. */
  readonly creationTimestamp?: string;
  /** As `creationTimestamp`; set while finalizers delay the deletion. */
  readonly deletionTimestamp?: string;
  /** Values have at most 63 characters. */
  readonly labels?: Readonly<Record<string, string>>;
  /** At most 256 KiB together. */
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface KubeObject {
  /** `v1` or `group/version`; may be absent in the items of a list. */
  readonly apiVersion?: string;
  /** May be absent in the items of a list. */
  readonly kind?: string;
  /** Every object has it, also when it is empty. */
  readonly metadata: ObjectMeta;
}

export interface KubeService extends KubeObject {
  /** As written by the user, with the addresses and node ports that the API allocated. */
  readonly spec?: {
    readonly type?: string;
    readonly selector?: Readonly<Record<string, string>> | null;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly ports?: readonly {
      readonly name?: string;
      readonly protocol?: string;
      readonly port: number;
      readonly nodePort?: number;
    }[];
    readonly sessionAffinity?: string;
    readonly sessionAffinityConfig?: { readonly clientIP?: { readonly timeoutSeconds?: number } };
    readonly internalTrafficPolicy?: string;
    readonly externalTrafficPolicy?: string;
    readonly externalIPs?: readonly string[];
    readonly healthCheckNodePort?: number;
    readonly trafficDistribution?: string;
  };
  /** Has conditions of the mesh (`mesh.isthmus.io/…`) beside those of others. */
  readonly status?: { readonly conditions?: readonly MeshCondition[] };
}

export interface KubeEndpointSlice extends KubeObject {
  /** `IPv4`, `IPv6` or `FQDN`, for all of its endpoints. */
  readonly addressType?: string;
  /** For all of its endpoints. A port without a number means all ports. */
  readonly ports?:
    | readonly { readonly name?: string; readonly protocol?: string; readonly port?: number | null }[]
    | null;
  /** At most 1,000; null like []. */
  readonly endpoints?: readonly KubeEndpoint[] | null;
}

export interface KubeEndpoint {
  /** All of them are the same backend: only the first is used. */
  readonly addresses?: readonly string[];
  /** An unknown `ready` counts as true, an unknown `serving` as `ready`. */
  readonly conditions?: {
    readonly ready?: boolean | null;
    readonly serving?: boolean | null;
    readonly terminating?: boolean | null;
  };
  /** The pod's `hostname`, for the DNS names of a headless Service. */
  readonly hostname?: string;
  /** Absent for an endpoint outside the cluster. */
  readonly nodeName?: string;
  /** The node's `topology.kubernetes.io/zone`. */
  readonly zone?: string;
  /** The zones whose clients should prefer it. */
  readonly hints?: { readonly forZones?: readonly { readonly name: string }[] };
  /** A pod in most slices; one that was written by hand may have none. */
  readonly targetRef?: { readonly kind?: string; readonly uid?: string };
}

export interface KubeNode extends KubeObject {
  /** `podCIDRs` has one range for each family; `podCIDR` is the first of them. */
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string }[];
  };
  /** `addresses` have a type such as `InternalIP`; those of type `Hostname` are names. */
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export interface KubePod extends KubeObject {
  /** `nodeName` is absent until the pod is scheduled. */
  readonly spec?: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly hostNetwork?: boolean;
    readonly containers?: readonly KubeContainer[];
    readonly initContainers?: readonly KubeContainer[];
  };
  /** `podIPs` has one address for each family; `podIP` is the first of them. A finished pod keeps them. */
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
  };
}

export interface KubeContainer {
  /** A port without a protocol is of TCP. */
  readonly ports?: readonly {
    readonly name?: string;
    readonly containerPort: number;
    readonly protocol?: string;
  }[];
}

export interface KubeConfigMap extends KubeObject {
  /** Text by key; binary data is not read. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface KubeSecret extends KubeObject {
  /** `Opaque` when absent. */
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface KubeServiceCidr extends KubeObject {
  /** At most one range for each family. */
  readonly spec?: { readonly cidrs?: readonly string[] };
}

export interface KubeLease extends KubeObject {
  /** Nothing holds it when `holderIdentity` is absent or "", or when the duration is over. */
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    /** MicroTime: six digits after the second. */
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface MeshCondition {
  /** One condition per type; `mesh.isthmus.io/…` on objects that the mesh does not own. */
  readonly type: string;
  /** Unknown: the statement of the type cannot be decided now. */
  readonly status: "True" | "False" | "Unknown";
  /** UpperCamelCase: `InSync`. */
  readonly reason: string;
  /** A sentence for people; at most 32,768 bytes. */
  readonly message: string;
  /** RFC 3339 in whole seconds: when `status`, not the message, changed last. */
  readonly lastTransitionTime: string;
  /** `metadata.generation` of the object that the condition is about; absent when the object has none. */
  readonly observedGeneration?: number;
}

export interface StoreSpec {
  /** `https://host:port` */
  readonly endpoints: readonly string[];
  /** PEM */
  readonly ca: string;
  /** PEM */
  readonly certificate: string;
}

export interface MeshCluster extends KubeObject {
  /** Written by clustermesh-apiserver; `store` by `mesh connect`. `id`: 1 to 4094. CIDRs as `10.1.0.0/16`. */
  readonly spec: {
    readonly id: number;
    readonly podCIDRs: readonly string[];
    readonly serviceCIDRs: readonly string[];
    readonly store?: StoreSpec;
  };
  /** Written by the instance that holds the Lease. */
  readonly status?: {
    readonly uid?: string;
    readonly instance?: string;
    readonly version?: string;
    /** PEM of a certificate request, CN = cluster name. */
    readonly storeRequest?: string;
    readonly storeId?: string;
    /** 32 hex digits: which labels of pods are no part of identities. */
    readonly labelFilterDigest?: string;
    readonly adminServers?: readonly string[];
    /** The highest local number that was reserved for a MeshIdentity. */
    readonly identityCursor?: number;
    readonly conditions?: readonly MeshCondition[];
  };
}

export interface MeshPeer extends KubeObject {
  /** Written by `mesh connect`: what the peer may claim. `uid`: of its namespace kube-system. */
  readonly spec: {
    readonly id: number;
    readonly podCIDRs: readonly string[];
    readonly serviceCIDRs: readonly string[];
    readonly uid: string;
  };
  /** Written by the instance that holds the Lease; `revision` is a decimal number of 64 bits. */
  readonly status?: {
    /** A name of `PEER_STATES` (libs/records/src/states.ts); of another version possibly another one. */
    readonly state?: string;
    readonly storeId?: string;
    readonly revision?: string;
    readonly headBeatAgeMs?: number;
    readonly message?: string;
    readonly conditions?: readonly MeshCondition[];
  };
}

/** A security identity; the name is its number. */
export interface MeshIdentity extends KubeObject {
  /** `labels` never change. `releasedAt`: RFC 3339 in whole seconds, absent while a pod has the labels. */
  readonly spec: {
    readonly labels: Readonly<Record<string, string>>;
    readonly releasedAt?: string | null;
  };
}
