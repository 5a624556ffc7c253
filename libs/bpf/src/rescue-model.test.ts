/** A connect to a Service by any order of answers, refusals and losses, against the model of what bpf/lib/rescue.h says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAP_NAMES } from "./gen/index.js";
import { TcpFlag } from "./testing/packets.js";
import { createRescueModel, type Step } from "./testing/rescue-model.js";
import { CLIENT, makeServiceRuns, PORT, type TestBackendPod } from "./testing/service-runs.js";

const BACKENDS: readonly TestBackendPod[] = [
  { address: "10.1.0.2", tier: 0, cluster: 1 },
  { address: "10.1.0.3", tier: 0, cluster: 1 },
  { address: "10.1.0.4", tier: 0, cluster: 2 },
  { address: "10.1.0.5", tier: 1, cluster: 2 },
  { address: "10.1.0.6", tier: 2, cluster: 3, isGone: true },
];

/** Most often the backend that has the connect. */
const anyLeg = fc.constantFrom(0, 0, 0, 1, 2, 3);
const isRight = fc.constantFrom(true, true, true, false);
const kind = <K extends Step["kind"]>(name: K) => fc.constant(name);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: kind("syn") }) },
  { weight: 4, arbitrary: fc.record({ kind: kind("reset"), leg: anyLeg, isRight }) },
  { weight: 3, arbitrary: fc.record({ kind: kind("synAck"), leg: anyLeg, isCrossed: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ kind: kind("error"), leg: anyLeg, isRight },
      code: fc.constantFrom(0, 1, 2, 3, 1, 3, 4, 5, 9, 10, 13),
      by: fc.constantFrom("from_network", "to_pod"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind("data"), leg: anyLeg }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("podData") }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("forget") }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("connect"), backend: fc.constantFrom(0, 0, 0, 1, 4) }) },
);

const refused: Step = { kind: "reset", leg: 0, isRight: true };
const repeated: Step = { kind: "syn" };
const forgotten: Step = { kind: "forget" };
const answered = (leg: number): Step => ({ kind: "synAck", leg, isCrossed: false });
const errorOf = (of: number): Step => ({ kind: "error", leg: of, isRight: true, code: 1, by: "from_network" });
/** What the programs did wrong once. */
const EXAMPLES: readonly (readonly Step[])[] = [
  // An error about the SYN to the first backend ended a connect that another one had by then.
  [repeated, errorOf(1)],
  // An error about a flow that was moved and forgotten did not reach the pod.
  [refused, forgotten, errorOf(0)],
  // The first backend's answer took a connection from the one that had answered before, when that was forgotten.
  [refused, forgotten, answered(0), answered(1), { kind: "podData" }],
  // A connect from a port whose flow was seen first by an answer was not moved.
  [repeated, forgotten, repeated, answered(0), { kind: "connect", backend: 0 }, repeated],
];

test("any order of packets moves a connect as the model does, and one backend has it", async (t) => {
  const runs = await makeServiceRuns(t, BACKENDS);
  let port = 1024;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      runs.forgetFlows();
      await runs.forgetMoves();
      const model = await createRescueModel(runs, BACKENDS, port++);
      for (const each of steps) await model.take(each);
    }),
    { numRuns: 500, examples: EXAMPLES.map((steps): [Step[]] => [[...steps]]) },
  );
});

for (const [room, moves] of [
  [1, 0],
  [2, 1],
  [3, 3],
] as const)
  test(`with room for ${room} rows a connect is moved ${moves} times, and has two rows or none`, async (t) => {
    const runs = await makeServiceRuns(t, BACKENDS, { [MAP_NAMES.nat]: room });
    const [first] = BACKENDS;
    assert.ok(first);
    runs.dial(first);
    let [at, port] = [first.address, 2000];
    const fields = { source: CLIENT, target: at, sourcePort: port, flags: TcpFlag.Syn, seq: 7 };
    assert.equal((await runs.send(fields))?.address, at);
    for (let i = 0; i <= moves; i++) {
      const refusal = { source: at, sourcePort: PORT, target: CLIENT, targetPort: port, ack: 8 };
      const arrival = await runs.send({ ...refusal, flags: TcpFlag.Rst | TcpFlag.Ack });
      assert.equal((await runs.natTuples()).length, i === 0 && moves === 0 ? 0 : 2);
      if (i === moves) {
        const { source, target } = arrival?.segment ?? assert.fail("the refusal is dropped");
        assert.deepEqual([source, target], [`${first.address}:${PORT}`, `${CLIENT}:2000`]);
      } else [at, port] = [arrival?.address ?? "", Number(arrival?.segment.source.split(":")[1])];
    }
    assert.equal(runs.counts()["move_failed"], moves < 3 ? 1 : undefined);
  });
