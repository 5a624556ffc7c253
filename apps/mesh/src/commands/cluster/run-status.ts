import { setTimeout as delay } from "node:timers/promises";
import { type Context, withContexts } from "../../access/context.js";
import { readKubeconfig } from "../../access/kubeconfig.js";
import type { Input } from "../../cli/command.js";
import type { Io } from "../../cli/io.js";
import { outputFormat, parseDuration } from "../../cli/parse.js";
import { findingsText } from "../../output/findings.js";
import { json } from "../../output/json.js";
import { lineText } from "../../output/text.js";
import { assess, isSettled, type MeshStatus } from "../../status/assess.js";
import { viewCluster } from "../../status/collect.js";
import { hopsTable } from "../../status/render.js";

const POLL_MS = 500;

export async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const timeoutMs = parseDuration(input.value("timeout") ?? "2m", "timeout");
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const named = input.values("context");
  const names = named.length > 0 ? named : [...config.contexts.keys()];
  return withContexts(config, names, async (contexts) => {
    const look = () => lookAt(contexts);
    const waiting = input.flag("wait");
    const found = waiting ? await untilOk(look, timeoutMs, io) : await look();
    io.out(format === "json" ? json(found) : hopsTable(found.hops));
    if (found.clusters.length === 0) {
      io.err(`No context holds a MeshCluster: ${names.join(", ")}. Install the mesh first (deploy/base)\n`);
      return 1;
    }
    io.err(findingsText(found.findings, io));
    if (found.ok) io.err(`In sync: ${found.clusters.map(({ cluster }) => cluster).join(", ")}\n`);
    else if (waiting) io.err(`Not in sync within ${input.value("timeout") ?? "2m"}\n`);
    return found.ok ? 0 : waiting ? 3 : 1;
  });
}

async function lookAt(contexts: readonly Context[]): Promise<MeshStatus> {
  const views = await Promise.all(contexts.map(viewCluster));
  return assess(views.filter((view) => view !== undefined));
}

/** The first look that is ok, or the last one before time is up. Tells what it waits for, once each. */
async function untilOk(look: () => Promise<MeshStatus>, timeoutMs: number, io: Io): Promise<MeshStatus> {
  const deadline = performance.now() + timeoutMs;
  let told = "";
  for (;;) {
    const found = await look();
    if (isSettled(found) || io.signal.aborted || performance.now() + POLL_MS > deadline) return found;
    const { subject, message } = found.findings[0] ?? { subject: "mesh", message: "no member found" };
    const telling = `Waiting: ${lineText(`${subject}: ${message}`).replace(/\d+(\.\d+)?(s|m|h)\b/g, "…")}\n`;
    if (telling !== told) io.err(telling);
    told = telling;
    await delay(POLL_MS, undefined, { signal: io.signal }).catch(() => undefined);
  }
}
