/** `lab env`: lines for `eval`, so that kubectl and mesh find the lab. */
import { join } from "node:path";
import { type LabHandle, openLab } from "../life/handle.js";
import { REPOSITORY_ROOT } from "../plan/paths.js";
import type { LabArguments } from "./arguments.js";
import type { LabIo } from "./io.js";

export function labEnvironment(lab: LabHandle, path: string): Record<string, string> {
  const own = [lab.bin, join(REPOSITORY_ROOT, "node_modules/.bin")];
  const others = path.split(":").filter((entry) => entry !== "" && !own.includes(entry));
  return { KUBECONFIG: lab.kubeconfig, PATH: [...own, ...others].join(":"), MESH_STORE: lab.storeFile };
}

export async function runEnv(args: LabArguments, io: LabIo): Promise<number> {
  const environment = labEnvironment(await openLab(args.name), io.env["PATH"] ?? "");
  if (args.json) io.out(`${JSON.stringify(environment, null, 2)}\n`);
  else for (const [name, value] of Object.entries(environment)) io.out(`export ${name}=${quote(value)}\n`);
  return 0;
}

/** For a POSIX shell. */
export function quote(value: string): string {
  return /^[\w./:@%+,=-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
