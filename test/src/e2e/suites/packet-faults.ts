/** Packets between pods while agents are killed, a link flaps, and a pod's address goes to another pod. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PODS } from "@isthmus/kube";
import type { LabHandle, NodePlan } from "@isthmus/lab";
import { eventsOn, makeNextAddress, onNode, restartAgent } from "../agents.js";
import { eventually } from "../eventually.js";
import { startLoad } from "../load.js";
import { NAMESPACE } from "../objects.js";
import { type PacketPod, type PacketPods, startServer } from "../packet-pods.js";
import type { PodCommand } from "../pod-command.js";
import { startInPod } from "../pod-process.js";
import { processOf } from "../processes.js";
import { run } from "../run.js";

/** Together 210 a second. */
const CONNECTS_PER_SECOND = 70;
const LONG_CONNECTIONS = 50;

/** What `paths hold` reports. */
interface Held {
  readonly open: number;
  /** Those whose request has had no answer for 400 ms. */
  readonly stalled: number;
  readonly lost: number;
  /** Requests of the connection that had the fewest answered. */
  readonly least: number;
}

export function packetFaultTests(at: () => PacketPods): void {
  describe("Packets between pods", () => {
    test("rolling SIGKILL of all agents under 200 connects/s and 50 long connections: 0 lost, 0 reset", async () => {
      const { lab, solo, other, node, near, far, abroad } = at();
      const servers = [near, far, abroad];
      const held = await hold(at(), servers);
      const before = await eventsOn(lab, node);
      const loads = await Promise.all(
        servers.map(({ http }) =>
          startLoad(solo, { node: node.name, target: http, rate: CONNECTS_PER_SECOND, durationMs: 15_000 }),
        ),
      );
      let [rounds, isLoaded] = [0, true];
      const tallies = Promise.all(loads.map((load) => load.finished())).finally(() => {
        isLoaded = false;
      });
      tallies.catch(() => undefined); // awaited below
      while (isLoaded) {
        for (const each of [...solo.plan.nodes, ...other.plan.nodes]) await restartAgent(lab, each);
        rounds += isLoaded ? 1 : 0;
      }
      for (const { sent, outcomes } of await tallies) {
        // "s": the client itself did not run, as may be while four agents start on two cores.
        const { o: answered = 0, s: unjudged = 0, ...bad } = outcomes;
        assert.deepEqual(bad, {});
        assert.deepEqual([sent, answered + unjudged], [CONNECTS_PER_SECOND * 15, sent]);
        assert.ok(unjudged <= sent / 20, `${unjudged} of ${sent} requests could not be judged`);
      }
      const { open, lost } = await endHold(held);
      assert.deepEqual({ open, lost }, { open: LONG_CONNECTIONS, lost: 0 });
      assert.ok(rounds > 0, "The load ended before all agents were restarted");
      // It was the programs that took these packets, and none lost the row of its flow.
      const after = await eventsOn(lab, node);
      const rose = (event: string) => (after[event] ?? 0) - (before[event] ?? 0);
      assert.ok(rose("deliver") > 15_000 && rose("forward") > 15_000, JSON.stringify({ before, after }));
      assert.equal(rose("flow_picked_up"), 0);
    });

    // The server's node loses its link: by that of the client's node comes what the client reports.
    test("the link of a node flaps: long connections go on, new ones are made, no agent restarts", async () => {
      const { lab, solo, far, paths } = at();
      const agent = () =>
        processOf(lab.plan.name, { role: "node-agent", cluster: solo.plan.name, node: far.node.name });
      const { pid } = await agent();
      const held = await hold(at(), [far]);
      try {
        for (let flap = 0; flap < 2; flap++) {
          await setCarrier(lab, far.node, "down");
          await heldUntil(held, "all long connections to wait", ({ stalled }) => stalled === LONG_CONNECTIONS);
          await setCarrier(lab, far.node, "up");
          await heldToGoOn(held);
        }
      } finally {
        await setCarrier(lab, far.node, "up");
      }
      const { open, lost } = await endHold(held);
      assert.deepEqual({ open, lost }, { open: LONG_CONNECTIONS, lost: 0 });
      assert.deepEqual(await paths("connect", far.echo), [`open ${far.name}`]);
      assert.equal((await agent()).pid, pid);
    });

    test("a node's uplink is set down and up: its programs are attached again, long connections go on", async () => {
      const { lab, far, paths } = at();
      const held = await hold(at(), [far]);
      // As a network manager does: routes go with the device, and come back with it. The agent restores its own.
      const routes = await savedRoutes(lab, far.node);
      try {
        await onNode(lab, far.node, "ip", "link", "set", "eth0", "down");
        await heldUntil(held, "all long connections to wait", ({ stalled }) => stalled === LONG_CONNECTIONS);
      } finally {
        await onNode(lab, far.node, "ip", "link", "set", "eth0", "up");
        for (const route of routes) await onNode(lab, far.node, "ip", "route", "replace", ...route);
      }
      await heldToGoOn(held);
      const { open, lost } = await endHold(held);
      assert.deepEqual({ open, lost }, { open: LONG_CONNECTIONS, lost: 0 });
      const taken = async () => {
        const { deliver = 0, forward = 0 } = await eventsOn(lab, far.node);
        return { deliver, forward };
      };
      const before = await taken();
      await eventually(
        "new connections to go past the stack of the node",
        async () => {
          assert.deepEqual(await paths("connect", far.echo), [`open ${far.name}`]);
          return taken();
        },
        ({ deliver, forward }) => deliver > before.deliver && forward > before.forward,
      );
    });

    test("a pod dies and its address goes to another pod at once: the new one answers, an old client gets a reset", async () => {
      const { lab, solo, node, near, far, abroad, paths, pathsIn, start } = at();
      const victim = await startServer("the same node", "victim", solo, node);
      await makeNextAddress(lab, node, victim.address);
      const clients = [
        { from: near, command: start(undefined, "client", victim.echo) },
        { from: far, command: start(far, "client", victim.echo) },
        { from: abroad, command: start(abroad, "client", victim.echo) },
      ];
      for (const { from, command } of clients) {
        command.write("one");
        await answers(command, from, ["open victim", "echoed one"]);
      }
      await dieSilently(lab, victim);
      await solo.client.delete(PODS, victim.name, { namespace: NAMESPACE });
      await eventually(
        "the dead pod to lose its route",
        () => onNode(lab, node, "ip", "route", "show", "table", "all", victim.address),
        (text) => text.trim() === "",
        30_000,
      );
      // Nobody has the address now: a connect is answered by the node, from near and far.
      assert.deepEqual(await paths("connect", victim.echo), ["unreachable"]);
      for (const server of [far, abroad])
        assert.deepEqual(await pathsIn(server, "connect", victim.echo), ["refused"], server.where);
      const heir = await startServer("the same node", "heir", solo, node);
      assert.equal(heir.address, victim.address);
      assert.deepEqual(await paths("connect", heir.echo), ["open heir"]);
      for (const server of [far, abroad])
        assert.deepEqual(await pathsIn(server, "connect", heir.echo), ["open heir"], server.where);
      for (const { from, command } of clients) {
        command.write("two");
        await answers(command, from, ["open victim", "echoed one", "reset"]);
        await command.end();
      }
    });
  });
}

/** Opens the long connections, spread over the servers; resolves when all exchange bytes. */
async function hold({ start }: PacketPods, servers: readonly PacketPod[]): Promise<PodCommand> {
  const held = start(undefined, "hold", String(LONG_CONNECTIONS), ...servers.map(({ echo }) => echo));
  await heldUntil(held, "the long connections", ({ open, least }) => open === LONG_CONNECTIONS && least > 2);
  return held;
}

function latest({ lines }: PodCommand): Held {
  return JSON.parse(lines.at(-1) ?? '{"open":0,"stalled":0,"lost":0,"least":0}') as Held;
}

async function heldUntil(held: PodCommand, what: string, holds: (now: Held) => boolean): Promise<void> {
  await eventually(what, () => latest(held), holds, 30_000);
}

/** Resolves when each connection has had further answers. */
async function heldToGoOn(held: PodCommand): Promise<void> {
  const { least } = latest(held);
  await heldUntil(held, "all long connections to go on", (now) => now.stalled === 0 && now.least > least + 2);
}

/** The last count, when all requests that were under way have been answered. */
async function endHold(held: PodCommand): Promise<Held> {
  await held.end();
  return latest(held);
}

/** Cuts the node's cable or repairs it: at the other end, so that the node's own settings stay. */
async function setCarrier(lab: LabHandle, { port }: NodePlan, state: "up" | "down"): Promise<void> {
  const { pid } = await processOf(lab.plan.name, { role: "underlay" });
  const ran = await run("nsenter", ["-t", String(pid), "-n", "ip", "link", "set", port, state]);
  assert.equal(ran.code, 0, ran.err);
}

/** Routes by eth0 that neither the kernel nor the agent makes, as arguments of `ip route replace`. */
async function savedRoutes(lab: LabHandle, node: NodePlan): Promise<readonly (readonly string[])[]> {
  const text = await onNode(lab, node, "ip", "-4", "route", "show", "dev", "eth0", "proto", "boot");
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => [...line.trim().split(/\s+/), "dev", "eth0"]);
}

/** From now on the pod sends nothing, so that no client learns of its end. */
async function dieSilently(lab: LabHandle, { node, address }: PacketPod): Promise<void> {
  const { pid } = await processOf(lab.plan.name, { role: "node", cluster: node.cluster, node: node.name });
  const down = await startInPod(pid, address, ["sh", "-c", "ip link set eth0 down && echo down"]);
  await eventually(
    "the pod's device to be down",
    () => down.lines.join(),
    (text) => text === "down",
  );
  await down.stop();
}

async function answers(command: PodCommand, from: PacketPod, lines: readonly string[]): Promise<void> {
  const last = lines.at(-1) ?? "";
  await eventually(
    `"${last}" from ${from.where}`,
    () => command.lines,
    (seen) => seen.length >= lines.length,
    30_000,
  );
  assert.deepEqual(command.lines, lines, from.where);
}
