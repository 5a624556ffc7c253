/** `lab env`: prints lines for `eval`, so that kubectl and mesh find the lab. */
import { join } from "node:path";
import { type LabHandle, openLab } from "../life/handle.js";
import { REPOSITORY_ROOT } from "../plan/paths.js";
import type { LabArguments } from "./arguments.js";
import type { LabIo } from "./io.js";

/** `PATH` contains only the folders to prepend to the caller's PATH. */
function labEnvironment(lab: LabHandle): Record<string, string> {
  const folders = [lab.bin, join(REPOSITORY_ROOT, "node_modules/.bin")];
  return { KUBECONFIG: lab.kubeconfig, PATH: folders.join(":"), MESH_STORE: lab.storeFile };
}

export async function runEnv(args: LabArguments, io: LabIo): Promise<number> {
  const environment = labEnvironment(await openLab(args.name));
  if (args.json) io.out(`${JSON.stringify(environment, null, 2)}\n`);
  else for (const [name, value] of Object.entries(environment)) io.out(`export ${name}=${shellValue(name, value)}\n`);
  return 0;
}

/** PATH is extended by the shell that evaluates the line, since npx and similar tools run this program with another PATH. */
function shellValue(name: string, value: string): string {
  return name === "PATH" ? `${quote(value)}:"$PATH"` : quote(value);
}

/** Quotes a value for a POSIX shell. */
export function quote(value: string): string {
  return /^[\w./:@%+,=-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
