import { lineText, MeshError } from "@isthmus/model";
import { VERSION } from "@isthmus/runtime";
import { withContexts } from "../../access/context.js";
import { readKubeconfig } from "../../access/kubeconfig.js";
import { plainWords } from "../../access/plain-words.js";
import type { Input } from "../../cli/command.js";
import { type ExitCode, usageError } from "../../cli/exit.js";
import { outputFormat } from "../../cli/parse.js";
import { type Connected, connectClusters } from "../../connect/connect.js";
import { readStoreFile } from "../../connect/facts/store-file.js";
import { changesTable, manifests } from "../../connect/report.js";
import { findingsText } from "../../output/findings.js";
import type { Io } from "../../output/io.js";
import { errorOf, json } from "../../output/json.js";
import { counted } from "../../output/units.js";

const PATIENCE_MS = 10_000;

export async function run(input: Input, io: Io): Promise<ExitCode> {
  const format = outputFormat(input.value("output"), ["table", "json", "yaml"]);
  const names = contextsToConnect(input.args);
  const path = input.value("store") || io.env["MESH_STORE"] || undefined;
  if (path === undefined) throw usageError("Cannot connect without a store: name its file with --store or MESH_STORE");
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const file = await readStoreFile(path);
  const connected = await withContexts(config, names, io.signal, (contexts) =>
    connectClusters(contexts, file, {
      patienceMs: PATIENCE_MS,
      signal: io.signal,
      dryRun: input.flag("dry-run"),
      cliVersion: VERSION,
      onFindings: (findings) => io.err(findingsText(findings, io)),
    }),
  );
  answer(connected, format, io);
  return talk(connected, names, io);
}

/** Throws USAGE for fewer than two contexts, and for one that is given twice: a cluster cannot be connected with itself. */
function contextsToConnect(args: readonly string[]): readonly string[] {
  const twice = args.find((name, i) => args.indexOf(name) !== i);
  if (twice !== undefined) throw usageError(`Cannot connect "${twice}" with itself: name each context once`);
  if (args.length >= 2) return args;
  throw usageError("Cannot connect fewer than two clusters: name their contexts, as in: mesh connect east west");
}

function answer({ result, steps, failure }: Connected, format: "table" | "json" | "yaml", io: Io): void {
  if (format === "json") io.out(json(failure === undefined ? result : { ...result, ...errorOf(failure) }));
  else if (format === "yaml") io.out(manifests(steps));
  else if (result.changes.length > 0) io.out(changesTable(result.changes));
}

function talk({ result, failure }: Connected, names: readonly string[], io: Io): ExitCode {
  const failed = result.findings.filter(({ status }) => status === "fail").length;
  if (failed > 0 && io.signal.aborted) {
    io.err(`Nothing was written: ${lineText(MeshError.from(io.signal.reason).message)}\n`);
    return 3;
  }
  if (failed > 0) {
    io.err(`Nothing was written: ${counted(failed, "finding")} must be resolved first\n`);
    return 1;
  }
  if (failure !== undefined) {
    const done = result.changes.filter(({ action }) => action !== "keep").length;
    io.err(
      `${lineText(plainWords(failure.message))}\nStopped after ${counted(done, "change")}; nothing is lost, run the same command again to continue\n`,
    );
    return io.signal.aborted ? 3 : 1;
  }
  if (result.dryRun) io.err(result.connected ? "Nothing would change\n" : "Nothing was written (--dry-run)\n");
  else if (result.changed) io.err(`Connected ${names.join(", ")}. Next: mesh status --wait\n`);
  else io.err("Nothing to change: these clusters are connected already\n");
  return 0;
}
