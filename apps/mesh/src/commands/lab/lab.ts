import type { Command } from "../../cli/command.js";

export const lab: Command = {
  path: ["lab"],
  args: "VERB",
  summary: "real clusters on this machine without Docker: mesh lab --help",
  options: [],
  examples: [],
  raw: true,
  async run(input, io) {
    // Loaded on demand: the lab needs root and Linux, the rest of the CLI does not.
    const { runLab } = await import("@isthmus/lab");
    return runLab(input.args, { ...io, env: { ...io.env } });
  },
};
