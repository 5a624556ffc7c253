/** The figures of this node as its agent reports them when it is asked: how full the maps are, what programs counted. */
import { DropReasonHelp } from "@isthmus/bpf";
import type { MapFill, NodeFigures } from "@isthmus/proto";
import type { RecentCounters } from "./recent-counters.js";

export interface NodeFiguresModules {
  /** What the programs of this node see. */
  readonly datapathMode: string;
  /** Entries in use of all maps. */
  readonly fill: () => readonly MapFill[];
  /** Of the programs. */
  readonly counters: RecentCounters;
}

/** Each drop reason has a counter of its name. */
const DROPS: ReadonlySet<string> = new Set([...DropReasonHelp.values()].map(({ name }) => name));

/** As of this call. */
export function nodeFigures({ datapathMode, fill, counters }: NodeFiguresModules): NodeFigures {
  return {
    datapathMode,
    maps: fill().map(({ map, used, capacity }) => ({ map, used, capacity })),
    counters: [...counters.read()].map(([name, { total, lastMinute }]) => ({
      ...{ name, total: BigInt(total), lastMinute: BigInt(lastMinute) },
      isDrop: DROPS.has(name),
    })),
  };
}
