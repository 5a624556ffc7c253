/**
 * A watch that loses no event, over the raw stream.
 *
 * In: a prefix and the first revision wanted. Out: messages with each event once, in revision order, complete revisions
 * only. A broken stream is reopened with jittered back-off, from the last complete revision + 1. The watch ends by its
 * signal, or with a final message when the revision is compacted, when the store's revision is below one already
 * received, or when it refuses. Liveness: `hasleader` (an etcd member without a leader cancels), a progress request
 * every 5 s, an answer within 15 s.
 */
import { type ClientDuplexStream, Metadata } from "@grpc/grpc-js";
import { systemClock } from "@isthmus/model";
import { createBackoff } from "@isthmus/runtime";
import type { ICallable, IWatchRequest, IWatchResponse } from "etcd3";
import { type StoreError, storeError } from "./errors.js";
import { keyBytes, prefixEnd } from "./layout.js";
import { type Assembler, createAssembler, type StoreEvent } from "./watch-assembler.js";

export interface WatchOptions {
  /** Absolute, ASCII, not empty. */
  readonly prefix: string;
  /** First revision wanted: that of the listing + 1. */
  readonly from: bigint;
  /** Ends the watch: no message follows. */
  readonly signal: AbortSignal;
  /** Bounds of the wait before a stream is opened again; 50 and 500 when absent: one client per cluster. */
  readonly minBackoffMs?: number;
  /** No wait is longer. */
  readonly maxBackoffMs?: number;
}

export type WatchMessage =
  /** A stream is open. It may be another store: read its id before using the messages that follow. */
  | { readonly type: "opened"; readonly storeRevision: bigint }
  | { readonly type: "events"; readonly events: readonly StoreEvent[]; readonly revision: bigint }
  | { readonly type: "alive" }
  /** The stream broke; another one will be opened. */
  | { readonly type: "lost"; readonly error: StoreError }
  /** Over: list again. */
  | { readonly type: "compacted"; readonly revision: bigint }
  /** Over: the store's revision is below one already received: it was wiped or restored. */
  | { readonly type: "set-back"; readonly storeRevision: bigint }
  /** Over: the store canceled the watch, e.g. for lack of permission. */
  | { readonly type: "refused"; readonly error: StoreError };

const PROGRESS_MS = 5_000;
const SILENCE_MS = 15_000;
/** A stream that lasted this long resets the back-off. */
const SETTLED_MS = 5_000;

/** Resolves after the final message or the abort; `onMessage` must not throw. */
export async function runWatch(
  calls: ICallable<unknown>,
  options: WatchOptions,
  onMessage: (message: WatchMessage) => void,
): Promise<void> {
  const { signal } = options;
  const backoff = createBackoff({ minMs: options.minBackoffMs ?? 50, maxMs: options.maxBackoffMs ?? 500 });
  const assembler = createAssembler(options.from);
  const emit = (message: WatchMessage): void => {
    if (signal.aborted) return;
    onMessage(message);
  };
  while (!signal.aborted) {
    const opened = performance.now();
    const end = await followStream(calls, options, assembler, emit);
    // Received events do not reset the back-off: a store that breaks each stream after one event must not cause a
    // tight loop.
    if (performance.now() - opened > SETTLED_MS) backoff.reset();
    if (end.type !== "lost") return emit(end);
    emit(end);
    await systemClock.delay(backoff.nextMs(), signal).catch(() => undefined);
  }
}

type End = Extract<WatchMessage, { type: "lost" | "compacted" | "set-back" | "refused" }>;

/** One stream from its opening to its end. */
async function followStream(
  calls: ICallable<unknown>,
  { prefix, signal }: WatchOptions,
  assembler: Assembler,
  emit: (message: WatchMessage) => void,
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
    let lastMessageAt = performance.now();
    let ended = false;
    const timer = setInterval(() => {
      if (performance.now() - lastMessageAt > SILENCE_MS) {
        finish({ type: "lost", error: storeError(new Error(`no message within ${SILENCE_MS} ms`), action) });
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
      lastMessageAt = performance.now();
      const message = interpret(assembler, response, action);
      if (message.type === "compacted" || message.type === "set-back" || message.type === "refused") finish(message);
      else emit(message);
    });
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) return stop();
    stream.write({ create_request: createRequest(prefix, assembler.resume) });
  });
}

function interpret(assembler: Assembler, response: IWatchResponse, action: string): WatchMessage {
  const message = assembler.addResponse(response);
  switch (message.type) {
    case "created":
      if (message.storeRevision < assembler.resume - 1n)
        return { type: "set-back", storeRevision: message.storeRevision };
      return { type: "opened", storeRevision: message.storeRevision };
    case "canceled":
      return {
        type: "refused",
        error: storeError(new Error(message.reason || "the store canceled the watch"), action),
      };
    default:
      return message;
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
