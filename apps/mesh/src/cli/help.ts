/** Help texts, made from the commands. */
import { table } from "@isthmus/model";
import type { Command, Option } from "./command.js";
import { HELP } from "./parse.js";

/** All commands in a table, for `mesh --help` and for a noun without its verb. */
export function overview(commands: readonly Command[]): string {
  const rows = commands.map((command) => [`  mesh ${usage(command)}`, command.summary]);
  return [
    "mesh: several Kubernetes clusters as one mesh",
    "",
    "Usage: mesh COMMAND [OPTIONS]",
    "",
    "Commands:",
    table(rows).trimEnd(),
    "",
    "Exit codes: 0 as asked, 1 a finding, 2 wrong usage, 3 time is up, 130 Ctrl-C.",
    "More about a command: mesh COMMAND --help",
    "",
  ].join("\n");
}

/** What `mesh COMMAND --help` prints, with a final newline. */
export function commandHelp(command: Command): string {
  const options = [...command.options, HELP];
  return [
    command.summary,
    "",
    `Usage: mesh ${usage(command)} [OPTIONS]`,
    ...(command.detail === undefined ? [] : ["", command.detail]),
    "",
    "Options:",
    table(options.map((option) => [`  ${spelling(option)}`, option.summary])).trimEnd(),
    "",
    "Examples:",
    ...command.examples.flatMap(({ says, command: line }) => [`  # ${says}`, `  ${line}`]),
    "",
  ].join("\n");
}

function usage(command: Command): string {
  return [...command.path, ...(command.args === undefined ? [] : [command.args])].join(" ");
}

function spelling({ name, short, value }: Option): string {
  return `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
}
