/** Which contexts there are, and in which file: `--kubeconfig`, `$KUBECONFIG` (a list), or `~/.kube/config`. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { kubeContexts } from "@isthmus/kube";
import { parse } from "yaml";
import { usageError } from "../cli/exit.js";
import type { Io } from "../cli/io.js";

export interface Kubeconfig {
  /** Context → file that holds it, in the order of the files. */
  readonly contexts: ReadonlyMap<string, string>;
  readonly current: string | undefined;
}

/** Throws USAGE when there is no kubeconfig, KUBE_CONFIG when one cannot be read. */
export function readKubeconfig(option: string | undefined, env: Io["env"]): Kubeconfig {
  const named = option ?? env["KUBECONFIG"] ?? "";
  const files = named === "" ? [join(env["HOME"] ?? homedir(), ".kube", "config")] : named.split(delimiter);
  const present = files.filter((file) => file !== "" && existsSync(file));
  if (present.length === 0)
    throw usageError(`Cannot find kubeconfig "${files.join(delimiter)}": use --kubeconfig or set KUBECONFIG`);
  const contexts = new Map<string, string>();
  for (const file of present) for (const name of kubeContexts(file)) if (!contexts.has(name)) contexts.set(name, file);
  return { contexts, current: present.map(currentContext).find((name) => name !== undefined) };
}

function currentContext(file: string): string | undefined {
  const name = (parse(readFileSync(file, "utf8")) as { "current-context"?: string } | null)?.["current-context"];
  return name === "" ? undefined : name;
}
