/**
 * One watch connection: opens it, parses its events and yields them in the groups in which they arrived.
 *
 * The first group is empty: the API has answered. The watch ends when the API ends it, or after an idle timeout: types
 * that never change get no bookmarks, so silence is not a failure, but only a new connection shows that the API still
 * answers. Throws a KubeError on a refusal, an ERROR event or a broken connection.
 */
import { KubeError, statusError } from "../errors.js";
import type { KubeObject } from "../objects.js";
import { resourcePath } from "../resources.js";
import type { Transport } from "../transport.js";
import { createLineReader } from "./lines.js";
import type { ListWatchOptions } from "./types.js";

export interface WatchEvent {
  /** The object of a BOOKMARK has only a resource version and annotations. */
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  /** Of a DELETED event the last state, with the resource version of the deletion. */
  readonly object: KubeObject;
}

interface ErrorEvent {
  readonly type: "ERROR";
  readonly object: { readonly code?: number; readonly reason?: string; readonly message?: string };
}

/** The API closes a watch after this time, which is jittered so that many watches do not reconnect together. */
const WATCH_SECONDS = 300;
const SILENCE_MS = 100_000;
/** Limit until the API has answered. */
const OPEN_MS = 15_000;

/** Resumes after `from`; without it, begins with the whole current collection (a streaming list). */
export async function* watch<T>(
  options: ListWatchOptions<T>,
  transport: Transport,
  from: bigint | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly WatchEvent[]> {
  const path = resourcePath(options.resource, options.namespace);
  const silenceMs = options.silenceMs ?? SILENCE_MS;
  const timeoutMs = Math.min(OPEN_MS, silenceMs);
  const response = await transport.stream({ method: "GET", path, query: watchQuery(options, from), signal, timeoutMs });
  const broken = (why: string, cause?: unknown) =>
    new KubeError(
      { code: "KUBE_UNREACHABLE", server: transport.server },
      `Cannot continue watching "${path}": ${why}`,
      {
        cause,
      },
    );
  let silent = false;
  const silence = setTimeout(() => {
    silent = true;
    response.destroy();
  }, silenceMs);
  const reader = createLineReader<WatchEvent | ErrorEvent>(path);
  try {
    yield [];
    for await (const chunk of response) {
      silence.refresh();
      const events = reader.push(chunk as Buffer);
      const failed = events.findIndex((event) => event.type === "ERROR");
      const good = (failed === -1 ? events : events.slice(0, failed)) as WatchEvent[];
      if (good.length > 0) yield good;
      if (failed !== -1) throw errorEvent(path, events[failed] as ErrorEvent);
    }
  } catch (thrown) {
    if (silent) return;
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

/** The selectors as query parameters, without those that are absent. */
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
