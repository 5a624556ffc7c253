/**
 * Keeps each pod's address, which its node's agent reports, in an annotation of its Pod: ENDPOINT records are made from it, so they
 * are the same in every instance and after a restart, and there before the kubelet has written the status.
 *
 *   Report of the agent ──► annotation of the Pod ──watch──► ENDPOINT record, for agents and for other clusters
 *
 * A report counts for the pod with its namespace, name and uid, on the node of the agent's certificate, and for an address in
 * that node's pod ranges. One whose pod has not been read waits for it while the stream is open: an agent reports all its pods on
 * each stream. An address that the status has already needs no annotation. The instance that an agent is connected to writes,
 * whether or not it holds the Lease.
 */
import { hasStatus, type KubeClient, type KubePod, PODS } from "@isthmus/kube";
import { type Address, addressFromBytes, bytesKey, type Clock, formatAddress, printable } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import type { Report } from "@isthmus/proto";
import { createPeriodicTasks } from "../process/periodic-tasks.js";
import { POD_ADDRESSES, type PodFacts, podAddressesText } from "./identities/pod-facts.js";
import type { LocalIdentities } from "./identities/pod-feed.js";
import { isPodAddress } from "./nodes/node-facts.js";
import type { NodeFeed } from "./nodes/node-feed.js";
import { createWrittenAddresses, hasAddress } from "./written-addresses.js";

export interface PodAddressesModules {
  /** Each write has a deadline of 5 s. */
  readonly client: Pick<KubeClient, "mergePatch">;
  /** The pods as they are now. */
  readonly pods: Pick<LocalIdentities, "onPods" | "owns" | "pod">;
  /** Has the pod ranges of nodes. */
  readonly nodes: Pick<NodeFeed, "factsOf">;
  /** Its monotonic time paces the writes. */
  readonly clock: Clock;
  /** Gets the first refused report of each stream and reason, and each new failure. */
  readonly log: Logger;
  /** Counts refused reports. */
  readonly metrics: Metrics;
}

/** What a stream of an agent reports. */
export interface PodReporter {
  /** A pod was added or removed. */
  report(report: PodReport): void;
  /** The stream has ended. May be called twice. */
  close(): void;
}

export type PodReport = Pick<Report, "address" | "namespace" | "pod" | "podUid" | "up">;

export interface PodAddresses {
  /** A stream of this node was opened, in the place of its previous one. */
  open(node: string): PodReporter;
  /** Resolves when aborted, after the writes that run have ended. */
  run(signal: AbortSignal): Promise<void>;
}

/** A node starts some ten pods a second; the pods of a node that has booted come at once. */
const AT_ONCE = 8;
const SPACING_MS = 2;
const DEADLINE_MS = 5000;
/** Reports of one node whose pods have not been read: more than a node has pods. */
const MAX_WAITING = 1024;

interface Waiting {
  readonly uid: string;
  readonly address: Address;
  readonly up: boolean;
}

interface Stream {
  readonly node: string;
  /** By namespace/name; what is written, or needs no write, is not in it. */
  readonly waiting: Map<string, Waiting>;
  /** Reasons that were logged. */
  readonly logged: Set<RefusedReport>;
}

/** Values of the label `reason`. */
type RefusedReport = "malformed" | "other-node" | "outside-pod-range" | "too-many";

/** What to write; undefined: the annotation must go. */
interface Write {
  readonly address: Address | undefined;
}

/** Writes nothing before `run`; what is reported before waits for it. */
export function createPodAddresses({ client, pods, nodes, clock, log, metrics }: PodAddressesModules): PodAddresses {
  const streams = new Map<string, Stream>();
  const written = createWrittenAddresses();
  /** By namespace/name. */
  const writing = new Set<string>();
  const refused = metrics.counter(
    "mesh_pod_reports_refused_total",
    "Reports of agents about pods that were refused: by reason, as docs/design/identity.md has them",
    ["reason"],
  );
  const tasks = createPeriodicTasks<string>(
    { name: "Address of a pod", task: writeIfDue, atOnce: AT_ONCE, spacingMs: SPACING_MS },
    { clock, log },
  );

  function refuse(stream: Stream, reason: RefusedReport, pod: string): void {
    refused.add({ reason });
    if (stream.logged.has(reason)) return;
    stream.logged.add(reason);
    log.warn("Report of a pod refused", { node: stream.node, reason, pod: printable(pod, 128) });
  }

  /** The address to write, undefined in it: the annotation must go. Undefined: nothing to write, now or ever, for this report. */
  function due(stream: Stream, pod: string, report: Waiting): Write | "wait" | undefined {
    const facts = pods.pod(pod);
    if (facts === undefined || facts.node === "" || facts.uid !== report.uid) return "wait";
    const { address, up } = report;
    if (facts.node !== stream.node) {
      refuse(stream, "other-node", pod);
      return undefined;
    }
    if (!up) {
      // One that is being deleted comes after all others, so its annotation does no harm.
      return written.has(pod, facts, address) && !facts.isTerminating ? { address: undefined } : undefined;
    }
    const node = nodes.factsOf(stream.node);
    if (node === undefined) return "wait";
    if (!isPodAddress(node.podCidrs, address)) {
      refuse(stream, "outside-pod-range", `${pod} ${formatAddress(address)}`);
      return undefined;
    }
    const isOfStatus = !facts.isReported && hasAddress(facts, address) && pods.owns(pod, address);
    return written.has(pod, facts, address) || isOfStatus ? undefined : { address };
  }

  /** The report that waits for this pod, and its stream. */
  function waitingFor(pod: string): readonly [Stream, Waiting] | undefined {
    const stream = streams.get(pods.pod(pod)?.node ?? "");
    const report = stream?.waiting.get(pod);
    return stream === undefined || report === undefined ? undefined : [stream, report];
  }

  function check(stream: Stream, pod: string): void {
    const report = stream.waiting.get(pod);
    // After a write what is reported meanwhile is looked at again.
    if (report === undefined || writing.has(pod)) return;
    const what = due(stream, pod, report);
    if (what === undefined) stream.waiting.delete(pod);
    else if (what !== "wait") tasks.trigger(pod);
  }

  async function writeIfDue(pod: string, signal: AbortSignal): Promise<undefined> {
    const [stream, report] = waitingFor(pod) ?? [];
    if (stream === undefined || report === undefined) return;
    const what = due(stream, pod, report);
    const facts = pods.pod(pod);
    if (what === "wait" || facts === undefined) return;
    if (what !== undefined) await write(pod, facts, what, signal);
    if (stream.waiting.get(pod) === report) stream.waiting.delete(pod);
    else {
      const [later] = waitingFor(pod) ?? [];
      if (later !== undefined) check(later, pod);
    }
  }

  async function write(pod: string, facts: PodFacts, { address }: Write, signal: AbortSignal): Promise<void> {
    const { namespace, name, objectUid } = facts;
    const value = address === undefined ? null : podAddressesText(address, facts);
    const patch = { metadata: { uid: objectUid, annotations: { [POD_ADDRESSES]: value } } };
    // Through the status, which leaves the spec as it is: no right to write that is needed.
    const target = { namespace, subresource: "status", signal, timeoutMs: DEADLINE_MS } as const;
    writing.add(pod);
    try {
      await client.mergePatch<KubePod>(PODS, name, patch, target);
      written.wrote(pod, facts, address);
      // The watch may have shown it already.
      written.changed(pod, pods.pod(pod));
    } catch (thrown) {
      // The Pod is gone: the watch will report it. When another one has its name, its uid makes this an invalid change.
      if (!hasStatus(thrown, 404) && pods.pod(pod)?.objectUid === objectUid) throw thrown;
    } finally {
      writing.delete(pod);
    }
  }

  function take(stream: Stream, { up, namespace, pod: name, podUid: uid, address: bytes }: PodReport): void {
    const pod = `${namespace}/${name}`;
    if (bytes.length !== 16) {
      refuse(stream, "malformed", pod);
      return;
    }
    const address = addressFromBytes(bytes);
    const before = stream.waiting.get(pod);
    // The pod has another sandbox meanwhile: that one's address stays.
    const isOfOldSandbox = !up && before?.up === true && before.uid === uid && !same(before.address, address);
    if (isOfOldSandbox) return;
    if (before === undefined && stream.waiting.size >= MAX_WAITING) {
      refuse(stream, "too-many", pod);
      return;
    }
    stream.waiting.set(pod, { uid, address, up });
    check(stream, pod);
  }

  return {
    open(node) {
      const stream: Stream = { node, waiting: new Map(), logged: new Set() };
      streams.set(node, stream);
      return {
        report(report) {
          if (streams.get(node) === stream) take(stream, report);
        },
        close() {
          if (streams.get(node) === stream) streams.delete(node);
        },
      };
    },
    async run(signal) {
      const end = pods.onPods((changed) => {
        for (const pod of changed) {
          written.changed(pod, pods.pod(pod));
          const [stream] = waitingFor(pod) ?? [];
          if (stream !== undefined) check(stream, pod);
        }
      });
      await tasks.run(signal);
      end();
    },
  };
}

function same(a: Address, b: Address): boolean {
  return bytesKey(a) === bytesKey(b);
}
