/**
 * Keeps each node's health address, which its agent chose and reports, in an annotation of its Node: the records of the node
 * are made from it, so they are the same in every instance and after a restart.
 *
 *   NodeReport of the agent ──► annotation of the Node ──watch──► NODE record, for agents and for other clusters
 *
 * An address outside the node's own pod ranges is refused. An agent of a version without health addresses has none, so the
 * annotation that an agent before it had is removed. What a node reports counts while its stream is open; without a stream
 * the annotation stays. The instance that an agent is connected to writes, whether or not it holds the Lease.
 */
import { hasStatus, type KubeClient, type KubeNode, NODES } from "@isthmus/kube";
import { type Address, addressFromBytes, bytesKey, type Clock, formatAddress } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPace, type Pace } from "@isthmus/runtime";
import { createPeriodicTasks } from "../process/periodic-tasks.js";
import { HEALTH_ADDRESS, isPodAddress } from "./nodes/node-facts.js";
import type { NodeFeed } from "./nodes/node-feed.js";

export interface HealthAddressesModules {
  /** Each write has a deadline of 5 s. */
  readonly client: Pick<KubeClient, "mergePatch">;
  /** The Nodes as they are now. */
  readonly nodes: Pick<NodeFeed, "factsOf" | "onChange">;
  /** Its monotonic time paces the writes. */
  readonly clock: Clock;
  /** Gets refused addresses, and each new failure, by name of the node. */
  readonly log: Logger;
}

/** What one stream of an agent reports. */
export interface HealthReporter {
  /** 16 bytes; empty: the node has none. Other lengths, and addresses outside the node's pod ranges, are refused. */
  report(address: Uint8Array): void;
  /** The stream has ended. May be called twice. */
  close(): void;
}

export interface HealthAddresses {
  /** A stream of this node was opened, in the place of its previous one. `reports`: its agent sends NodeReports. */
  open(node: string, reports: boolean): HealthReporter;
  /** Resolves when aborted, after the writes that run have ended. */
  run(signal: AbortSignal): Promise<void>;
}

const DEADLINE_MS = 5000;
const AT_ONCE = 4;
const SPACING_MS = 50;
/** Pace of the writes to one Node: its agent, or another writer of the annotation, can cause them as often as it likes. */
const WRITES = { minMs: 200, maxMs: 30_000, quietMs: 60_000 };

interface Stream {
  /** Undefined: nothing was reported on it yet. */
  reported: { readonly address: Address | undefined } | undefined;
  /** The address that was refused last, so that it is logged once. */
  refused: string;
}

/** Writes nothing before `run`; what is reported before waits for it. */
export function createHealthAddresses({ client, nodes, clock, log }: HealthAddressesModules): HealthAddresses {
  const streams = new Map<string, Stream>();
  /** Of Nodes that were written; a new stream does not begin anew. */
  const paces = new Map<string, Pace>();
  const tasks = createPeriodicTasks(
    { name: "Health address of a node", task: writeIfDue, atOnce: AT_ONCE, spacingMs: SPACING_MS },
    { clock, log },
  );

  /** The value of the annotation to write, null = it must go; undefined: nothing to write. */
  function due(node: string): string | null | undefined {
    const stream = streams.get(node);
    const facts = nodes.factsOf(node);
    if (stream?.reported === undefined || facts === undefined) return undefined;
    const { address } = stream.reported;
    if (address === undefined) return facts.hasHealthAnnotation ? null : undefined;
    if (!isPodAddress(facts.podCidrs, address)) {
      refuse(node, stream, formatAddress(address));
      return undefined;
    }
    return facts.health !== undefined && bytesKey(facts.health) === bytesKey(address)
      ? undefined
      : formatAddress(address);
  }

  function refuse(node: string, stream: Stream, address: string): void {
    if (stream.refused === address) return;
    stream.refused = address;
    log.warn("Health address of a node refused: it is not in the node's pod ranges", { node, address });
  }

  async function writeIfDue(node: string, signal: AbortSignal): Promise<number | undefined> {
    const value = due(node);
    if (value === undefined) return undefined;
    const pace = paces.get(node) ?? createPace(WRITES);
    paces.set(node, pace);
    const waitMs = pace.waitMs(clock.now());
    if (waitMs > 0) return waitMs;
    pace.recordRun(clock.now());
    // Through the status, which leaves the spec as it is: no right to write that is needed.
    const target = { subresource: "status", signal, timeoutMs: DEADLINE_MS } as const;
    try {
      await client.mergePatch<KubeNode>(
        NODES,
        node,
        { metadata: { annotations: { [HEALTH_ADDRESS]: value } } },
        target,
      );
    } catch (thrown) {
      // The Node is gone: the watch will report it.
      if (!hasStatus(thrown, 404)) throw thrown;
    }
    return undefined;
  }

  function check(node: string): void {
    if (due(node) !== undefined) tasks.trigger(node);
  }

  return {
    open(node, reports) {
      const stream: Stream = { reported: reports ? undefined : { address: undefined }, refused: "" };
      streams.set(node, stream);
      check(node);
      return {
        report(bytes) {
          if (streams.get(node) !== stream) return;
          if (bytes.length !== 0 && bytes.length !== 16) return refuse(node, stream, `${bytes.length} bytes`);
          stream.reported = { address: bytes.length === 0 ? undefined : addressFromBytes(bytes) };
          check(node);
        },
        close() {
          if (streams.get(node) === stream) streams.delete(node);
        },
      };
    },
    async run(signal) {
      const stop = nodes.onChange((names) => {
        for (const name of names) {
          if (nodes.factsOf(name) === undefined) paces.delete(name);
          check(name);
        }
      });
      await tasks.run(signal);
      stop();
    },
  };
}
