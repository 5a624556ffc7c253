/** A stream of the admin API. A server that accepts it and says nothing is as one that does not answer. */
import { type ClientReadableStream, status as grpc, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { AdminClient } from "@isthmus/proto";

/** The servers of one cluster, and how they are asked. */
export interface AdminConnection {
  /** Name of the cluster, for sentences. */
  readonly name: string;
  /** In the order in which they are asked; `address` is host:port. */
  readonly clients: readonly AdminServer[];
  /** With the bearer token, which `renew` replaces. */
  readonly metadata: Metadata;
  /** Another token, for a call that lasts longer than it; absent: such a call ends. */
  readonly renew: (() => Promise<string>) | undefined;
  /** Ends every call. */
  readonly signal: AbortSignal;
}

export interface AdminServer {
  /** host:port. */
  readonly address: string;
  /** Not connected before the first call. */
  readonly client: AdminClient;
}

/** How long a server may say nothing, in ms. */
export const DEADLINE_MS = 5_000;

/** The error of a stream that the server ended in order when it should not: it shuts down. */
export function endedByServer(what: string): ServiceError {
  return Object.assign(new Error(what), {
    code: grpc.UNAVAILABLE,
    details: "the server ended the stream",
    metadata: new Metadata(),
  });
}

/**
 * Resolves with the error that ended the stream, or undefined when the server ended it in order. Rejects with what `heard`
 * throws. `over` cancels it.
 */
export function readStream<T>(
  call: ClientReadableStream<T>,
  heard: (response: T) => void,
  over: AbortSignal,
): Promise<ServiceError | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = () => call.cancel();
    const silent = setTimeout(cancel, DEADLINE_MS);
    const end = (error?: ServiceError) => {
      clearTimeout(silent);
      over.removeEventListener("abort", cancel);
      resolve(error);
    };
    if (over.aborted) cancel();
    else over.addEventListener("abort", cancel, { once: true });
    call.on("data", (response: T) => {
      clearTimeout(silent);
      try {
        heard(response);
      } catch (thrown) {
        cancel();
        reject(thrown);
      }
    });
    call.on("error", end);
    call.on("end", () => end());
  });
}
