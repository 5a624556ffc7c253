import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshCondition } from "@isthmus/kube";
import type { ServiceNote } from "../cluster/services/service-notes.js";
import { createFakeSources } from "../testing/fake-source.js";
import { wantedConditions } from "./service-conditions.js";
import { createServiceSource, knownService } from "./testing/fixture.js";

const PORTS = "mesh.isthmus.io/PortsMatched";

function mesh() {
  const [own, west, north] = [
    createServiceSource(0, "east"),
    createServiceSource(2, "west"),
    createServiceSource(3, "north"),
  ];
  const sources = createFakeSources(own, west, north);
  own.put(["http"]);
  return { own, west, north, sources };
}

function held(message: string): MeshCondition {
  const lastTransitionTime = "2026-11-21T10:00:00Z";
  return { type: PORTS, status: "False", reason: "PortMismatch", message, lastTransitionTime };
}

const REASONS = {
  export: "BackendsNotExported",
  annotations: "InvalidAnnotation",
  spec: "NotServedAsWritten",
} as const;
const note = (topic: ServiceNote["topic"], sentence: string, lasting?: string): ServiceNote => ({
  topic,
  reason: REASONS[topic],
  sentence,
  ...(lasting === undefined ? {} : { lasting }),
});

test("a Service without a problem has no conditions", () => {
  const { sources, west } = mesh();
  west.put(["http"]);
  assert.deepEqual(wantedConditions(knownService(), sources), { verdicts: [], waiting: false });
});

test("one condition names all clusters that cannot be used, and no longer those that match again", () => {
  const { sources, own, west, north } = mesh();
  west.put(["web"]);
  north.put(["grpc"]);
  const [verdict, ...more] = wantedConditions(knownService(), sources).verdicts;
  assert.deepEqual(more, []);
  assert.deepEqual([verdict?.type, verdict?.status, verdict?.reason], [PORTS, "False", "PortMismatch"]);
  assert.match(verdict?.message ?? "", /cluster "west" for port "http"\/TCP.*; .*cluster "north"/);
  north.put(["http"]);
  assert.doesNotMatch(wantedConditions(knownService(), sources).verdicts[0]?.message ?? "", /north/);
  own.put(["http"], { global: false });
  assert.deepEqual(wantedConditions(knownService(), sources).verdicts, [], "no longer global");
});

test("annotations, exports and the spec have one condition each, without numbers that change", () => {
  const notes = [
    note("annotations", "Cannot use x"),
    note("annotations", "Cannot use y"),
    note("export", "3 of them", "some of them"),
    note("spec", "sessionAffinity is not supported yet"),
  ];
  assert.deepEqual(wantedConditions(knownService(notes), mesh().sources).verdicts, [
    {
      type: "mesh.isthmus.io/AnnotationsAccepted",
      status: "False",
      reason: "InvalidAnnotation",
      message: "Cannot use x; Cannot use y",
    },
    {
      type: "mesh.isthmus.io/BackendsExported",
      status: "False",
      reason: "BackendsNotExported",
      message: "some of them",
    },
    {
      type: "mesh.isthmus.io/ServedAsWritten",
      status: "False",
      reason: "NotServedAsWritten",
      message: "sessionAffinity is not supported yet",
    },
  ]);
});

test("a condition about a cluster stays until that cluster was received", () => {
  const { sources, west, north } = mesh();
  const before = held('Cannot use cluster "west" for port "http"/TCP: …');
  west.prove(false);
  const kept = wantedConditions(knownService([], [before]), sources);
  assert.deepEqual([kept.waiting, kept.verdicts[0]?.message], [true, before.message]);
  north.prove(false);
  west.prove(true);
  assert.deepEqual(wantedConditions(knownService([], [before]), sources), { verdicts: [], waiting: false });
});

test("a condition about a removed cluster ends once all peers are known", () => {
  const { sources } = mesh();
  const before = knownService([], [held('Cannot use cluster "south" for port "http"/TCP: …')]);
  assert.equal(wantedConditions(before, { ...sources, complete: false }).waiting, true);
  assert.deepEqual(wantedConditions(before, sources), { verdicts: [], waiting: false });
});

test("the number of clusters in a condition is limited", () => {
  const remotes = Array.from({ length: 300 }, (_, i) => createServiceSource(i + 2, `c${i}`));
  const { own } = mesh();
  for (const each of remotes) each.put(["web"]);
  const { verdicts } = wantedConditions(knownService(), createFakeSources(own, ...remotes));
  assert.match(verdicts[0]?.message ?? "", /; 280 more$/);
  assert.ok((verdicts[0]?.message.length ?? 0) < 4000);
});
