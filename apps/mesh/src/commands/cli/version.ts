import { VERSION } from "@isthmus/runtime";
import type { Command } from "../../cli/command.js";
import { outputFormat } from "../../cli/parse.js";
import { json } from "../../output/json.js";

export const version: Command = {
  path: ["version"],
  summary: "print the version of this CLI",
  options: [{ name: "output", short: "o", value: "FORMAT", summary: "text (default) or json" }],
  examples: [{ says: "For scripts", command: "mesh version -o json" }],
  async run(input, io) {
    const facts = { version: VERSION, node: process.version, platform: `${process.platform}/${process.arch}` };
    const text = `mesh ${facts.version} (node ${facts.node}, ${facts.platform})\n`;
    io.out(outputFormat(input.value("output"), ["text", "json"]) === "json" ? json(facts) : text);
    return 0;
  },
};
