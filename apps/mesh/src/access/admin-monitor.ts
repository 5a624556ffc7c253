/** Events from every server of a cluster at once; one that is lost is asked again. */
import { status as grpc, type Metadata } from "@grpc/grpc-js";
import { MeshError, systemClock } from "@isthmus/model";
import type { MonitorRequest, MonitorResponse } from "@isthmus/proto";
import { createBackoff, sleep } from "@isthmus/runtime";
import { noAnswer, refused } from "./admin-errors.js";
import { type AdminConnection, type AdminServer, endedByServer, readStream } from "./admin-stream.js";
import { plainWords } from "./plain-words.js";

export interface MonitorListener {
  /** A message of a server; the first names its nodes. */
  message(server: string, response: MonitorResponse): void;
  /** The server does not answer, or does not any more; it is asked again. */
  lost(server: string, reason: string): void;
}

/** Answers that asking again does not change. */
const REFUSALS: ReadonlySet<number> = new Set([
  grpc.PERMISSION_DENIED,
  grpc.UNIMPLEMENTED,
  grpc.INVALID_ARGUMENT,
  grpc.FAILED_PRECONDITION,
]);

/** Resolves never; see `AdminApi.monitor`. */
export async function monitorServers(
  connection: AdminConnection,
  request: MonitorRequest,
  listener: MonitorListener,
): Promise<never> {
  const { name, clients, signal } = connection;
  const failures = new Map<string, string>();
  const life = new AbortController();
  const over = AbortSignal.any([signal, life.signal]);
  let answered = false;
  try {
    return await new Promise<never>((_, reject) => {
      // What a listener throws ends the call, not the process.
      const attempt = (work: () => void) => {
        try {
          if (!over.aborted) work();
        } catch (thrown) {
          reject(thrown);
        }
      };
      const heard: MonitorListener = {
        message(server, response) {
          answered = true;
          attempt(() => listener.message(server, response));
        },
        lost(server, reason) {
          failures.set(server, `${server} (${reason})`);
          if (!answered && failures.size === clients.length) reject(noAnswer(name, [...failures.values()]));
          else attempt(() => listener.lost(server, reason));
        },
      };
      for (const client of clients) follow(connection, client, request, heard, over).catch(reject);
    });
  } finally {
    life.abort(new MeshError({ code: "ENDED" }, "the command has ended"));
  }
}

/** Listens to one server until `over` aborts. Throws what it refuses for. */
async function follow(
  { name, metadata, renew }: AdminConnection,
  server: AdminServer,
  request: MonitorRequest,
  { message, lost }: MonitorListener,
  over: AbortSignal,
): Promise<never> {
  const backoff = createBackoff({ minMs: 500, maxMs: 5000 });
  /** Its loss was not reported yet. */
  let isNew = true;
  let wasDenied = false;
  for (;;) {
    const ended = await readStream(
      server.client.monitor(request, metadata),
      (response: MonitorResponse) => {
        backoff.reset();
        [isNew, wasDenied] = [true, false];
        message(server.address, response);
      },
      over,
    );
    const error = ended ?? endedByServer(server.address);
    over.throwIfAborted();
    const isDenied = error.code === grpc.UNAUTHENTICATED;
    // Its time may be over: a new one that is denied too is no matter of time.
    if (REFUSALS.has(error.code) || (isDenied && (wasDenied || renew === undefined))) throw refused(name, error);
    const problem = isDenied ? await renewToken(metadata, renew) : plainWords(error.details);
    if (problem !== undefined && isNew) lost(server.address, problem);
    [isNew, wasDenied] = [isNew && problem === undefined, isDenied && problem === undefined];
    if (problem !== undefined) await sleep(systemClock, backoff.nextMs(), over);
    over.throwIfAborted();
  }
}

/** Undefined: calls have another token from now on. Otherwise why there is none. */
async function renewToken(metadata: Metadata, renew: AdminConnection["renew"]): Promise<string | undefined> {
  try {
    if (renew !== undefined) metadata.set("authorization", `Bearer ${await renew()}`);
    return undefined;
  } catch (thrown) {
    return MeshError.from(thrown).message;
  }
}
