import { NODE_MAPS } from "@isthmus/model";
import { DUMP_OPTIONS } from "../../bpf/options.js";
import type { Command } from "../../cli/command.js";

export const bpfDump: Command = {
  path: ["bpf", "dump"],
  args: "MAP",
  summary: "show what a map of a node's kernel holds, decoded",
  detail: [
    `MAP is one of ${NODE_MAPS.slice(0, 7).join(", ")},`,
    `${NODE_MAPS.slice(7, 12).join(", ")},`,
    `${NODE_MAPS.slice(12).join(", ")}. From endpoints on they are of nodes in mode packets.`,
    "services has a line for each tier; frontends names services, tables names backends (INDEX#GENERATION), backends name nodes by",
    "these numbers. node-state and cluster-state show what is not up, with the numbers of its reporters; free rows are left out.",
    "Rows are read one after another while the agent may change them. What is not shown is counted on stderr. With -o json each line",
    "is a document: row, and summary as the last.",
  ].join("\n"),
  options: DUMP_OPTIONS,
  timeout: () => "60s",
  examples: [
    { says: "Which backends does a node know?", command: "mesh bpf dump backends --node w1" },
    {
      says: "The row of one frontend, by a script",
      command: "mesh bpf dump frontends --node w1 --limit 100000 -o json",
    },
  ],
  load: () => import("./run-dump.js"),
  run: async (input, io) => (await import("./run-dump.js")).run(input, io),
};
