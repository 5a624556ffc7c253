/**
 * Keeps a stream for queries open on each connection to an apiserver, from its Welcome to its end.
 *
 * A stream that fails is opened again with a back-off while the connection stands. A server that does not know the
 * stream is of an older version: it is not asked again on this connection.
 */
import { status } from "@grpc/grpc-js";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { AgentMessage, QueryMessage } from "@isthmus/proto";
import { createBackoff, sleep } from "@isthmus/runtime";
import { createQuerySession, type QuerySessionModules } from "./query-session.js";

/** What is needed of a stream. */
export interface QueryStream {
  /** Queues the message, in order. */
  write(message: AgentMessage): unknown;
  /** Each message, in order. */
  on(event: "data", listener: (message: QueryMessage) => void): unknown;
  /** The stream failed, or was cancelled; `code` is a gRPC status. */
  on(event: "error", listener: (error: Error & { readonly code?: number }) => void): unknown;
  /** The server ended the stream. */
  on(event: "end", listener: () => void): unknown;
  /** Ends the stream at once. */
  cancel(): void;
}

export interface QueryStreamsModules
  extends Pick<QuerySessionModules, "events" | "maps" | "frontends" | "figures" | "policy"> {
  /** Name of this node, as in its certificate. */
  readonly node: string;
  /** Version of this agent. */
  readonly version: string;
  /** Times the back-off and the session. */
  readonly clock: Clock;
  /** Gets each new problem of a connection. */
  readonly log: Logger;
}

/** Serves queries on a connection: `open` opens a stream on it, `over` aborts when the connection is closed. */
export function serveQueries(
  open: () => QueryStream,
  over: AbortSignal,
  { events, maps, frontends, figures, policy, node, version, clock, log }: QueryStreamsModules,
): void {
  const backoff = createBackoff({ minMs: 200, maxMs: 10_000 });

  /** Resolves with the error that ended the stream, or undefined when it was ended in order. */
  function serve(): Promise<(Error & { readonly code?: number }) | undefined> {
    return new Promise((resolve) => {
      const stream = open();
      const session = createQuerySession({
        events,
        maps,
        frontends,
        figures,
        policy,
        send: (answer) => void stream.write({ message: { $case: "answer", value: answer } }),
        clock,
      });
      const cancel = () => stream.cancel();
      const end = (error?: Error & { readonly code?: number }) => {
        over.removeEventListener("abort", cancel);
        session.close();
        resolve(error);
      };
      over.addEventListener("abort", cancel, { once: true });
      stream.on("data", (message) => {
        try {
          session.receive(message);
        } catch (thrown) {
          log.error("Internal error in a query", { error: thrown });
          stream.cancel();
        }
      });
      stream.on("error", end);
      stream.on("end", () => end());
      stream.write({ message: { $case: "hello", value: { node, version } } });
    });
  }

  async function run(): Promise<void> {
    let problem: string | undefined;
    while (!over.aborted) {
      const started = clock.now();
      const error = await serve();
      if (over.aborted) return;
      if (error?.code === status.UNIMPLEMENTED) {
        log.info(
          "This apiserver asks no queries: it is of an older version, so mesh monitor, mesh bpf and mesh status --verbose do not hear this node",
        );
        return;
      }
      const reason = error === undefined ? "the server ended it" : MeshError.from(error).message;
      if (reason !== problem) log.info("Stream for queries ended, reopening", { reason });
      problem = reason;
      if (clock.now() - started > SETTLED_MS) backoff.reset();
      await sleep(clock, backoff.nextMs(), over);
    }
  }

  void run();
}

/** A stream that lasted longer than this resets the back-off. */
const SETTLED_MS = 30_000;
