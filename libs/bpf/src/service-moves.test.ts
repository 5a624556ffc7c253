/** What became of connects to Services, as the programs count it (bpf/lib/service_moves.h). */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { MAP_NAMES, MoveReason, MoveReasonHelp, ServiceRow } from "./gen/index.js";
import { TcpFlag } from "./testing/packets.js";
import { CLIENT, makeServiceRuns, PORT, SERVICE, type TestBackendPod } from "./testing/service-runs.js";

const FIRST: TestBackendPod = { address: "10.1.0.2", tier: 0, cluster: 1 };
const GONE: TestBackendPod = { address: "10.1.0.3", tier: 1, cluster: 1, isGone: true };
const LAST: TestBackendPod = { address: "10.1.0.4", tier: 2, cluster: 1 };
const ISN = 77;

/** A node whose client connects from one port after another. `isFull`: without room for the two rows of a moved connect. */
async function makeConnects(t: TestContext, { isFull = false } = {}) {
  const runs = await makeServiceRuns(t, [FIRST, GONE, LAST], isFull ? { [MAP_NAMES.nat]: 1 } : {});
  runs.write.service(SERVICE, [{ ids: [runs.idOf(FIRST)] }, { ids: [runs.idOf(LAST)] }]);
  let port = 2000;

  async function connect(to: TestBackendPod) {
    const sourcePort = ++port;
    const sendSyn = () => runs.send({ source: CLIENT, target: to.address, sourcePort, flags: TcpFlag.Syn, seq: ISN });
    runs.dial(to);
    await sendSyn();
    const reset = { source: to.address, sourcePort: PORT, target: CLIENT, targetPort: sourcePort, ack: ISN + 1 };
    return {
      sendSyn,
      sendReset: () => runs.send({ ...reset, flags: TcpFlag.Rst | TcpFlag.Ack }),
      sendError: () => runs.sendError("to_pod", 1, { sourcePort, target: to.address, seq: ISN }),
    };
  }

  const countsOf = (generation: number) =>
    Object.fromEntries(runs.moves().find((each) => each.generation === generation)?.counts ?? []);
  return { ...runs, connect, countsOf };
}

const nameOf = (reason: MoveReason) => MoveReasonHelp.get(reason)?.name ?? assert.fail();
const { Refused, Unreachable, NoRoute, Silent, Exhausted, Failed } = MoveReason;
const counted = (...counts: (readonly [MoveReason, number])[]) =>
  Object.fromEntries(counts.map(([reason, count]) => [nameOf(reason), count]));

test("each move is counted for its Service by its reason, and what is not moved by why", async (t) => {
  const { connect, countsOf, write, idOf } = await makeConnects(t);
  for (let i = 0; i < 3; i++) await (await connect(FIRST)).sendReset();
  assert.deepEqual(countsOf(0), counted([Refused, 3]));
  for (let i = 0; i < 2; i++) await (await connect(FIRST)).sendError();
  await connect(GONE);
  await (await connect(FIRST)).sendSyn();
  const moved = [
    [Refused, 3],
    [Unreachable, 2],
    [NoRoute, 1],
    [Silent, 1],
  ] as const;
  assert.deepEqual(countsOf(0), counted(...moved));
  write.service(SERVICE, [{ ids: [idOf(FIRST)] }]);
  await (await connect(FIRST)).sendReset();
  assert.deepEqual(countsOf(0), counted(...moved, [Exhausted, 1]));
});

test("a connect that finds no room is counted as failed", async (t) => {
  const { connect, countsOf } = await makeConnects(t, { isFull: true });
  await (await connect(FIRST)).sendReset();
  assert.deepEqual(countsOf(0), counted([Failed, 1]));
});

test("with another generation of the row counts are of another Service", async (t) => {
  const { connect, countsOf, moves, loaded } = await makeConnects(t);
  await (await connect(FIRST)).sendReset();
  loaded.array(MAP_NAMES.services).storeWord32(SERVICE, ServiceRow.offsets.gen, 1);
  await (await connect(FIRST)).sendError();
  assert.deepEqual([countsOf(0), countsOf(1)], [counted([Refused, 1]), counted([Unreachable, 1])]);
  assert.deepEqual(new Set(moves().map(({ service }) => service)), new Set([SERVICE]));
});
