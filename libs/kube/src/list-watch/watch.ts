/**
 * One watch connection: opens it, cuts it into events, gives them in the groups in which they arrived.
 *
 * Ends when the API ends it; throws a KubeError on a refusal, an ERROR event, a broken connection or silence.
 */
import { KubeError, statusError } from "../errors.js";
import type { KubeObject } from "../objects.js";
import { resourcePath } from "../resources.js";
import type { Transport } from "../transport.js";
import { createLineReader } from "./lines.js";
import type { ListWatchOptions } from "./types.js";

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: KubeObject;
}

interface ErrorEvent {
  readonly type: "ERROR";
  readonly object: { readonly code?: number; readonly reason?: string; readonly message?: string };
}

/** The API closes a watch after this long; jittered so that many do not come back together. */
const WATCH_SECONDS = 300;
const SILENCE_MS = 100_000;

/** Resume after `from`, or, when absent, begin with the whole collection as of now (a streaming list). */
export async function* watch<T>(
  options: ListWatchOptions<T>,
  transport: Transport,
  from: bigint | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly WatchEvent[]> {
  const path = resourcePath(options.resource, options.namespace);
  const response = await transport.stream({ method: "GET", path, query: watchQuery(options, from), signal });
  const silenceMs = options.silenceMs ?? SILENCE_MS;
  const broken = (why: string, cause?: unknown) =>
    new KubeError({ code: "KUBE_UNREACHABLE", server: transport.server }, `Cannot go on watching "${path}": ${why}`, {
      cause,
    });
  const silence = setTimeout(() => response.destroy(broken(`nothing came for ${silenceMs} ms`)), silenceMs);
  const reader = createLineReader<WatchEvent | ErrorEvent>(path);
  try {
    for await (const chunk of response) {
      silence.refresh();
      const events = reader.push(chunk as Buffer);
      const failed = events.findIndex((event) => event.type === "ERROR");
      const good = (failed === -1 ? events : events.slice(0, failed)) as WatchEvent[];
      if (good.length > 0) yield good;
      if (failed !== -1) throw errorEvent(path, events[failed] as ErrorEvent);
    }
  } catch (thrown) {
    throw isConnectionFailure(thrown) ? broken(thrown.message, thrown) : thrown;
  } finally {
    clearTimeout(silence);
    response.destroy();
  }
}

/** True for the bookmark that ends a streaming list. */
export function endsInitialEvents(event: WatchEvent): boolean {
  return event.type === "BOOKMARK" && event.object.metadata.annotations?.["k8s.io/initial-events-end"] === "true";
}

export function selection<T>(options: ListWatchOptions<T>): Record<string, string> {
  return {
    ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
  };
}

function watchQuery<T>(options: ListWatchOptions<T>, from: bigint | undefined): Record<string, string> {
  return {
    ...selection(options),
    watch: "true",
    allowWatchBookmarks: "true",
    timeoutSeconds: String(Math.round(WATCH_SECONDS * (1 + Math.random()))),
    ...(from === undefined
      ? { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" }
      : { resourceVersion: String(from) }),
  };
}

function errorEvent(path: string, event: ErrorEvent): KubeError {
  return statusError("watch", path, event.object.code ?? 500, JSON.stringify(event.object));
}

function isConnectionFailure(thrown: unknown): thrown is Error {
  return thrown instanceof Error && !(thrown instanceof KubeError) && "code" in thrown;
}
