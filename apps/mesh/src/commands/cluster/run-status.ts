import { lineText, systemClock } from "@isthmus/model";
import { sleep } from "@isthmus/runtime";
import { withSignal, withUsableContexts } from "../../access/context.js";
import { readKubeconfig } from "../../access/kubeconfig.js";
import type { Input } from "../../cli/command.js";
import { startDeadline } from "../../cli/deadline.js";
import { outputFormat } from "../../cli/parse.js";
import { findingsText } from "../../output/findings.js";
import type { Io } from "../../output/io.js";
import { json } from "../../output/json.js";
import { shellWord } from "../../output/units.js";
import { assess, isSettled, type MeshStatus } from "../../status/assess.js";
import { unreadableView, viewCluster } from "../../status/collect.js";
import { figuresText } from "../../status/figures-text.js";
import { hopsTable } from "../../status/render.js";

const POLL_MS = 500;
/** Time-out of one poll of --wait, so that a cluster that does not answer cannot stop the polling of the others. */
const LOOK = "15s";

/** `limit`: the command's time-out, as users write it. */
export async function run(input: Input, io: Io, limit: string): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const named = input.values("context");
  const names = named.length > 0 ? named : [...config.contexts.keys()];
  return withUsableContexts(config, names, io.signal, async (contexts, unusable) => {
    const unreadable = [...unusable].map(([name, error]) => unreadableView(name, error));
    const verbose = input.flag("verbose");
    const look = async (signal: AbortSignal): Promise<MeshStatus> => {
      const views = await Promise.all(
        contexts.map((context) => viewCluster(withSignal(context, signal), verbose, signal)),
      );
      return assess([...views, ...unreadable], { named: named.length > 0, nowMs: Date.now(), figures: verbose });
    };
    const waiting = input.flag("wait");
    const found = waiting ? await untilOk(look, io) : await look(io.signal);
    io.out(format === "json" ? json(found) : `${hopsTable(found.hops)}${figuresText(found.nodes ?? [])}`);
    io.err(findingsText(found.findings, io));
    // An agent that has not connected yet is only a warning, but --wait waits for it.
    const done = waiting ? isSettled(found) : found.ok;
    if (done) io.err(`In sync: ${found.clusters.map(({ cluster }) => cluster).join(", ")}\n`);
    if (done || !waiting) return done ? 0 : 1;
    if (!io.signal.aborted && isUnconnected(found)) {
      const names = found.clusters.map(({ context }) => shellWord(context)).join(" ");
      io.err(`Nothing to wait for: no cluster has a MeshPeer. Run: mesh connect ${names}\n`);
      return 1;
    }
    io.err(`Not in sync within ${limit}\n`);
    return 3;
  });
}

/** True for several clusters without any MeshPeer: waiting would not connect them. */
function isUnconnected({ clusters }: MeshStatus): boolean {
  return clusters.length > 1 && clusters.every(({ id, peers }) => id !== null && peers === 0);
}

/** Polls until the status is ok or time is up; then returns the last complete status. Prints each reason for waiting once. */
async function untilOk(look: (signal: AbortSignal) => Promise<MeshStatus>, io: Io): Promise<MeshStatus> {
  let last: MeshStatus | undefined;
  let lastLine = "";
  for (;;) {
    const limit = startDeadline(LOOK, io.signal);
    const found = await look(limit.signal).finally(() => limit.end());
    if (io.signal.aborted) return last ?? found;
    if (isSettled(found) || isUnconnected(found)) return found;
    last = found;
    const { subject, message } = found.findings[0] ?? { subject: "mesh", message: "no member found" };
    const line = `Waiting: ${lineText(`${subject}: ${message}`).replace(/\d+(\.\d+)?(s|m|h)\b/g, "…")}\n`;
    if (line !== lastLine) io.err(line);
    lastLine = line;
    await sleep(systemClock, POLL_MS, io.signal);
    if (io.signal.aborted) return last;
  }
}
