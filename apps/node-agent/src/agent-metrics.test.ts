/** The gauges that are read at every scrape. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "@isthmus/observe";
import { type AgentFacts, createAgentMetrics } from "./agent-metrics.js";

const FACTS: AgentFacts = {
  fill: () => [],
  connected: () => true,
  sources: () => [],
  cgroups: () => 1,
  failedObjects: () => 0,
  datapath: () => new Map([["event_lost", 3]]),
  moves: () => [{ namespace: "shop", service: "cart", reason: "silent", count: 4 }],
  events: () => ({ counts: { read: 7, late: 2 }, subscribers: 1 }),
};

test("events are counted by what became of them, with the readers", async () => {
  const metrics = createMetrics();
  createAgentMetrics(metrics).watch(FACTS);
  const text = await metrics.text();
  for (const line of [
    'mesh_flow_events{outcome="read"} 7',
    'mesh_flow_events{outcome="late"} 2',
    "mesh_event_subscribers 1",
    'mesh_datapath_events{event="event_lost"} 3',
    'mesh_service_moves_total{namespace="shop",service="cart",reason="silent"} 4',
  ])
    assert.ok(text.split("\n").includes(line), `${line} in ${text}`);
});

test("a node without events has none of their counts", async () => {
  const metrics = createMetrics();
  createAgentMetrics(metrics).watch({ ...FACTS, events: () => undefined });
  const text = await metrics.text();
  assert.doesNotMatch(text, /^mesh_flow_events\{/m);
  assert.match(text, /^mesh_event_subscribers 0$/m);
});
