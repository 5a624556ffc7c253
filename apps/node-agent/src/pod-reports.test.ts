import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import type { ToServer } from "@isthmus/proto";
import { createPodReports } from "./pod-reports.js";
import type { PodAttachment } from "./pods/index.js";

const pod = (name: string): PodAttachment => ({
  hostDevice: `mesh${name}`,
  addresses: [parseAddress("10.11.0.1")],
  containerId: name,
  interfaceName: "eth0",
  namespace: "shop",
  name,
  uid: `uid-${name}`,
});

function rig() {
  const state = { open: false };
  const reported: string[] = [];
  const reports = createPodReports(({ message }: ToServer) => {
    if (state.open && message?.$case === "report")
      reported.push(
        [
          message.value.up ? "up" : "down",
          message.value.pod,
          ...message.value.hostPorts.map(({ port, protocol }) => `${port}/${protocol}`),
        ].join(" "),
      );
    return state.open;
  });
  return { state, reported, reports };
}

test("each stream gets a report of every present pod, and one of each pod removed while no stream was open", () => {
  const { state, reported, reports } = rig();
  for (const name of ["a", "b"]) reports.up(pod(name));
  reports.down(pod("a"));
  state.open = true;
  reports.connected();
  assert.deepEqual(reported.splice(0), ["down a", "up b"]);
  reports.down(pod("b"));
  reports.up(pod("c"));
  assert.deepEqual(reported.splice(0), ["down b", "up c"]);
  reports.connected();
  assert.deepEqual(reported, ["up c"]);
});

test("of very many removed pods the latest 1000 are reported", () => {
  const { state, reported, reports } = rig();
  for (let i = 0; i < 1200; i++) reports.down(pod(`p${i}`));
  state.open = true;
  reports.connected();
  assert.deepEqual([reported.length, reported[0], reported.at(-1)], [1000, "down p200", "down p1199"]);
});

test("host ports are reported once, in the first report that reaches an apiserver", () => {
  const { state, reported, reports } = rig();
  reports.up(pod("a"), [
    { port: 8080, protocol: 6 },
    { port: 53, protocol: 17 },
  ]);
  reports.up(pod("b"), [{ port: 9090, protocol: 6 }]);
  reports.down(pod("b"));
  state.open = true;
  reports.connected();
  reports.connected();
  assert.deepEqual(reported, ["down b", "up a 8080/6 53/17", "up a"]);
});
