/** A Pod → the facts that its identity and its ENDPOINT records need (pure). */
import { isPodLabelOfIdentity, labelSetKey } from "@isthmus/identity";
import type { KubeObject, KubePod } from "@isthmus/kube";
import { type Address, formatAddress, parseAddress, protocolNumber } from "@isthmus/model";
import type { NamedPort } from "@isthmus/proto";

/**
 * Annotation of a Pod with the addresses that its node's agent gave it: `10.11.1.5@UID`, several separated by commas, the uid that
 * of the object. So it means nothing in a copy of the object. pod-addresses.ts writes it; a ValidatingAdmissionPolicy keeps others
 * from changing it.
 */
export const POD_ADDRESSES = "mesh.isthmus.io/pod-ips";

/** The value of the annotation. */
export function podAddressesText(address: Address, { objectUid }: Pick<PodFacts, "objectUid">): string {
  return `${formatAddress(address)}@${objectUid}`;
}

/** Annotation of a Pod, and of a Namespace, about policy audit mode: docs/design/policy.md. */
export const POLICY_AUDIT_MODE = "mesh.isthmus.io/policy-audit-mode";

/** Longer values of the annotation are invalid anyway. */
const LONGEST = 64;

/** Its value; undefined without one. */
export function auditModeText({ annotations }: KubeObject["metadata"]): string | undefined {
  return annotations?.[POLICY_AUDIT_MODE]?.slice(0, LONGEST);
}

export interface PodFacts {
  /** Name of its namespace. */
  readonly namespace: string;
  /** Within its namespace. */
  readonly name: string;
  /** As the container runtime knows it: of a static pod the hash of its manifest, which its mirror in the API has as an annotation. */
  readonly uid: string;
  /** Of the object in the API. */
  readonly objectUid: string;
  /** "" until it is scheduled. */
  readonly node: string;
  /** Name of the account that it runs as. */
  readonly serviceAccount: string;
  /** `labelSetKey` of those that are part of its identity: most pods share theirs with others, so it is kept as one text. */
  readonly labels: string;
  /** Of the annotation, else of the status; none before both. */
  readonly addresses: readonly Address[];
  /** `addresses` are those of the annotation: its node's agent gave them to this pod. */
  readonly isReported: boolean;
  /** Those of its containers that have a name. */
  readonly ports: readonly NamedPort[];
  /** When the object was created, seconds since the epoch. */
  readonly created: number;
  /** It is being deleted; its containers may still run. */
  readonly isTerminating: boolean;
  /** `auditModeText` of it. */
  readonly auditMode: string | undefined;
}

/** Returns the same string object for equal texts, so that those that pods share are in memory once. */
export type Intern = (text: string) => string;

/** Texts that are remembered: more than the label sets of a large cluster. */
const MOST_TEXTS = 65_536;

/** Forgets all texts when there are too many: that costs memory, nothing else. */
export function createIntern(): Intern {
  const texts = new Map<string, string>();
  return (text) => {
    const known = texts.get(text);
    if (known !== undefined) return known;
    if (texts.size >= MOST_TEXTS) texts.clear();
    texts.set(text, text);
    return text;
  };
}

/** The most addresses that a pod has: one for each family. */
const MOST_ADDRESSES = 2;
/** Where the kubelet puts the hash of a static pod's manifest, and what makes a Pod its mirror: no kubelet runs such a Pod. */
const CONFIG_HASH = "kubernetes.io/config.hash";
const CONFIG_MIRROR = "kubernetes.io/config.mirror";

/**
 * Undefined for a pod without an identity of its own: on the host network it is its node, and a finished one is nobody, though its
 * status keeps its address. Never throws: what cannot be parsed is left out.
 */
export function podFacts(object: KubeObject, intern: Intern = (text) => text): PodFacts | undefined {
  const { metadata, spec, status } = object as KubePod;
  if (spec?.hostNetwork === true || status?.phase === "Succeeded" || status?.phase === "Failed") return undefined;
  const reported = reportedAddresses(metadata);
  const labels = Object.entries(metadata.labels ?? {}).filter(([key]) => isPodLabelOfIdentity(key));
  return {
    namespace: intern(metadata.namespace ?? ""),
    name: metadata.name ?? "",
    uid: runtimeUid(metadata),
    objectUid: metadata.uid ?? "",
    node: intern(spec?.nodeName ?? ""),
    serviceAccount: intern(spec?.serviceAccountName ?? "default"),
    labels: intern(labelSetKey(new Map(labels))),
    addresses: reported.length > 0 ? reported : statusAddresses(status),
    isReported: reported.length > 0,
    ports: namedPorts(spec),
    created: Math.floor(Date.parse(metadata.creationTimestamp ?? "") / 1000) || 0,
    isTerminating: metadata.deletionTimestamp !== undefined,
    auditMode: auditModeText(metadata),
  };
}

function runtimeUid({ annotations = {}, uid = "" }: KubePod["metadata"]): string {
  return annotations[CONFIG_MIRROR] === undefined ? uid : (annotations[CONFIG_HASH] ?? uid);
}

function reportedAddresses({ annotations, uid = "" }: KubePod["metadata"]): readonly Address[] {
  const text = annotations?.[POD_ADDRESSES] ?? "";
  const at = text.lastIndexOf("@");
  return at < 0 || text.slice(at + 1) !== uid ? [] : addressesOf(text.slice(0, at).split(",", MOST_ADDRESSES));
}

function statusAddresses(status: KubePod["status"]): readonly Address[] {
  const texts = (status?.podIPs ?? [{ ip: status?.podIP ?? "" }]).flatMap(({ ip }) => ip ?? []);
  return addressesOf(texts.slice(0, MOST_ADDRESSES));
}

function addressesOf(texts: readonly string[]): readonly Address[] {
  return texts.flatMap((text) => {
    try {
      return [parseAddress(text)];
    } catch {
      return [];
    }
  });
}

/** Init containers that run as long as the pod have ports, too. */
function namedPorts(spec: KubePod["spec"]): readonly NamedPort[] {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ name, containerPort, protocol = "TCP" }) => {
      const number = protocolNumber(protocol);
      return name === undefined || name === "" || number === undefined
        ? []
        : [{ name, port: containerPort, protocol: number }];
    }),
  );
}
