/** Finds the contexts and their files: `--kubeconfig`, `$KUBECONFIG` (a list), or `~/.kube/config`. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { type Kubeconfig as KubeconfigFile, openKubeconfig } from "@isthmus/kube";
import { usageError } from "../cli/exit.js";
import type { Io } from "../output/io.js";

export interface Kubeconfig {
  /** Context → file that contains it, in the order of the files. */
  readonly contexts: ReadonlyMap<string, KubeconfigFile>;
  /** The current context of the first file that names one. */
  readonly current: string | undefined;
}

/** Throws USAGE when there is no kubeconfig, KUBE_CONFIG when one cannot be read. */
export function readKubeconfig(option: string | undefined, env: Io["env"]): Kubeconfig {
  const named = option ?? env["KUBECONFIG"] ?? "";
  const files = named === "" ? [join(env["HOME"] ?? homedir(), ".kube", "config")] : named.split(delimiter);
  const present = files.filter((file) => file !== "" && existsSync(file));
  if (present.length === 0)
    throw usageError(`Cannot find kubeconfig "${files.join(delimiter)}": use --kubeconfig or set KUBECONFIG`);
  const contexts = new Map<string, KubeconfigFile>();
  const read = present.map(openKubeconfig);
  for (const file of read) for (const name of file.names) if (!contexts.has(name)) contexts.set(name, file);
  if (contexts.size === 0)
    throw usageError(
      `Cannot use kubeconfig "${present.join(delimiter)}": it holds no context; use --kubeconfig or set KUBECONFIG`,
    );
  return { contexts, current: read.map(({ current }) => current).find((name) => name !== undefined) };
}
