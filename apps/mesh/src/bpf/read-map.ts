/** Reads the rows of a map of one node and prints them: the part that commands of `mesh bpf` share. */
import { lineText, MAX_MAP_ROWS, MeshError } from "@isthmus/model";
import { type MapRows, type MapSummary, type MonitoredNode, MonitorState } from "@isthmus/proto";
import { openAdmin } from "../access/admin.js";
import { type Context, withContexts } from "../access/context.js";
import { readKubeconfig } from "../access/kubeconfig.js";
import { readMeshCluster } from "../access/mesh-objects.js";
import { whyNoAnswer } from "../access/why-no-answer.js";
import type { Input } from "../cli/command.js";
import { usageError } from "../cli/exit.js";
import { outputFormat } from "../cli/parse.js";
import type { Io } from "../output/io.js";
import { jsonLine } from "../output/json.js";
import { kubectl } from "../output/units.js";
import { DEFAULT_LIMIT } from "./options.js";
import { notShownLines, rowJson, rowsTable } from "./row-text.js";

export interface MapRead {
  /** Its noun. */
  readonly map: string;
  /** Only flows that one of these addresses began; empty: all. */
  readonly sources?: (context: Context) => Promise<readonly Uint8Array[]>;
}

/** Exit code 0 when all rows came that the limit allows. Throws USAGE, NO_NODE, NO_ROWS, NO_MESH, ADMIN. */
export async function readMap(input: Input, io: Io, { map, sources }: MapRead): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const node = input.value("node");
  if (node === undefined || node === "") throw usageError("Cannot tell which node to ask: use --node");
  const limit = parseLimit(input.value("limit"));
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const name = input.value("context") ?? config.current;
  if (name === undefined) throw usageError("Cannot tell which cluster to ask: use --context");
  return withContexts(config, [name], io.signal, async ([context]) => {
    const cluster = context === undefined ? undefined : await readMeshCluster(context.client);
    if (context === undefined || cluster === undefined)
      throw new MeshError(
        { code: "NO_MESH" },
        `Cannot read maps of context "${name}": it holds no MeshCluster (deploy/base)`,
      );
    const addresses = sources === undefined ? [] : await sources(context);
    const admin = await openAdmin(context.client, cluster, io.signal);
    const parts: MapRows[] = [];
    let summary: MapSummary | undefined;
    const take = (part: MapRows) => {
      summary = part.summary ?? summary;
      if (format === "table") parts.push(part);
      else for (const row of part.rows) io.out(jsonLine({ row: rowJson(part.columns, row) }));
    };
    try {
      const query = { map, limit, sources: addresses.map((address) => Buffer.from(address)) };
      const answer = await admin.dump({ node, query }, take);
      const problem = problemOf(answer, { node, map, context: name });
      if (format === "table" && parts.length > 0) io.out(rowsTable(parts));
      if (problem !== undefined) throw problem;
      if (format === "json") io.out(jsonLine({ summary: { node, map, ...summary } }));
      for (const line of summary === undefined ? [] : notShownLines(summary, { map, limit })) io.err(line);
      return 0;
    } finally {
      admin.close();
    }
  });
}

function parseLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_MAP_ROWS) return limit;
  throw usageError(`Cannot use "${text}" for --limit: write a number from 1 to ${MAX_MAP_ROWS}`);
}

/** Undefined: all rows came. */
function problemOf(
  { state, message }: MonitoredNode,
  { node, map, context }: { readonly node: string; readonly map: string; readonly context: string },
): MeshError | undefined {
  if (state === MonitorState.MONITOR_STATE_HEARD) return undefined;
  const action = `Cannot read ${map} of node "${lineText(node)}"`;
  if (state === MonitorState.MONITOR_STATE_UNKNOWN)
    return new MeshError(
      { code: "NO_NODE", node },
      `${action}: context "${context}" has no such Linux node; see: ${kubectl(context)} get nodes`,
    );
  return new MeshError({ code: "NO_ROWS", node, map }, `${action}: ${whyNoAnswer(state, lineText(message))}`);
}
