/**
 * A watch that loses nothing, over the raw stream.
 *
 * In: a prefix and the first revision wanted. Out: news, each event once, in revision order, complete revisions only.
 * A broken stream is opened again with jittered back-off, from the last complete revision + 1. It ends (and says why) when
 * the revision is compacted, when the store is younger than what was already seen, when it refuses, or by its signal.
 * Liveness: `hasleader` (a member without a leader cancels), a progress request every 5 s, an answer within 15 s.
 */
import { type ClientDuplexStream, Metadata } from "@grpc/grpc-js";
import { createBackoff } from "@isthmus/observe";
import type { ICallable, IWatchRequest, IWatchResponse } from "etcd3";
import { type StoreError, storeError } from "./errors.js";
import { keyBytes, prefixEnd } from "./layout.js";
import { type Assembler, createAssembler, type StoreEvent } from "./watch-assembler.js";

export interface WatchOptions {
  readonly prefix: string;
  /** First revision wanted: that of the listing + 1. */
  readonly from: bigint;
  readonly signal: AbortSignal;
  /** Bounds of the wait before a stream is opened again; 50 and 500 when absent: one client a cluster can afford it. */
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
}

export type WatchMessage =
  /** A stream is open. Which store answers is not known yet: read its id before trusting what follows. */
  | { readonly type: "opened"; readonly storeRevision: bigint }
  | { readonly type: "events"; readonly events: readonly StoreEvent[]; readonly revision: bigint }
  | { readonly type: "alive" }
  /** The stream broke; another is opened. */
  | { readonly type: "lost"; readonly error: StoreError }
  /** Over: list again. */
  | { readonly type: "compacted"; readonly revision: bigint }
  /** Over: the store's revision is below what was already seen: wiped or restored. */
  | { readonly type: "set-back"; readonly storeRevision: bigint }
  /** Over: the store canceled the watch, e.g. for lack of permission. */
  | { readonly type: "refused"; readonly error: StoreError };

const PROGRESS_MS = 5_000;
const SILENCE_MS = 15_000;
/** A stream that lasted this long resets the back-off. */
const SETTLED_MS = 5_000;

export async function runWatch(
  calls: ICallable<unknown>,
  options: WatchOptions,
  onNews: (news: WatchMessage) => void,
): Promise<void> {
  const { signal } = options;
  const backoff = createBackoff({ minMs: options.minBackoffMs ?? 50, maxMs: options.maxBackoffMs ?? 500 });
  const assembler = createAssembler(options.from);
  const tell = (news: WatchMessage): void => {
    if (signal.aborted) return;
    onNews(news);
  };
  while (!signal.aborted) {
    const opened = performance.now();
    const end = await followStream(calls, options, assembler, tell);
    // Received events do not reset the back-off: a store that breaks each stream after one event is not watched in a tight loop.
    if (performance.now() - opened > SETTLED_MS) backoff.reset();
    if (end.type !== "lost") return tell(end);
    tell(end);
    await wait(backoff.nextMs(), signal);
  }
}

type End = Extract<WatchMessage, { type: "lost" | "compacted" | "set-back" | "refused" }>;

/** One stream from its opening to its end. */
async function followStream(
  calls: ICallable<unknown>,
  { prefix, signal }: WatchOptions,
  assembler: Assembler,
  tell: (news: WatchMessage) => void,
): Promise<End> {
  const action = `watch "${prefix}" in the store`;
  assembler.reset();
  let stream: ClientDuplexStream<IWatchRequest, IWatchResponse>;
  try {
    stream = await openStream(calls);
  } catch (thrown) {
    return { type: "lost", error: storeError(thrown, action) };
  }
  return new Promise<End>((resolve) => {
    let heardAt = performance.now();
    let ended = false;
    const timer = setInterval(() => {
      if (performance.now() - heardAt > SILENCE_MS) {
        finish({ type: "lost", error: storeError(new Error("the store is silent"), action) });
      } else stream.write({ progress_request: {} });
    }, PROGRESS_MS);
    const stop = (): void => finish({ type: "lost", error: storeError(new Error("aborted"), action) });
    const finish = (end: End): void => {
      if (ended) return;
      ended = true;
      clearInterval(timer);
      signal.removeEventListener("abort", stop);
      stream.cancel();
      resolve(end);
    };
    stream.on("error", (thrown) => finish({ type: "lost", error: storeError(thrown, action) }));
    stream.on("end", () => finish({ type: "lost", error: storeError(new Error("the stream ended"), action) }));
    stream.on("data", (response) => {
      if (ended) return;
      heardAt = performance.now();
      const news = interpret(assembler, response, action);
      if (news.type === "compacted" || news.type === "set-back" || news.type === "refused") finish(news);
      else tell(news);
    });
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) return stop();
    stream.write({ create_request: createRequest(prefix, assembler.resume) });
  });
}

function interpret(assembler: Assembler, response: IWatchResponse, action: string): WatchMessage {
  const news = assembler.accept(response);
  switch (news.type) {
    case "created":
      if (news.storeRevision < assembler.resume - 1n) return { type: "set-back", storeRevision: news.storeRevision };
      return { type: "opened", storeRevision: news.storeRevision };
    case "canceled":
      return { type: "refused", error: storeError(new Error(news.reason || "the store canceled the watch"), action) };
    default:
      return news;
  }
}

function createRequest(prefix: string, from: bigint): NonNullable<IWatchRequest["create_request"]> {
  return {
    key: keyBytes(prefix),
    range_end: keyBytes(prefixEnd(prefix)),
    start_revision: String(from),
    fragment: true,
  };
}

function openStream(calls: ICallable<unknown>): Promise<ClientDuplexStream<IWatchRequest, IWatchResponse>> {
  return calls.withConnection("Watch", ({ client }) => {
    const metadata = new Metadata();
    metadata.set("hasleader", "true");
    return (client as unknown as WatchStub).watch(metadata, {});
  });
}

interface WatchStub {
  watch(metadata: Metadata, options: object): ClientDuplexStream<IWatchRequest, IWatchResponse>;
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
