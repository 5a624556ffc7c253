/** The command lines: of `mesh` from its commands, of the daemons as they print their usage. */

import type { ProductSource } from "@isthmus/checks";
import { nodesOf } from "@isthmus/checks";
import type { Command, Option } from "@isthmus/mesh";
import { isCallExpression } from "typescript/unstable/ast";
import type { Documented } from "./documented.js";
import { code, sentence, table, wrap } from "./page.js";

/** A program that has options and no commands. */
export interface Daemon {
  readonly name: string;
  /** What it prints for `--help`. */
  readonly usage: string;
  /** Options that it reads, without dashes. */
  readonly options: readonly string[];
}

/** A command, an option or an exit code without a word of explanation. */
export function cliFindings(
  commands: readonly Command[],
  daemons: readonly Daemon[],
  exitCodes: readonly Documented[],
): readonly string[] {
  const ofCommands = commands.flatMap(({ path, summary, options }) => {
    const name = ["mesh", ...path].join(" ");
    return [
      ...(summary.trim() === "" ? [`${name}: has no summary`] : []),
      ...options
        .filter((option) => option.summary.trim() === "")
        .map((option) => `${name}: option --${option.name} has no summary`),
    ];
  });
  const ofDaemons = daemons.flatMap(({ name, usage, options }) =>
    options
      .filter((option) => !new RegExp(`^ +--${option}(?![\\w-]).* \\S`, "m").test(usage))
      .map((option) => `${name}: option --${option} is not in its usage`),
  );
  const ofCodes = exitCodes
    .filter(({ meaning }) => meaning === "")
    .map(({ name }) => `mesh: exit code ${name} has no comment`);
  return [...ofCommands, ...ofDaemons, ...ofCodes];
}

/** Names of the options that a source reads with `readOptions`. */
export function optionsRead({ file, checker }: ProductSource): readonly string[] {
  const calls = [...nodesOf(file)]
    .filter(isCallExpression)
    .filter(({ expression }) => expression.getText() === "readOptions");
  return calls.flatMap((call) => {
    const type = checker.getTypeAtLocation(call);
    return type === undefined ? [] : checker.getPropertiesOfType(type).map(({ name }) => name);
  });
}

export function cliText(
  commands: readonly Command[],
  daemons: readonly Daemon[],
  exitCodes: readonly Documented[],
): string {
  const codes = exitCodes.map(({ name, meaning }) => [name, meaning]);
  return [
    "## mesh",
    "Its exit codes:",
    table(["Code", "Meaning"], codes),
    ...commands.map(commandText),
    ...daemons.map(({ name, usage }) => `## ${name}\n\n\`\`\`text\n${usage.trim()}\n\`\`\``),
  ].join("\n\n");
}

function commandText({ path, args, summary, detail, options, examples, raw }: Command): string {
  const usage = ["mesh", ...path, ...(args === undefined ? [] : [args]), ...(options.length > 0 ? ["[OPTIONS]"] : [])];
  const sections = [`### mesh ${path.join(" ")}`, code(usage.join(" ")), `${wrap(sentence(summary))}.`];
  if (detail !== undefined) sections.push(wrap(detail));
  if (raw === true) sections.push(wrap("It has options of its own: it passes all that follows to another program."));
  if (options.length > 0) sections.push(table(["Option", "Meaning"], options.map(optionRow)));
  if (examples.length > 0)
    sections.push(["```sh", ...examples.flatMap(({ says, command }) => [`# ${says}`, command]), "```"].join("\n"));
  return sections.join("\n\n");
}

function optionRow({ name, short, value, summary, multiple }: Option): readonly string[] {
  const spelling = `--${name}${value === undefined ? "" : ` ${value}`}`;
  const repeated = multiple === true ? "; several times, or once with commas" : "";
  return [short === undefined ? code(spelling) : `${code(`-${short}`)}, ${code(spelling)}`, `${summary}${repeated}`];
}
