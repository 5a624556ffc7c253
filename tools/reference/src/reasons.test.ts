import assert from "node:assert/strict";
import { test } from "node:test";
import { withFiles } from "@isthmus/checks/testing";
import { commentFindings, conditionsText, eventFindings } from "./reasons.js";

const RECORDER = `
export interface ReportedEvent { readonly name: string; readonly reason: string }
export interface EventRecorder { report(event: ReportedEvent): void }
declare const events: EventRecorder;
declare const name: string;
`;

function find(source: string): readonly string[] {
  return withFiles({ "apps/a/src/x.ts": RECORDER + source }, (sources) =>
    eventFindings(sources, new Set(["Known", "Also"])),
  );
}

test("a reason that is not documented is a finding, wherever it is written", () => {
  assert.deepEqual(find('events.report({ name, reason: "Known" });'), []);
  assert.deepEqual(find('events.report({ name, reason: "New" });'), [
    'apps/a/src/x.ts:6: reason "New" of an Event is not documented: add it to EventReason',
  ]);
  assert.match(find('events.report({ ...{ reason: "New" }, name });')[0] ?? "", /"New"/);
  assert.match(find('const event = { reason: "New" } as const;\nevents.report({ ...event, name });')[0] ?? "", /"New"/);
  const union = (more: string) =>
    `declare const note: { reason: "Known" | "${more}" };\nevents.report({ name, reason: note.reason });`;
  assert.deepEqual(find(union("Also")), []);
  assert.match(find(union("New"))[0] ?? "", /"New"/);
});

test("a reason that may be anything is a finding; an Event that is passed on is none", () => {
  assert.match(
    find("events.report({ name, reason: name });")[0] ?? "",
    /:6: the reason of this Event is not a literal/,
  );
  assert.deepEqual(find("export const pass = (event: ReportedEvent) => events.report(event);"), []);
  assert.deepEqual(
    find('declare const log: { report(o: { reason: string }): void };\nlog.report({ reason: "Else" });'),
    [],
  );
});

const READY = { name: "Ready", meaning: "All is well.", fix: "" };

test("a member without a comment is a finding", () => {
  const members = [READY, { name: "Stale", meaning: "", fix: "wait" }];
  assert.deepEqual(commentFindings(new Map([["States", members]])), ['States: "Stale" has no comment']);
});

test("a condition has a table of its reasons", () => {
  const members = [{ name: "Old", meaning: "It is old | late.", fix: "renew it." }, READY];
  const text = conditionsText([{ object: "MeshPeer", types: [{ ...READY, members }] }], []);
  assert.match(
    text,
    /^## MeshPeer\n\n### Ready\n\nAll is well\.\n\n\| Reason .*\n.*\n\| `Old` \| It is old \\\| late\. \| Renew it\. \|\n\| `Ready` \| All is well\. \| Nothing\. \|/,
  );
});
