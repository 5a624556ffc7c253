/** A small mesh for tests, as Kubernetes knows it: namespaces, pods, addresses and policies of the local cluster. */

export const LOCAL = "east";

export interface TestPod {
  readonly name: string;
  readonly cluster: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

export interface TestPolicy {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: TestSpec;
}

export interface TestSpec {
  readonly podSelector: TestSelector;
  readonly policyTypes?: readonly string[];
  readonly ingress?: readonly TestRule[];
  readonly egress?: readonly TestRule[];
}

export interface TestRule {
  readonly from?: readonly TestPeer[];
  readonly to?: readonly TestPeer[];
  readonly ports?: readonly TestPort[];
}

export interface TestPeer {
  readonly podSelector?: TestSelector;
  readonly namespaceSelector?: TestSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

export interface TestPort {
  readonly protocol?: string;
  readonly port?: number | string;
  readonly endPort?: number;
}

export interface TestSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface TestMesh {
  /** By `cluster/namespace`. */
  readonly namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly pods: readonly TestPod[];
  /** Addresses of no pod. */
  readonly outside: readonly string[];
  readonly policies: readonly TestPolicy[];
}
