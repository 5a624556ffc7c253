/**
 * An API whose answers a test controls, for behaviour that a real server shows only rarely.
 *
 * Every request waits in `lists` or `streams` until the test answers it; an aborted one ends at once.
 */
import { PassThrough, type Readable } from "node:stream";
import type { KubeObject } from "../objects.js";
import type { KubeRequest, Transport } from "../transport.js";

export interface PendingList {
  readonly query: Readonly<Record<string, string>>;
  answer(version: number, items: readonly KubeObject[], next?: string): void;
  fail(thrown: Error): void;
}

export interface OpenStream {
  readonly query: Readonly<Record<string, string>>;
  send(...events: readonly { readonly type: string; readonly object: unknown }[]): void;
  end(): void;
}

export interface ScriptedApi {
  readonly transport: Transport;
  /** Requests not yet answered, the oldest first. */
  readonly lists: PendingList[];
  /** Streams open now. */
  readonly streams: OpenStream[];
}

/** `probe`: the version that a request for the version alone (a list with limit 1) gets at once. */
export function createScriptedApi(probe: () => number): ScriptedApi {
  const lists: PendingList[] = [];
  const streams: OpenStream[] = [];

  function json<T>({ query = {}, signal }: KubeRequest): Promise<T> {
    if (query["limit"] === "1") return Promise.resolve({ items: [], metadata: { resourceVersion: `${probe()}` } } as T);
    return new Promise((resolve, reject) => {
      const asked: PendingList = {
        query,
        answer(version, items, next) {
          drop(lists, asked);
          resolve({ items, metadata: { resourceVersion: `${version}`, ...(next && { continue: next }) } } as T);
        },
        fail(thrown) {
          drop(lists, asked);
          reject(thrown);
        },
      };
      lists.push(asked);
      signal?.addEventListener("abort", () => asked.fail(signal.reason as Error), { once: true });
    });
  }

  async function stream({ query = {}, signal }: KubeRequest): Promise<Readable> {
    const body = new PassThrough();
    const asked: OpenStream = {
      query,
      send(...events) {
        body.write(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
      },
      end: () => body.end(),
    };
    streams.push(asked);
    body.once("close", () => drop(streams, asked));
    signal?.addEventListener("abort", () => body.destroy(signal.reason as Error), { once: true });
    return body;
  }

  const transport: Transport = { server: "https://scripted", json, stream, close: () => undefined };
  return { transport, lists, streams };
}

function drop<T>(from: T[], one: T): void {
  const at = from.indexOf(one);
  if (at >= 0) from.splice(at, 1);
}
