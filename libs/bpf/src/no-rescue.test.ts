/** Connects to Services that are refused or not answered, and stay where they are (bpf/lib/rescue.h). */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Limit } from "./gen/index.js";
import { TcpFlag } from "./testing/packets.js";
import { CLIENT, makeServiceRuns, PORT, SERVICE, type TestBackendPod } from "./testing/service-runs.js";

const FIRST: TestBackendPod = { address: "10.1.0.2", tier: 0, cluster: 1 };
const SECOND: TestBackendPod = { address: "10.1.0.3", tier: 1, cluster: 1 };
const THIRD: TestBackendPod = { address: "10.1.0.4", tier: 2, cluster: 1 };
const OTHER_SERVICE = 8;
const ISN = 77;

/** A node on which the client connects from one port after another, to the first backend. */
async function makeConnects(t: TestContext) {
  const runs = await makeServiceRuns(t, [FIRST, SECOND, THIRD]);
  let port = 2000;
  return {
    ...runs,
    /** Sends the SYN of the next connect. */
    async connect() {
      const sourcePort = ++port;
      const sendSyn = () =>
        runs.send({ source: CLIENT, target: FIRST.address, sourcePort, flags: TcpFlag.Syn, seq: ISN });
      runs.dial(FIRST);
      assert.equal((await sendSyn())?.address, FIRST.address);
      const reset = { source: FIRST.address, sourcePort: PORT, target: CLIENT, targetPort: sourcePort, ack: ISN + 1 };
      return {
        sourcePort,
        sendSyn,
        sendReset: () => runs.send({ ...reset, flags: TcpFlag.Rst | TcpFlag.Ack }),
        /** About the SYN to the first backend, or to another one. */
        sendError: (code: number, syn: { sourcePort?: number; target?: string; seq?: number } = {}) =>
          runs.sendError("from_network", code, { sourcePort, target: FIRST.address, seq: ISN, ...syn }),
      };
    },
  };
}

type Connects = Awaited<ReturnType<typeof makeConnects>>;
type Connect = Awaited<ReturnType<Connects["connect"]>>;

/** What moves a connect from its first backend. */
const CAUSES: Readonly<Record<string, (connect: Connect) => ReturnType<Connect["sendSyn"]>>> = {
  "a RST": ({ sendReset }) => sendReset(),
  "an ICMP error": ({ sendError }) => sendError(1),
  silence: ({ sendSyn }) => sendSyn(),
};

/** Another Service gets the row, with the second backend; and its VIP is that of this row, or of none (0). */
for (const [what, vipService] of [
  ["nobody", 0],
  ["a Service with another row", OTHER_SERVICE],
] as const)
  test(`a connect stays where it is when its Service's row is another Service's, and its VIP that of ${what}`, async (t) => {
    const runs = await makeConnects(t);
    for (const [cause, happen] of Object.entries(CAUSES)) {
      await runs.setService(SERVICE);
      assert.equal((await happen(await runs.connect()))?.address, SECOND.address, `${cause} moves a connect`);
      await runs.forgetMoves();
      const connect = await runs.connect();
      await runs.setService(vipService);
      runs.write.service(OTHER_SERVICE, [{ ids: [runs.idOf(SECOND)] }]);
      const arrival = await happen(connect);
      assert.equal(arrival?.address, cause === "silence" ? FIRST.address : CLIENT, cause);
      assert.deepEqual(await runs.natTuples(), []);
    }
    const { moved, move_exhausted, move_failed } = runs.counts();
    assert.deepEqual([moved, move_exhausted, move_failed], [3, undefined, undefined]);
  });

test("a pod has so many moved connects at a time, of which some may be moved again", async (t) => {
  const runs = await makeConnects(t);
  const most = Limit.MovedConnects;
  const moves = async (connect: Connect) => (await connect.sendReset())?.address === SECOND.address;
  for (const [moved, ended, isMoved] of [
    [most, 0, false],
    [most - 1, 0, true],
    [2 ** 32 - 1, 2 ** 32 - 1 - most, false],
    [2 ** 32 - 1, 2 ** 32 - most, true],
  ] as const) {
    runs.countMoves(moved, ended);
    const { move_failed = 0 } = runs.counts();
    assert.equal(await moves(await runs.connect()), isMoved, `${moved} of which ${ended} are over`);
    assert.equal(runs.counts()["move_failed"] ?? 0, move_failed + (isMoved ? 0 : 1));
  }
  assert.equal(await moves(await runs.connect()), false, "each move counts");
  assert.equal(runs.counts()["moved"], 2);
});

test("a connect is moved while one of sixteen ports is free, and stays where it is when there is none", async (t) => {
  const runs = await makeConnects(t);
  const ports = Array.from({ length: 65_536 - 61_000 }, (_, i) => 61_000 + i);
  await runs.takePorts(
    SECOND,
    ports.filter((port) => port % 16 !== 0),
  );
  for (let i = 0; i < 5; i++) {
    const { sendReset } = await runs.connect();
    const arrival = await sendReset();
    assert.equal(arrival?.address, SECOND.address);
    assert.equal(Number(arrival.segment.source.split(":")[1]) % 16, 0);
  }
  const used = (await runs.natTuples()).map(({ key }) => Number(key.split(" ")[0]?.split(":")[1]));
  await runs.takePorts(
    SECOND,
    ports.filter((port) => port % 16 === 0 && !used.includes(port)),
  );
  const { sendReset } = await runs.connect();
  assert.equal((await sendReset())?.address, CLIENT);
  assert.deepEqual([runs.counts()["moved"], runs.counts()["move_failed"]], [5, 1]);
});

const FILTERS = [9, 10, 13];

for (const code of FILTERS)
  test(`a connect of whose SYN a filter's ICMP error (code ${code}) tells stays where it is`, async (t) => {
    const runs = await makeConnects(t);
    const { sendSyn, sendReset, sendError } = await runs.connect();
    const denial = await sendError(code);
    assert.deepEqual([denial?.address, denial?.segment.isQuoted], [CLIENT, true], "the pod gets it");
    for (let i = 0; i < 3; i++) assert.equal((await sendSyn())?.address, FIRST.address, "not moved by silence");
    assert.equal((await sendError(1))?.address, CLIENT, "nor by a router that has no way");
    assert.equal((await sendReset())?.address, CLIENT, "nor by a refusal of the backend");
    const { moved, move_denied } = runs.counts();
    assert.deepEqual([moved, move_denied, await runs.natTuples()], [undefined, 1, []]);
  });

test("one that was moved stays at the backend to whose SYN the error belongs", async (t) => {
  const runs = await makeConnects(t);
  const { sendSyn, sendReset, sendError } = await runs.connect();
  const wire = (await sendReset())?.segment ?? assert.fail();
  const sourcePort = Number(wire.source.split(":")[1]);
  const denial = await sendError(13, { sourcePort, target: SECOND.address });
  assert.equal(denial?.address, CLIENT);
  assert.equal(denial?.segment.target, `${FIRST.address}:${PORT}`, "it quotes what the pod sent");
  for (let i = 0; i < 3; i++) assert.equal((await sendSyn())?.address, SECOND.address);
  assert.equal(runs.counts()["moved"], 1);
});

test("an error that does not name the SYN in flight, or is about a backend that was left, keeps no connect", async (t) => {
  const runs = await makeConnects(t);
  const { sendSyn, sendReset, sendError } = await runs.connect();
  assert.equal(await sendError(13, { seq: ISN + 1 }), undefined, "it is dropped");
  assert.equal((await sendReset())?.address, SECOND.address);
  assert.equal(await sendError(13), undefined, "it is late");
  assert.equal((await sendSyn())?.address, THIRD.address);
  assert.equal(runs.counts()["move_denied"], undefined);
});

test("another connect from the same port may be moved", async (t) => {
  const runs = await makeConnects(t);
  const { sourcePort, sendError } = await runs.connect();
  await sendError(13);
  runs.dial(FIRST);
  const syn = { source: CLIENT, target: FIRST.address, sourcePort, flags: TcpFlag.Syn, seq: ISN + 99 };
  assert.equal((await runs.send(syn))?.address, FIRST.address);
  assert.equal((await runs.send(syn))?.address, SECOND.address);
});
