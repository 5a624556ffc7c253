/** Connects to a Service whose backend refuses go to another one, unless the Service's annotation says otherwise. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ENDPOINT_SLICES, type KubeEndpointSlice, SERVICES } from "@isthmus/kube";
import { eventsOn, restartAgent } from "../agents.js";
import { connects } from "../connects.js";
import { eventually } from "../eventually.js";
import { startLoad } from "../load.js";
import { HTTP_PORT, NAMESPACE, service } from "../objects.js";
import { type PacketPod, type PacketPods, startServer } from "../packet-pods.js";
import { killInPod } from "../pod-process.js";
import { processOf } from "../processes.js";
import { MANAGER } from "../world.js";

const NAME = "half";
const RESCUE_AFTER = "mesh.isthmus.io/rescue-after";
/** Nothing listens there. */
const CLOSED = 9;
/** New connections a second to each of three Services. */
const RATE = 70;
const LOAD_MS = 6000;
/** Of those that are open when their server is killed: as many as are sent while a busy machine answers. */
const MOST_ENDED = 20;

export function packetRescueTests(at: () => PacketPods): void {
  describe("A Service with a backend that refuses", () => {
    test("loses no connect, and half of them while rescue-after is off", async () => {
      const { solo, near, far } = at();
      await addService(at(), NAME, { dead: [near.address, CLOSED], alive: [far.address, HTTP_PORT] });
      const target = await solo.frontend(NAME);
      const dial = (want: (refused: number) => boolean, what: string) =>
        eventually(
          what,
          async () => (await connects(solo, target)).outcomes,
          ({ open = 0, refused = 0 }) => open + refused === 20 && want(refused),
        );
      await dial((refused) => refused === 0, "all connects to be answered");
      assert.deepEqual((await connects(solo, target)).outcomes, { open: 20 });
      await solo.annotate(NAME, { [RESCUE_AFTER]: "off" });
      await dial((refused) => refused > 0, "connects to be refused");
      await solo.annotate(NAME, { [RESCUE_AFTER]: null });
      await dial((refused) => refused === 0, "all connects to be answered again");
    });
  });

  describe("Services whose backend is killed on the same node, on another one, and in another cluster", () => {
    test("lose no connect, while the agents of all nodes are killed too", async () => {
      const { lab, solo, other, node, near, far, abroad } = at();
      const dying = await Promise.all(
        [near, far, abroad].map((place) => startServer(place.where, `dying-${place.name}`, place.cluster, place.node)),
      );
      const targets = await Promise.all(
        dying.map((server) => targetOf(at(), server, server.node === near.node ? far : near)),
      );
      const before = await eventsOn(lab, node);
      const loads = await Promise.all(
        targets.map((target) => startLoad(solo, { node: node.name, target, rate: RATE, durationMs: LOAD_MS })),
      );
      const restarts = [...solo.plan.nodes, ...other.plan.nodes].map((each) => restartAgent(lab, each));
      assert.deepEqual(await Promise.all(dying.map((server) => killServer(at(), server))), [1, 1, 1]);
      await Promise.all(restarts);
      for (const [i, load] of loads.entries()) {
        const { sent, outcomes } = await load.finished();
        // "s": the client itself did not run, as may be while four agents start on two cores.
        const { o: answered = 0, x: ended = 0, s: unjudged = 0, ...lost } = outcomes;
        assert.deepEqual(lost, {}, dying[i]?.where);
        assert.deepEqual([sent, answered + ended + unjudged], [(RATE * LOAD_MS) / 1000, sent]);
        assert.ok(ended <= MOST_ENDED && unjudged <= sent / 20, JSON.stringify(outcomes));
      }
      // Kubernetes does not take the dead backends away, so about half of the connects went to them at first.
      const moved = ((await eventsOn(lab, node))["moved"] ?? 0) - (before["moved"] ?? 0);
      assert.ok(moved > RATE, `${moved} connects were moved`);
    });
  });
}

/** Makes a Service of a server that is to die and another one; resolves to its address when both answer. */
async function targetOf(pods: PacketPods, server: PacketPod, alive: PacketPod): Promise<string> {
  const { solo } = pods;
  await addService(pods, server.name, { dying: [server.address, HTTP_PORT], alive: [alive.address, HTTP_PORT] });
  const target = await solo.frontend(server.name);
  await eventually(
    `both servers of ${server.name} to answer`,
    () => connects(solo, target),
    ({ answers }) => new Set(answers).size === 2,
    30_000,
  );
  return target;
}

async function killServer({ lab }: PacketPods, { node, address }: PacketPod): Promise<number> {
  const { pid } = await processOf(lab.plan.name, { role: "node", cluster: node.cluster, node: node.name });
  return killInPod(pid, address, "/demo");
}

/** Adds a Service whose EndpointSlices nobody changes. */
async function addService(
  { solo }: PacketPods,
  name: string,
  backends: Readonly<Record<string, readonly [address: string, port: number]>>,
): Promise<void> {
  await solo.client.apply(SERVICES, service(name, { selects: false }), MANAGER);
  for (const [key, [address, port]] of Object.entries(backends))
    await solo.client.apply(ENDPOINT_SLICES, slice(name, key, address, port), MANAGER);
}

function slice(service: string, name: string, address: string, port: number): KubeEndpointSlice {
  return {
    metadata: { name: `${service}-${name}`, namespace: NAMESPACE, labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    ports: [{ name: "main", protocol: "TCP", port }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  };
}
