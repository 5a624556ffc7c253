/** Makers of pods, namespaces and MeshIdentity objects, and a table of their records that is flushed as an index would. */
import { CLUSTER_LABEL, NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL } from "@isthmus/identity";
import type { KubeObject, KubePod } from "@isthmus/kube";
import { formatAddress, parseClusterId, parseClusterName, parsePrefix } from "@isthmus/model";
import { Endpoint, Identity } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import type { RecordChange } from "../feed/record-diff.js";
import { identityFacts } from "../identities/identity-facts.js";
import { namespaceFacts } from "../identities/namespace-facts.js";
import { type PodFacts, podFacts } from "../identities/pod-facts.js";
import { createPodIdentities } from "../identities/pod-identities.js";

/** Local number 256 of cluster 1, and so on. */
export const FIRST_NUMBER = (1 << 20) + 256;
export const LOCAL = { cluster: parseClusterName("east"), id: parseClusterId(1) };
export const POD_CIDRS = [parsePrefix("10.11.0.0/16")];

export interface TestPod {
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  /** "n1" unless given. */
  readonly node?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly address?: string;
  /** The address in the annotation. */
  readonly reported?: string;
  readonly phase?: string;
  readonly created?: string;
  readonly deleted?: boolean;
  readonly ports?: number;
  /** Value of the annotation about policy audit mode. */
  readonly auditMode?: string;
}

export function testPod(pod: TestPod): KubePod {
  const uid = pod.uid ?? `uid-${pod.name ?? "web-1"}`;
  const { namespace = "shop", name = "web-1", labels = { app: "web" }, address, reported, phase = "Running" } = pod;
  return {
    metadata: {
      ...{ namespace, name, uid, labels },
      creationTimestamp: pod.created ?? "2026-11-30T09:00:00Z",
      ...(pod.deleted === true ? { deletionTimestamp: "2026-11-30T10:00:00Z" } : {}),
      annotations: {
        ...(reported === undefined ? {} : { "mesh.isthmus.io/pod-ips": `${reported}@${uid}` }),
        ...(pod.auditMode === undefined ? {} : { "mesh.isthmus.io/policy-audit-mode": pod.auditMode }),
      },
    },
    spec: {
      ...{ nodeName: pod.node ?? "n1", serviceAccountName: "default" },
      containers: [
        { ports: Array.from({ length: pod.ports ?? 0 }, (_, i) => ({ name: `p${i}`, containerPort: i + 1 })) },
      ],
    },
    status: { phase, podIPs: address === undefined ? [] : [{ ip: address }] },
  };
}

/** The labels of a pod's identity, whose namespace has the label `team`. */
export function identityLabels(app: string, { namespace = "shop", team = "a" } = {}): Record<string, string> {
  return {
    ...{ app, "io.cilium.k8s.namespace.labels.team": team, [NAMESPACE_LABEL]: namespace },
    ...{ [SERVICE_ACCOUNT_LABEL]: "default", [CLUSTER_LABEL]: "east" },
  };
}

/** Local number 256 + `n`. */
export function testIdentity(n: number, labels: Record<string, string>, releasedAt?: string): KubeObject {
  const metadata = { name: `${FIRST_NUMBER + n}`, uid: `uid-${n}`, resourceVersion: "1" };
  return { metadata, spec: { labels, ...(releasedAt === undefined ? {} : { releasedAt }) } } as KubeObject;
}

/** Keeps the flushed records, as an index does. */
export function createTestIdentities() {
  const table = createPodIdentities(LOCAL, POD_CIDRS);
  const own = new Map<string, HashedRecord>();
  const exported = new Map<string, HashedRecord>();
  let last = { own: [] as readonly string[], exported: [] as readonly string[], sets: [] as readonly string[] };
  const notes: string[] = [];

  function keep(into: Map<string, HashedRecord>, { upserts, deletes }: RecordChange): string[] {
    for (const { key } of deletes) into.delete(key);
    for (const record of upserts) into.set(record.key, record);
    return [...upserts.map(({ key }) => key), ...deletes.map(({ key }) => `-${key}`)].sort();
  }

  return {
    ...{ table, own, exported, notes },
    /** What the last flush changed. */
    last: () => last,
    pod(pod: TestPod): PodFacts | undefined {
      const object = testPod(pod);
      const facts = podFacts(object);
      table.setPod(`${object.metadata.namespace}/${object.metadata.name}`, facts);
      return facts;
    },
    gone: (key: string) => table.setPod(key, undefined),
    namespace(name: string, labels: Record<string, string> = { team: "a" }, global?: string, auditMode?: string) {
      const annotations = {
        ...(global === undefined ? {} : { "clustermesh.cilium.io/global": global }),
        ...(auditMode === undefined ? {} : { "mesh.isthmus.io/policy-audit-mode": auditMode }),
      };
      table.setNamespace(namespaceFacts({ metadata: { name, uid: `uid-${name}`, labels, annotations } }));
    },
    identity: (...args: Parameters<typeof testIdentity>) => table.setIdentity(identityFacts(testIdentity(...args))),
    noIdentity: (...args: Parameters<typeof testIdentity>) =>
      table.deleteIdentity(identityFacts(testIdentity(...args))),
    /** Returns the keys of the records that changed; a deleted one begins with "-". */
    flush() {
      const flushed = table.flush();
      notes.push(...flushed.notes.map(({ reason, name }) => `${reason} ${name}`));
      last = { own: keep(own, flushed.local), exported: keep(exported, flushed.exported), sets: flushed.sets };
      return last.own;
    },
    /** Of the endpoint: its pod and the labels of its identity. "none" without a record. */
    at(address: string, records: ReadonlyMap<string, HashedRecord> = own): string {
      const record = records.get(`endpoints/${address}`);
      if (record === undefined) return "none";
      const endpoint = Endpoint.decode(record.value);
      const identity = records.get(`identities/${endpoint.identity}`);
      const app = identity && Identity.decode(identity.value).labels.find(({ key }) => key === "app")?.value;
      return `${endpoint.pod} ${endpoint.identity - FIRST_NUMBER} ${app} ${formatAddress(endpoint.address)}`;
    },
  };
}
