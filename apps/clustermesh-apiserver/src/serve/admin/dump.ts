/**
 * One `mesh bpf` command: asks a node's agent for the rows of a map and passes them on.
 *
 * ```
 *   node without a stream ──► its state, and the end
 *   node with one ──► HEARD ── parts, each checked; its credit comes back when the reader has room ──► last part ──► the end
 *                       └──── the agent refuses, breaks off, or does not answer what was asked ──► why, and the end
 * ```
 */
import { status } from "@grpc/grpc-js";
import { MAX_MAP_ROWS, printable } from "@isthmus/model";
import {
  type DumpRequest,
  type DumpResponse,
  MapColumnType,
  type MapRows,
  MonitoredNode,
  MonitorState,
} from "@isthmus/proto";
import type { RunningQuery } from "../agents/agent-queries.js";
import { adminError } from "./admin-error.js";
import type { MonitorModules } from "./monitor.js";

export interface DumpModules extends Pick<MonitorModules, "queries" | "nodes"> {
  /** Sends a response; false: the reader has no room, `drained` is called when it has. */
  readonly write: (response: DumpResponse) => boolean;
  /** All was written. May be called before `startDump` returns. */
  readonly end: () => void;
}

export interface Dump {
  /** The reader has room again. */
  drained(): void;
  /** Ends the query. */
  close(): void;
}

/** Parts that an agent may send ahead; each is 30 KB, and at most that of `MAX_MESSAGE_BYTES`. */
const CREDIT = 4;

/** The longest noun that a map may have, and the most addresses of a query. */
const MAX_NOUN = 64;
const MAX_SOURCES = 16;

/** Writes the state of the node first. Throws `ADMIN` for a request that no agent answers. */
export function startDump(request: DumpRequest, { queries, nodes, write, end }: DumpModules): Dump {
  const { node, query } = request;
  if (query === undefined || query.map.length > MAX_NOUN || query.sources.length > MAX_SOURCES)
    throw adminError(status.INVALID_ARGUMENT, "the query has no map, or more than a query has");
  if (query.limit < 1 || query.limit > MAX_MAP_ROWS)
    throw adminError(status.INVALID_ARGUMENT, `the limit is ${query.limit}: use 1 to ${MAX_MAP_ROWS}`);
  const wanted = { $case: "map", value: query } as const;
  let running: RunningQuery | undefined;
  /** Parts whose credit waits for room. */
  let [held, full, over, left] = [0, false, false, query.limit];

  function report(state: MonitorState, message = ""): void {
    const reported = MonitoredNode.fromPartial({ node, state, message: printable(message, 512) });
    write({ message: { $case: "node", value: reported } });
  }
  function finish(state?: MonitorState, message?: string): void {
    if (over) return;
    over = true;
    running?.cancel();
    if (state !== undefined) report(state, message);
    end();
  }

  function take(rows: MapRows, last: boolean): void {
    if (over) return;
    const problem = rowsProblem(rows, left);
    if (problem !== undefined)
      return void finish(
        MonitorState.MONITOR_STATE_UNAVAILABLE,
        `its agent does not answer what was asked: ${problem}`,
      );
    left -= rows.rows.length;
    if (!write({ message: { $case: "rows", value: cleaned(rows) } })) full = true;
    if (last) return;
    if (full) held++;
    else running?.credit(1);
  }

  function start(): void {
    const started = queries.start(node, wanted, CREDIT, {
      part(part) {
        if (part.$case === "rows") take(part.value, part.value.summary !== undefined);
        else finish(MonitorState.MONITOR_STATE_UNAVAILABLE, "its agent answers with events, not with rows");
      },
      end(problem) {
        if (problem === undefined) finish(MonitorState.MONITOR_STATE_NOT_CONNECTED, "its agent's stream ended");
        else if (problem !== "") finish(MonitorState.MONITOR_STATE_UNAVAILABLE, problem);
        else finish();
      },
    });
    if (started === undefined) {
      const known = nodes().find((each) => each.node === node);
      if (known === undefined) return void finish(MonitorState.MONITOR_STATE_UNKNOWN);
      return void finish(
        known.connected ? MonitorState.MONITOR_STATE_NO_QUERIES : MonitorState.MONITOR_STATE_NOT_CONNECTED,
      );
    }
    running = started;
    report(MonitorState.MONITOR_STATE_HEARD);
  }

  start();
  return {
    drained() {
      full = false;
      for (; held > 0; held--) running?.credit(1);
    },
    close() {
      if (!over) running?.cancel();
      over = true;
    },
  };
}

/** What is wrong with a part, of which at most `left` rows may come. A part without rows is the last. */
function rowsProblem({ columns, rows, summary }: MapRows, left: number): string | undefined {
  if (rows.length > left) return "more rows than the limit";
  if (rows.length === 0 && summary === undefined) return "a part without rows";
  if (rows.some(({ cells }) => cells.length !== columns.length)) return "a row with more or fewer cells than columns";
  return undefined;
}

/** As it may be shown: names and cells printable, numbers what they claim to be. */
function cleaned({ columns, rows, summary }: MapRows): MapRows {
  const isNumber = columns.map(({ type }) => type === MapColumnType.MAP_COLUMN_TYPE_NUMBER);
  const cell = (text: string, i: number) => (isNumber[i] === true && !/^\d*$/.test(text) ? "" : printable(text, 512));
  return {
    columns: columns.map(({ name, type }) => ({ name: printable(name, 64), type })),
    rows: rows.map(({ cells }) => ({ cells: cells.map(cell) })),
    summary,
  };
}
