/**
 * The demo's own EndpointSlice watch: the ready addresses of one Service in one cluster, and when each change was received.
 *
 * In: the API of one cluster. Out: a history, with times of the same clock as the client's samples.
 */
import {
  createListWatch,
  ENDPOINT_SLICES,
  type KubeEndpointSlice,
  type KubeObject,
  type Transport,
} from "@isthmus/kube";
import { createLogger } from "@isthmus/observe";
import { type Mono, monoNow } from "../samples/sample.js";

export interface ReadyChange {
  readonly at: Mono;
  readonly ready: readonly string[];
}

export interface SliceWatch {
  readonly history: readonly ReadyChange[];
  current(): readonly string[];
  /** Resolves when aborted. */
  run(signal: AbortSignal): Promise<void>;
}

export function readyAddresses(object: KubeObject): readonly string[] {
  const endpoints = (object as KubeEndpointSlice).endpoints ?? [];
  return endpoints.filter((e) => e.conditions?.ready !== false).flatMap((e) => e.addresses ?? []);
}

export function createSliceWatch(transport: Transport, namespace: string, service: string): SliceWatch {
  const history: ReadyChange[] = [];
  const current = () => history.at(-1)?.ready ?? [];
  const listWatch = createListWatch<readonly string[]>(
    {
      resource: ENDPOINT_SLICES,
      namespace,
      labelSelector: `kubernetes.io/service-name=${service}`,
      project: readyAddresses,
    },
    {
      transport,
      log: createLogger({ app: "demo", level: "warn" }),
      onChange() {
        const at = monoNow();
        const ready = [...new Set([...listWatch.items.values()].flatMap((item) => item.value))].sort();
        if (ready.join() !== current().join()) history.push({ at, ready });
      },
    },
  );
  return { history, current, run: (signal) => listWatch.run(signal) };
}
