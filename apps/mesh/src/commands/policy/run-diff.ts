import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { readKubeconfig } from "../../access/kubeconfig.js";
import { askOneCluster } from "../../access/one-cluster.js";
import type { Input } from "../../cli/command.js";
import { type ExitCode, usageError } from "../../cli/exit.js";
import { outputFormat } from "../../cli/parse.js";
import type { Io } from "../../output/io.js";
import { json } from "../../output/json.js";
import { counted } from "../../output/units.js";
import { readDeletion, readObjects } from "../../policy/read-objects.js";
import { diffJson, diffText, isDifferent } from "../../policy/render-diff.js";

export async function run(input: Input, io: Io): Promise<ExitCode> {
  const format = outputFormat(input.value("output"), ["text", "json"]);
  const files = input.values("filename");
  if (files.length + input.values("delete").length === 0)
    throw usageError("Cannot compare without a change: name manifests with -f, or policies with --delete");
  const namespace = input.value("namespace") ?? contextNamespace(input, io);
  const deleted = input.values("delete").map((one) => readDeletion(one, namespace));
  const contents = files.flatMap((file) => readObjects(readFile(file), file === "-" ? "stdin" : file, namespace));
  const objects = await Promise.all(contents.map((one) => promisify(gzip)(JSON.stringify(one))));
  const answer = await askOneCluster(input, io, "policies", (admin) => admin.diffPolicies({ objects, deleted }));
  io.out(format === "json" ? json(diffJson(answer)) : diffText(answer));
  const refused = answer.policies.filter(({ findings }) => findings.length > 0).length;
  if (refused === 0) return isDifferent(answer) ? 1 : 0;
  io.err(`Nothing was compared: ${counted(refused, "change")} would not be accepted\n`);
  return 2;
}

function contextNamespace(input: Input, io: Io): string {
  const { contexts, current } = readKubeconfig(input.value("kubeconfig"), io.env);
  const name = input.value("context") ?? current ?? "";
  return contexts.get(name)?.namespace(name) ?? "default";
}

function readFile(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw usageError(`Cannot use "${file}": ${READ_FAILURES[code ?? ""] ?? message}`);
  }
}

const READ_FAILURES: Readonly<Record<string, string>> = {
  EISDIR: "it is a folder; name the files in it",
  ENOENT: "there is no such file",
  EACCES: "you may not read it",
};
