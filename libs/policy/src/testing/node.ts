/**
 * Does for tests what a node's agent does around the engine: gives numbers to label sets and prefixes, and knows the identity of
 * an address as the maps do, by the longest prefix over 16 bytes.
 */
import { type IdentityNumber, identityNumber, type Labels, podIdentityLabels } from "@isthmus/identity";
import { parseClusterId, parsePrefix } from "@isthmus/model";
import type { NamedPort, Policy } from "../model/policy.js";
import { parseCiliumClusterwideNetworkPolicy, parseCiliumNetworkPolicy } from "../parse/cilium-policy.js";
import { parseNetworkPolicy } from "../parse/network-policy.js";
import type { ParsedPolicy } from "../parse/parsed-policy.js";
import type { PolicyService } from "../parse/service-query.js";
import type { Identity } from "../resolve/peer-registry.js";
import type { PolicyEngine } from "../resolve/policy-engine.js";
import { SERVICES, type TestCiliumPolicy, type TestService } from "./cilium-oracle.js";
import { LOCAL, type TestMesh, type TestPod, type TestPolicy } from "./mesh.js";
import { addressBits } from "./oracle.js";

export const PROTOCOLS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

const NODE_LOCAL = 4095;
const WORLD = 2 as IdentityNumber;

/** The policy of a Cilium object that must be accepted: clusterwide if it has no namespace. */
export function acceptedCiliumPolicy({ metadata, spec }: TestCiliumPolicy): Policy {
  const parse = metadata.namespace === undefined ? parseCiliumClusterwideNetworkPolicy : parseCiliumNetworkPolicy;
  return accepted(
    parse({ apiVersion: "cilium.io/v2", metadata, spec }, { cluster: LOCAL, services: SERVICES.map(parsed) }),
  );
}

function parsed({ labels, selector, ...service }: TestService): PolicyService {
  const listOf = (all: TestService["labels"]) => Object.entries(all).map(([key, value]) => ({ key, value }));
  return { ...service, labels: listOf(labels), selector: listOf(selector) };
}

/** The policy of an object that must be accepted. */
export function acceptedPolicy({ metadata, spec }: TestPolicy): Policy {
  const object = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata, spec };
  return accepted(parseNetworkPolicy(object, { cluster: LOCAL }));
}

/** Fails a test whose policy is not accepted. */
export function accepted(parsed: ParsedPolicy): Policy {
  if (!parsed.ok) throw new Error(parsed.findings.map(({ sentence }) => sentence).join("; "));
  return parsed.policy;
}

/** The number of the identity that an address has. */
export type IdentityOf = (address: string) => IdentityNumber;

/** What the node knows: sets the identities of all pods and of all prefixes that the engine's policies need. */
export function learnIdentities(engine: Pick<PolicyEngine, "prefixes" | "setIdentity">, mesh: TestMesh): IdentityOf {
  const prefixes = [...engine.prefixes.keys()];
  const identities = new Map<string, { readonly number: IdentityNumber; readonly identity: Identity }>();
  const numberOf = (key: string, identity: Identity, cluster: number): IdentityNumber => {
    const known = identities.get(key);
    if (known !== undefined) return known.number;
    const number = ((cluster << 20) | (256 + identities.size)) >>> 0;
    identities.set(key, { number: number as IdentityNumber, identity });
    return number as IdentityNumber;
  };
  for (const text of prefixes)
    numberOf(text, { labels: new Map([["reserved:world", ""]]), prefix: parsePrefix(text) }, NODE_LOCAL);
  const pods = new Map(
    mesh.pods.map((pod) => {
      const longest = longestPrefix(prefixes, pod.address);
      const identity: Identity = {
        labels: podLabels(mesh, pod),
        ports: podPorts(pod),
        ...(longest === undefined ? {} : { prefix: parsePrefix(longest) }),
      };
      const key = JSON.stringify([[...identity.labels], identity.ports, longest]);
      return [pod.address, numberOf(key, identity, pod.cluster === LOCAL ? 1 : 2)];
    }),
  );
  for (const { number, identity } of identities.values()) engine.setIdentity(number, identity);
  engine.setIdentity(WORLD, { labels: new Map([["reserved:world", ""]]) });
  return (address) => pods.get(address) ?? identities.get(longestPrefix(prefixes, address) ?? "")?.number ?? WORLD;
}

/** Labels of a pod's identity. */
export function podLabels(mesh: TestMesh, pod: TestPod): Labels {
  const { cluster, namespace, labels } = pod;
  return podIdentityLabels({
    cluster,
    namespace,
    namespaceLabels: new Map(Object.entries(mesh.namespaces[`${cluster}/${namespace}`] ?? {})),
    serviceAccount: "default",
    podLabels: new Map(Object.entries(labels)),
  });
}

export function podPorts({ ports }: TestPod): readonly NamedPort[] {
  return ports.map(({ name, protocol, port }) => ({ name, protocol: PROTOCOLS[protocol] ?? 0, port }));
}

/** A number of the local cluster. */
export function localNumber(local: number): IdentityNumber {
  return identityNumber(parseClusterId(1), local);
}

function longestPrefix(prefixes: readonly string[], address: string): string | undefined {
  const bits = mapBits(address);
  const matching = prefixes.filter((text) => bits.startsWith(prefixBits(text)));
  return matching.sort((a, b) => prefixBits(b).length - prefixBits(a).length)[0];
}

const V4 = "0".repeat(80) + "1".repeat(16);

function mapBits(address: string): string {
  return (address.includes(":") ? "" : V4) + addressBits(address);
}

function prefixBits(text: string): string {
  const [address = "", length] = text.split("/");
  return mapBits(address).slice(0, Number(length) + (address.includes(":") ? 0 : 96));
}
