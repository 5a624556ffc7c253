import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReportedEvent } from "@isthmus/kube";
import { Report } from "@isthmus/proto";
import { createFakeClock } from "@isthmus/testing";
import { createHostPortEvents } from "./host-port-events.js";

function harness() {
  const clock = createFakeClock();
  const seen: ReportedEvent[] = [];
  const events = { report: (event: ReportedEvent) => void seen.push(event), settled: async () => undefined };
  const tell = createHostPortEvents({ events, clock });
  const report = (more: Partial<Report>, node = "n1") =>
    tell(
      node,
      Report.fromPartial({
        ...{ up: true, namespace: "shop", pod: "web-1", podUid: "0a-1b" },
        hostPorts: [{ name: "", port: 8080, protocol: 6 }],
        ...more,
      }),
    );
  return { clock, seen, report };
}

test("a pod that asks for ports of its node has an Event that names them and what to do", () => {
  const { seen, report } = harness();
  report({
    hostPorts: [
      { name: "", port: 8080, protocol: 6 },
      { name: "", port: 53, protocol: 17 },
    ],
  });
  const [event] = seen;
  assert.deepEqual(
    [event?.resource.kind, event?.namespace, event?.name, event?.uid, event?.reason],
    ["Pod", "shop", "web-1", "0a-1b", "HostPortNotServed"],
  );
  assert.equal(
    event?.note,
    'hostPort "8080/TCP", "53/UDP" is not served yet: the node does not answer there. Use a Service, or "hostNetwork: true"',
  );
});

test("a pod without such ports, one that is removed, and invalid names cause no Event", () => {
  const { seen, report } = harness();
  report({ hostPorts: [] });
  report({ up: false });
  report({ hostPorts: [{ name: "", port: 0, protocol: 6 }] });
  for (const bad of ["", "a/b", "../x", "A", "x".repeat(300), "a\u001b[2J"]) {
    report({ namespace: bad });
    report({ pod: bad });
    report({ podUid: `${bad} ` });
  }
  assert.deepEqual(seen, []);
});

test("the Events of one node are limited per minute, and those of others are not delayed", async () => {
  const { clock, seen, report } = harness();
  for (let i = 0; i < 1000; i++) report({ podUid: `${i}` });
  assert.equal(seen.length, 60);
  report({}, "n2");
  assert.equal(seen.length, 61);
  await clock.advance(60_000);
  report({});
  assert.equal(seen.length, 62);
  report({ hostPorts: Array.from({ length: 500 }, (_, i) => ({ name: "", port: i + 1, protocol: 6 })) });
  assert.ok((seen.at(-1)?.note.length ?? 0) < 300);
});
