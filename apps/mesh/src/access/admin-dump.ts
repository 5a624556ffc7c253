/** Rows of a map of one node, from the server that its agent is connected to. */
import { status as grpc, type ServiceError } from "@grpc/grpc-js";
import {
  type AdminClient,
  type DumpRequest,
  type DumpResponse,
  type MapRows,
  type MonitoredNode,
  MonitorState,
} from "@isthmus/proto";
import { isSilence, noAnswer, refused } from "./admin-errors.js";
import { type AdminConnection, endedByServer, readStream } from "./admin-stream.js";
import { plainWords } from "./plain-words.js";

const HEARD = MonitorState.MONITOR_STATE_HEARD;

/** See `AdminApi.dump`. */
export async function dumpFromServers(
  connection: AdminConnection,
  request: DumpRequest,
  rows: (rows: MapRows) => void,
): Promise<MonitoredNode> {
  const { name, clients, signal } = connection;
  const failures: string[] = [];
  let best: MonitoredNode | undefined;
  for (const { address, client } of clients) {
    const { node, error } = await dumpOnce(connection, client, request, rows);
    signal.throwIfAborted();
    if (error !== undefined) {
      if (!isSilence(error) && error.code !== grpc.CANCELLED) throw refused(name, error);
      failures.push(`${address} (${plainWords(error.details)})`);
      // Some rows may have come: another server would give them again.
      if (node?.state === HEARD) throw noAnswer(name, failures);
    } else if (node?.state === HEARD || node?.state === MonitorState.MONITOR_STATE_UNAVAILABLE) return node;
    else if (node !== undefined && (best === undefined || rankOf(node) < rankOf(best))) best = node;
  }
  if (best !== undefined) return best;
  throw noAnswer(name, failures);
}

/** One stream, until it ends; resolves with what was said last of the node, and the error that ended it. */
async function dumpOnce(
  { metadata, signal }: AdminConnection,
  client: AdminClient,
  request: DumpRequest,
  rows: (rows: MapRows) => void,
): Promise<{ readonly node: MonitoredNode | undefined; readonly error: ServiceError | undefined }> {
  const seen: { node?: MonitoredNode; isWhole: boolean } = { isWhole: false };
  const error = await readStream(
    client.dump(request, metadata),
    ({ message }: DumpResponse) => {
      if (message?.$case === "node") seen.node = message.value;
      if (message?.$case !== "rows" || seen.isWhole) return;
      seen.isWhole = message.value.summary !== undefined;
      rows(message.value);
    },
    signal,
  );
  const { node, isWhole } = seen;
  const isBroken = error === undefined && node?.state === HEARD && !isWhole;
  return { node, error: isBroken ? endedByServer(request.node) : error };
}

/** Of the servers that do not have the node's stream, the one that knows most of it is believed. */
function rankOf({ state }: MonitoredNode): number {
  if (state === MonitorState.MONITOR_STATE_NO_QUERIES) return 0;
  return state === MonitorState.MONITOR_STATE_NOT_CONNECTED ? 1 : 2;
}
