import { isNodeMap, lineText, NODE_MAPS } from "@isthmus/model";
import { readMap } from "../../bpf/read-map.js";
import type { Input } from "../../cli/command.js";
import { usageError } from "../../cli/exit.js";
import type { Io } from "../../output/io.js";

/** Prints the rows of a map. Throws USAGE, NO_NODE, NO_ROWS, NO_MESH, ADMIN. */
export async function run(input: Input, io: Io): Promise<number> {
  const [map, ...more] = input.args;
  const maps = NODE_MAPS.join(", ");
  if (map === undefined) throw usageError(`Cannot tell which map to show: name one of ${maps}`);
  if (more.length > 0) throw usageError(`Cannot show "${lineText(more[0] ?? "")}" too: name one map`);
  if (!isNodeMap(map)) {
    const hint =
      map === "conntrack" ? "flows have a command of their own, mesh bpf conntrack; maps are" : "choose from";
    throw usageError(`Cannot show map "${lineText(map)}": ${hint} ${maps}`);
  }
  return readMap(input, io, { map });
}
