/**
 * The pods of this node whose policy is enforced: those that are attached, with what their endpoint's record says of them.
 *
 * A record and an attachment are of one pod if they have the same address and uid. An attachment has no uid if the file with the
 * attachments was lost; then the record must name this node.
 */
import { bytesKey } from "@isthmus/model";
import type { PolicyEngine } from "@isthmus/policy";
import type { EndpointFacts } from "./parse-records.js";

/** A pod of this node as the CNI knows it. */
export interface AttachedPod {
  /** Name of the node's side of its veth. */
  readonly hostDevice: string;
  readonly addresses: readonly Uint8Array[];
  /** As in `EndpointFacts`; "" if it is not known. */
  readonly uid: string;
}

/** What is kept of a pod whose policy is enforced. */
export type Subject = Pick<EndpointFacts, "identity" | "audited">;

export interface Subjects {
  /** Replaces the pod with this device. May be called at any time. */
  attach(pod: AttachedPod): void;
  /** Nothing happens for an unknown device. May be called at any time. */
  detach(hostDevice: string): void;
  /** Those that are attached now. */
  attached(): Iterable<AttachedPod>;
  /** The local cluster's record of an address; undefined: it has none. */
  setEndpoint(address: string, endpoint: EndpointFacts | undefined): void;
  /** Gives the engine what changed; returns the addresses of pods that have another identity or mode, or are no subjects any more. */
  settle(): ReadonlySet<string>;
  /** The subject at this address, as of the last `settle`. */
  subject(address: string): Subject | undefined;
}

/** Has no subject. `node`: Kubernetes name of this node. `engine`: gets the subjects, by address. */
export function createSubjects(node: string, engine: Pick<PolicyEngine, "setSubject" | "deleteSubject">): Subjects {
  const pods = new Map<string, AttachedPod>();
  const podOf = new Map<string, AttachedPod>();
  const endpoints = new Map<string, EndpointFacts>();
  const subjects = new Map<string, Subject>();
  const pending = new Set<string>();

  function detach(hostDevice: string): void {
    const pod = pods.get(hostDevice);
    pods.delete(hostDevice);
    for (const address of pod?.addresses ?? []) {
      const key = bytesKey(address);
      if (podOf.get(key) !== pod) continue;
      podOf.delete(key);
      pending.add(key);
    }
  }

  function endpointOf(address: string): EndpointFacts | undefined {
    const [pod, endpoint] = [podOf.get(address), endpoints.get(address)];
    if (pod === undefined || endpoint === undefined) return undefined;
    return (pod.uid === "" ? endpoint.node === node : endpoint.podUid === pod.uid) ? endpoint : undefined;
  }

  return {
    detach,
    attached: () => pods.values(),
    subject: (address) => subjects.get(address),
    attach(pod) {
      detach(pod.hostDevice);
      pods.set(pod.hostDevice, pod);
      for (const address of pod.addresses) {
        podOf.set(bytesKey(address), pod);
        pending.add(bytesKey(address));
      }
    },
    setEndpoint(address, endpoint) {
      if (endpoint === undefined) endpoints.delete(address);
      else endpoints.set(address, endpoint);
      if (podOf.has(address)) pending.add(address);
    },
    settle() {
      const changed = new Set<string>();
      for (const address of pending) {
        const endpoint = endpointOf(address);
        const before = subjects.get(address);
        if (before?.identity !== endpoint?.identity || before?.audited !== endpoint?.audited) changed.add(address);
        if (endpoint === undefined) {
          subjects.delete(address);
          engine.deleteSubject(address);
        } else {
          subjects.set(address, { identity: endpoint.identity, audited: endpoint.audited });
          engine.setSubject(address, endpoint);
        }
      }
      pending.clear();
      return changed;
    },
  };
}
