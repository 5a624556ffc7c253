import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import type { ToServer } from "@isthmus/proto";
import { createPodReports } from "./pod-reports.js";
import type { PodAttachment } from "./pods/index.js";

const pod = (name: string): PodAttachment => ({
  hostDevice: `mesh${name}`,
  address: parseAddress("10.11.0.1"),
  containerId: name,
  interfaceName: "eth0",
  namespace: "shop",
  name,
  uid: `uid-${name}`,
});

function rig() {
  const state = { open: false };
  const said: string[] = [];
  const reports = createPodReports(({ message }: ToServer) => {
    if (state.open && message?.$case === "report")
      said.push(
        [
          message.value.up ? "up" : "down",
          message.value.pod,
          ...message.value.hostPorts.map(({ port, protocol }) => `${port}/${protocol}`),
        ].join(" "),
      );
    return state.open;
  });
  return { state, said, reports };
}

test("each stream hears of every living pod, and once of those that went while there was none", () => {
  const { state, said, reports } = rig();
  for (const name of ["a", "b"]) reports.up(pod(name));
  reports.down(pod("a"));
  state.open = true;
  reports.connected();
  assert.deepEqual(said.splice(0), ["down a", "up b"]);
  reports.down(pod("b"));
  reports.up(pod("c"));
  assert.deepEqual(said.splice(0), ["down b", "up c"]);
  reports.connected();
  assert.deepEqual(said, ["up c"]);
});

test("of very many pods that went the latest are told", () => {
  const { state, said, reports } = rig();
  for (let i = 0; i < 1200; i++) reports.down(pod(`p${i}`));
  state.open = true;
  reports.connected();
  assert.deepEqual([said.length, said[0], said.at(-1)], [1000, "down p200", "down p1199"]);
});

test("host ports are reported once, in the first report that reaches an apiserver", () => {
  const { state, said, reports } = rig();
  reports.up(pod("a"), [
    { port: 8080, protocol: 6 },
    { port: 53, protocol: 17 },
  ]);
  reports.up(pod("b"), [{ port: 9090, protocol: 6 }]);
  reports.down(pod("b"));
  state.open = true;
  reports.connected();
  reports.connected();
  assert.deepEqual(said, ["down b", "up a 8080/6 53/17", "up a"]);
});
