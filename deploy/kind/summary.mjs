/** The client's log (apps/demo/image/load.c) on stdin → answers per cluster and losses per cause; exit code 1 when any. */
import { createInterface } from "node:readline";

const CAUSES = { r: "refused", x: "reset", t: "timeout", s: "starved", e: "error" };
const names = new Map();
const answers = {};
const lost = {};
let sent = 0;

for await (const line of createInterface({ input: process.stdin })) {
  const record = JSON.parse(line);
  if (record.name !== undefined) names.set(record.responder, record.name.split("/")[0]);
  for (const [, outcome, , responder] of record.s ?? []) {
    sent++;
    if (outcome === "o") answers[names.get(responder)] = (answers[names.get(responder)] ?? 0) + 1;
    else if (CAUSES[outcome] !== undefined) lost[CAUSES[outcome]] = (lost[CAUSES[outcome]] ?? 0) + 1;
  }
}
console.log(JSON.stringify({ sent, answers, lost }));
process.exitCode = sent > 0 && Object.keys(lost).length === 0 && answers.west > 0 ? 0 : 1;
