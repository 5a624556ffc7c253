/**
 * What rescue.h and nat.h say of a connect, as a model that takes steps beside the programs and compares.
 *
 * The model knows what a pod and the backends may know: which backends got the SYN (legs, the first of which is the one that the
 * socket was connected to), whether the pod still waits for an answer, and whose answer it took. Of mesh_conntrack it knows
 * only whether its rows are as the SYNs of the connect left them: when they were lost, a connect may miss a move, and must keep
 * all other rules.
 */
import assert from "node:assert/strict";
import { TcpFlag } from "./packets.js";
import { createLegs, type Leg } from "./rescue-legs.js";
import type { Arrival, ServiceRuns, TestBackendPod } from "./service-runs.js";

/** What may happen. `leg`: 0 = the last one, 1 = that before, …, modulo their number. */
export type Step =
  | { readonly kind: "connect"; readonly backend: number }
  | { readonly kind: "syn" }
  | { readonly kind: "synAck"; readonly leg: number; readonly isCrossed: boolean }
  | { readonly kind: "reset"; readonly leg: number; readonly isRight: boolean }
  | {
      readonly kind: "error";
      readonly leg: number;
      readonly isRight: boolean;
      readonly code: number;
      readonly by: "from_network" | "to_pod";
    }
  | { readonly kind: "data"; readonly leg: number }
  | { readonly kind: "podData" }
  | { readonly kind: "forget" };

/** Highest code of an ICMP error that says that a backend is not there; others are of filters, or about size. */
const MOST_UNREACHABLE = 3;
const FRAGMENTATION_NEEDED = 4;
/** Of a filter. The model's pod goes on with its SYNs, as one does whose socket does not hear of the error. */
const DENIALS = [9, 10, 13];
const { Syn, Rst, Ack } = TcpFlag;

export async function createRescueModel(runs: ServiceRuns, backends: readonly TestBackendPod[], port: number) {
  const legs = createLegs(runs, backends, port);
  const { first, last, tuple, choices, takeMoves, isAtSocket } = legs;
  let phase: "connecting" | "established" | "closed" = "closed";
  let winner: Leg | undefined;
  /** The rows of mesh_conntrack are as the connect's SYNs left them. */
  let isKnown = false;
  /** That of the first leg was lost when the connect had been moved: SYNs make only that of the last one anew. */
  let isFrontLost = false;
  /** Backends whose flows with the pod's port were seen first by another packet than a SYN. */
  const pickedUp = new Set<TestBackendPod>();

  /** The SYN is where it should be after a step that sent or moved it. */
  function assertAtLast(arrival: Arrival): void {
    if (last().backend.isGone) {
      assert.deepEqual(choices(false), [], "a backend is left for a SYN that has no way");
      assert.equal(arrival, undefined);
      return;
    }
    assert.equal(arrival?.address, last().backend.address, "the SYN goes to the backend that has the connect");
    const { source, target, seq, flags } = arrival?.segment ?? assert.fail();
    assert.deepEqual([`${source} ${target}`, seq, flags], [tuple(last()), legs.isn(), Syn]);
  }

  /** The pod has no socket for a segment of this leg: it resets the sender. */
  async function resetByPod(leg: Leg, arrival: Arrival): Promise<void> {
    if (arrival === undefined || arrival.segment.isQuoted || arrival.segment.flags & Rst) return;
    const { source, target, ack } = arrival.segment;
    const reply = await send(`${target} ${source}`, { flags: Rst, seq: ack });
    assert.equal(reply?.address, leg.backend.address, "the pod's RST goes to the backend that it answers");
  }

  function send(from: string, fields: { flags: number; seq: number; ack?: number }): Promise<Arrival> {
    const [source = "", sourcePort, target = "", targetPort] = from.split(/[ :]/);
    return runs.send({ source, sourcePort: Number(sourcePort), target, targetPort: Number(targetPort), ...fields });
  }

  /** Sends a segment of a backend. */
  function sendFrom(leg: Leg, flags: number, ack = legs.isn() + 1): Promise<Arrival> {
    if (!isKnown) pickedUp.add(first().backend);
    const [source, target] = tuple(leg).split(" ");
    return send(`${target} ${source}`, { flags, seq: leg.seq, ack });
  }

  async function sendSyn(): Promise<void> {
    const mayBeSilent = isKnown && !pickedUp.has(first().backend);
    const expected = choices(true);
    const arrival = await send(tuple(first()), { flags: Syn, seq: legs.isn() });
    const moves = await takeMoves("syn");
    if (mayBeSilent && expected.length > 0) assert.ok(moves > 0, "silence moves the connect");
    assertAtLast(arrival);
    isKnown = !pickedUp.has(first().backend);
  }

  /** The pod sent its SYN again before the answer of this leg arrived. */
  async function sendLateSyn(leg: Leg): Promise<void> {
    const arrival = await send(tuple(first()), { flags: Syn, seq: legs.isn() });
    assert.equal(await takeMoves(undefined), 0);
    assert.equal(arrival?.address, leg.backend.address, "a late SYN goes to the backend that answered");
  }

  /** A refusal that names the connect came from the backend that has it. */
  async function takeRefusal(arrival: Arrival): Promise<void> {
    const expected = choices(false);
    if ((await takeMoves("refusal")) > 0) return assertAtLast(arrival);
    assert.ok(!isKnown || expected.length === 0, "a refusal moves the connect");
    assert.ok(isAtSocket(arrival), "a refusal that moves nothing reaches the pod");
    phase = "closed";
  }

  /** A refusal still moves the connect of a socket that is closed, of which the programs know nothing. */
  const lateCause = (leg: Leg, isRight: boolean) =>
    phase === "closed" && isRight && leg === last() ? "refusal" : undefined;

  /** Any other packet of a backend, or about one. */
  async function takeOther(leg: Leg, arrival: Arrival, cause?: "refusal"): Promise<void> {
    if ((await takeMoves(cause)) > 0) return assertAtLast(arrival);
    const owner = phase === "established" ? winner : last();
    if (leg !== owner && phase !== "closed")
      assert.ok(!isAtSocket(arrival), "one backend alone reaches the pod's socket");
    if (!isAtSocket(arrival) || phase === "closed") await resetByPod(leg, arrival);
  }

  async function connect(backend: TestBackendPod): Promise<void> {
    legs.begin(backend);
    [phase, winner, isKnown, isFrontLost] = ["connecting", undefined, false, false];
    await sendSyn();
  }

  async function synAck(leg: Leg, isCrossed: boolean): Promise<void> {
    const isMoved = legs.isMoved() && winner !== first();
    const arrival = await sendFrom(leg, Syn | Ack);
    leg.answered = true;
    if (phase === "closed") return takeOther(leg, arrival);
    if (phase === "connecting" && leg === last()) {
      assert.ok(isAtSocket(arrival), "the first answer reaches the pod");
      [phase, winner] = ["established", leg];
      assert.equal(await takeMoves(undefined), 0);
      return isCrossed && isKnown ? sendLateSyn(leg) : undefined;
    }
    if (leg !== first() || !isMoved) return takeOther(leg, arrival);
    if (phase === "connecting" && (isKnown || isAtSocket(arrival))) {
      assert.ok(isAtSocket(arrival), "the first answer reaches the pod, also of the backend that was left");
      [phase, winner] = ["established", leg];
      const rows = await runs.natTuples();
      assert.ok(!rows.some(({ key }) => key === tuple(first())), "the translation is taken back");
      if (isFrontLost) pickedUp.add(leg.backend);
      return;
    }
    assert.equal(arrival?.address, leg.backend.address, "a late answer is reset");
    assert.deepEqual([arrival?.segment.flags, arrival?.segment.seq], [Rst, legs.isn() + 1]);
    assert.equal(await takeMoves(undefined), 0);
  }

  async function reset(leg: Leg, isRight: boolean): Promise<void> {
    const isRefusal = phase === "connecting" && isRight && leg === last();
    const arrival = await sendFrom(leg, Rst | Ack, legs.isn() + (isRight ? 1 : 2));
    if (isRefusal) return takeRefusal(arrival);
    await takeOther(leg, arrival, lateCause(leg, isRight));
    if (phase === "established" && leg === winner) {
      assert.ok(isAtSocket(arrival), "a RST of an established connection reaches the pod");
      if (isRight) phase = "closed";
    } else if (phase === "connecting" && isKnown)
      assert.ok(!isAtSocket(arrival), "a RST with another number is dropped");
  }

  async function error(leg: Leg, step: Extract<Step, { kind: "error" }>): Promise<void> {
    const seq = legs.isn() + (step.isRight ? 0 : 1);
    const syn = { sourcePort: leg.port, target: leg.backend.address, seq };
    const arrival = await runs.sendError(step.by, step.code, syn);
    const isOfConnect = phase === "connecting" && step.isRight && leg === last();
    const isRefusal = step.code <= MOST_UNREACHABLE;
    if (isOfConnect && isRefusal) return takeRefusal(arrival);
    await takeOther(leg, arrival, lateCause(leg, step.isRight && isRefusal));
    if (isOfConnect) assert.ok(isAtSocket(arrival), "an error that is no refusal reaches the pod");
    if (isOfConnect && DENIALS.includes(step.code)) legs.pin(isKnown);
    else if (isOfConnect && step.code !== FRAGMENTATION_NEEDED) phase = "closed";
  }

  async function podData(): Promise<void> {
    if (phase !== "established" || winner === undefined) return;
    if (!isKnown) pickedUp.add(first().backend);
    const arrival = await send(tuple(first()), { flags: Ack, seq: legs.isn() + 1, ack: winner.seq + 1 });
    assert.equal(arrival?.address, winner.backend.address, "the pod's data goes to the backend whose answer it took");
    assert.equal(`${arrival?.segment.source} ${arrival?.segment.target}`, tuple(winner));
    assert.equal(await takeMoves(undefined), 0);
  }

  await connect(backends[0] ?? assert.fail("no backends"));
  return {
    async take(step: Step): Promise<void> {
      if (step.kind === "connect") return connect(backends[step.backend % backends.length] ?? assert.fail());
      if (step.kind === "podData") return podData();
      if (step.kind === "syn" && phase === "connecting") return sendSyn();
      if (step.kind === "syn") return;
      if (step.kind === "forget") {
        runs.forgetFlows();
        legs.pin(false);
        pickedUp.clear();
        [isKnown, isFrontLost] = [false, legs.isMoved()];
        return;
      }
      const leg = legs.fromLast(step.leg);
      if (leg.port === 0 || (leg.backend.isGone && step.kind !== "error")) return;
      if (step.kind === "synAck") return synAck(leg, step.isCrossed);
      if (step.kind === "reset") return reset(leg, step.isRight);
      if (step.kind === "error") return error(leg, step);
      if (!leg.answered) return;
      const arrival = await sendFrom(leg, Ack);
      await takeOther(leg, arrival);
      if (phase === "established" && leg === winner) assert.ok(isAtSocket(arrival), "its data reaches the pod");
    },
  };
}
