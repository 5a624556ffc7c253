import type { Command } from "../../cli/command.js";
import { findPlugin, runPlugin } from "../../cli/plugin.js";

/** The lab is not part of the CLI: it needs root and Linux, and is not installed with it. */
export const lab: Command = {
  path: ["lab"],
  args: "VERB",
  summary: "real clusters on this machine without Docker: mesh lab --help",
  options: [],
  examples: [],
  raw: true,
  run: (input, io) => runPlugin(findPlugin("mesh-lab", io.env["PATH"]), input.args, io),
};
