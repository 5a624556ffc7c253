/**
 * Checks changed Services once a second for Events and conditions that they need.
 *
 * In: changes of any source and of the Services themselves. Out: one Event per Service and cluster when their ports stop
 * matching, and a check of the Service's conditions.
 */
import { type EventRecorder, SERVICES } from "@isthmus/kube";
import type { Clock, ServiceName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import { parseKey } from "@isthmus/records";
import { nextTurn, sleep } from "@isthmus/runtime";
import type { LocalServices } from "../cluster/services/service-feed.js";
import type { StreamSource, StreamSources } from "../ports/stream-source.js";
import { portMismatches } from "./port-mismatch.js";

export interface ServiceWatchModules {
  /** Followed from `run` on; the local cluster first. */
  readonly sources: StreamSources;
  /** Followed from `run` on. */
  readonly services: LocalServices;
  /** Gets an Event when the sentence of a mismatch is new for the Service and cluster. */
  readonly events: EventRecorder;
  /** Paces the checks. */
  readonly clock: Clock;
  /** True when the Service must be checked again once more is known of other clusters. */
  readonly lookAtConditions: (service: ServiceName) => boolean;
}

const LOOK_MS = 1000;
const YIELD_EVERY = 500;

/** `run` checks the Services that the sources have, then those that change; it resolves when aborted. */
export function createServiceWatch(modules: ServiceWatchModules): { run(signal: AbortSignal): Promise<void> } {
  const { sources, services, events, clock } = modules;
  const dirty = new Set<ServiceName>();
  const waiting = new Set<ServiceName>();
  /** Current mismatches, for which an Event was sent, by Service and cluster. */
  const reported = new Map<ServiceName, Map<string, string>>();
  const stops = new Map<StreamSource, () => void>();

  function mark(keys: Iterable<{ readonly key: string }>): void {
    for (const { key } of keys) {
      const parsed = parseKey(key);
      if (parsed?.kind === Kind.KIND_SERVICE || parsed?.kind === Kind.KIND_SERVICE_CONFIG) dirty.add(parsed.service);
    }
  }

  function markWaiting(): void {
    for (const service of waiting) dirty.add(service);
  }

  function follow(source: StreamSource): void {
    mark(source.index.records(Kind.KIND_SERVICE));
    const stopState = source.onState(markWaiting);
    const stopIndex = source.index.onChange(({ upserts, deletes }) => {
      mark(upserts);
      mark(deletes);
    });
    stops.set(source, () => {
      stopState();
      stopIndex();
    });
  }

  function leave(source: StreamSource): void {
    stops.get(source)?.();
    stops.delete(source);
    mark(source.index.records(Kind.KIND_SERVICE));
  }

  function look(service: ServiceName): void {
    const before = reported.get(service);
    const now = new Map((portMismatches(sources, service) ?? []).map(({ cluster, sentence }) => [cluster, sentence]));
    for (const [cluster, sentence] of now) if (before?.get(cluster) !== sentence) report(service, sentence);
    if (now.size === 0) reported.delete(service);
    else reported.set(service, now);
    if (modules.lookAtConditions(service)) waiting.add(service);
    else waiting.delete(service);
  }

  async function lookAtAll(): Promise<void> {
    const now = [...dirty];
    dirty.clear();
    for (const [i, service] of now.entries()) {
      look(service);
      // A new peer makes all its Services dirty: streams continue meanwhile.
      if (i % YIELD_EVERY === YIELD_EVERY - 1) await nextTurn();
    }
  }

  function report(service: ServiceName, note: string): void {
    const [namespace = "", name = ""] = service.split("/");
    const uid = services.get(service)?.facts.uid ?? "";
    const about = { resource: SERVICES, namespace, name, uid };
    events.report({ ...about, type: "Warning", reason: "PortMismatch", action: "Merge", note });
  }

  return {
    async run(signal) {
      for (const source of sources.all) follow(source);
      const stopSources = sources.onChange(({ added, removed }) => {
        if (added !== undefined) follow(added);
        if (removed !== undefined) leave(removed);
        markWaiting();
      });
      const stopServices = services.onChange((changed) => {
        for (const service of changed) dirty.add(service);
      });
      while (!signal.aborted) {
        await lookAtAll();
        await sleep(clock, LOOK_MS, signal);
      }
      stopServices();
      stopSources();
      for (const stop of stops.values()) stop();
    },
  };
}
