/** `lab exec CONTEXT NAMESPACE/POD -- COMMAND`: runs kubectl exec on this terminal and returns its exit code. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { openLab } from "../life/handle.js";
import { labError } from "../plan/errors.js";
import type { LabArguments } from "./arguments.js";
import type { LabIo } from "./io.js";
import { checkPlace } from "../plan/place.js";

export async function runExec(args: LabArguments, io: LabIo): Promise<number> {
  const lab = await openLab(args.name);
  const [context = "", target = ""] = args.operands;
  const [namespace, pod, ...more] = target.split("/");
  if (!namespace || !pod || more.length > 0) throw labError("USAGE", `Name the pod as NAMESPACE/POD, not "${target}"`);
  checkPlace(lab.plan, { cluster: context });
  if (args.rest.length === 0) throw labError("USAGE", `Give the command after "--"`);
  const terminal = process.stdin.isTTY && process.stdout.isTTY ? ["--tty"] : [];
  const where = ["--kubeconfig", lab.kubeconfig, "--context", context, "--namespace", namespace];
  const argv = [...where, "exec", "--stdin", ...terminal, pod, "--", ...args.rest];
  return await inherit(join(lab.bin, "kubectl"), argv, io.env);
}

function inherit(command: string, argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, argv, { stdio: "inherit", env });
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
