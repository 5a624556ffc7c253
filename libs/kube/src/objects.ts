/** The fields of Kubernetes objects that Isthmus reads or writes; other fields are ignored. */

export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

export interface KubeService extends KubeObject {
  readonly spec?: {
    readonly type?: string;
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
  readonly status?: { readonly conditions?: readonly MeshCondition[] };
}

export interface KubeEndpointSlice extends KubeObject {
  readonly addressType?: string;
  readonly ports?:
    | readonly { readonly name?: string; readonly protocol?: string; readonly port?: number | null }[]
    | null;
  readonly endpoints?: readonly KubeEndpoint[] | null;
}

export interface KubeEndpoint {
  readonly addresses?: readonly string[];
  readonly conditions?: {
    readonly ready?: boolean | null;
    readonly serving?: boolean | null;
    readonly terminating?: boolean | null;
  };
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly zone?: string;
  readonly hints?: { readonly forZones?: readonly { readonly name: string }[] };
  readonly targetRef?: { readonly kind?: string; readonly uid?: string };
}

export interface KubeNode extends KubeObject {
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string }[];
  };
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export interface KubeConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface KubeSecret extends KubeObject {
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface KubeServiceCidr extends KubeObject {
  readonly spec?: { readonly cidrs?: readonly string[] };
}

export interface KubeLease extends KubeObject {
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
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

export interface StoreSpec {
  readonly endpoints: readonly string[];
  /** PEM */
  readonly ca: string;
  /** PEM */
  readonly certificate: string;
}

export interface MeshCluster extends KubeObject {
  readonly spec: {
    readonly id: number;
    readonly podCIDRs: readonly string[];
    readonly serviceCIDRs: readonly string[];
    readonly store?: StoreSpec;
  };
  readonly status?: {
    readonly uid?: string;
    readonly instance?: string;
    readonly version?: string;
    /** PEM of a certificate request, CN = cluster name. */
    readonly storeRequest?: string;
    readonly storeId?: string;
    readonly adminServers?: readonly string[];
    readonly conditions?: readonly MeshCondition[];
  };
}

export interface MeshPeer extends KubeObject {
  readonly spec: {
    readonly id: number;
    readonly podCIDRs: readonly string[];
    readonly serviceCIDRs: readonly string[];
    readonly uid: string;
  };
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
