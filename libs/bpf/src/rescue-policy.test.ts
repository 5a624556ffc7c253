/** Policies and the rescue of connects: a connect goes to no backend that policy does not allow. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { formatAddress } from "@isthmus/model";
import { EventKind, Proto } from "./gen/index.js";
import { TcpFlag } from "./testing/packets.js";
import { ALLOW, createPolicyWriter } from "./testing/policy-rows.js";
import { CLIENT, makeServiceRuns, PORT, type TestBackendPod } from "./testing/service-runs.js";

const FIRST: TestBackendPod = { address: "10.1.0.2", tier: 0, cluster: 1 };
const SECOND = { address: "10.1.0.3", tier: 1, cluster: 1, port: 8080 } satisfies TestBackendPod;
const THIRD: TestBackendPod = { address: "10.1.0.4", tier: 2, cluster: 1 };
const BACKENDS: readonly TestBackendPod[] = [FIRST, SECOND, THIRD];
const [ISN, SOURCE_PORT, SET] = [77, 2000, 5];
const ID_CLIENT = (1 << 20) | 300;
const idOf = (backend: TestBackendPod) => ID_CLIENT + 1 + BACKENDS.indexOf(backend);
/** Rows of mesh_endpoints. */
const rowOf = (backend?: TestBackendPod) => (backend === undefined ? 1 : 2 + BACKENDS.indexOf(backend));

/** A client and three backends of one Service, in three tiers, whose identities are known. */
async function setUp(t: TestContext) {
  const runs = await makeServiceRuns(t, BACKENDS);
  const policy = createPolicyWriter(runs.loaded);
  policy.identity(CLIENT, ID_CLIENT);
  for (const backend of BACKENDS) policy.identity(backend.address, idOf(backend));
  policy.set(SET, {});
  runs.dial(FIRST);
  return {
    ...runs,
    policy,
    sendSyn: () =>
      runs.send({ source: CLIENT, target: FIRST.address, sourcePort: SOURCE_PORT, flags: TcpFlag.Syn, seq: ISN }),
    sendReset: () =>
      runs.send({
        ...{ source: FIRST.address, sourcePort: PORT, target: CLIENT, targetPort: SOURCE_PORT },
        ...{ ack: ISN + 1, flags: TcpFlag.Rst | TcpFlag.Ack },
      }),
  };
}

test("a connect that policy denies is refused by ICMP, and never moved", async (t) => {
  const node = await setUp(t);
  for (const backend of [SECOND, THIRD]) node.policy.peer(SET, idOf(backend), { out: ALLOW });
  node.policy.enforce(rowOf(), SET, 1);
  for (let i = 0; i < 3; i++) {
    const arrival = await node.sendSyn();
    assert.deepEqual([arrival?.address, arrival?.segment.isQuoted], [CLIENT, true]);
    assert.equal(arrival?.segment.source, `${CLIENT}:${SOURCE_PORT}`);
  }
  assert.deepEqual(
    [node.counts()["egress_denied"], node.counts()["moved"], await node.natTuples()],
    [3, undefined, []],
  );
});

test("in audit mode a connect that policy does not allow goes to its backend, and is moved like any other", async (t) => {
  const node = await setUp(t);
  for (const row of [rowOf(), ...BACKENDS.map(rowOf)]) node.policy.enforce(row, SET, 1, "audit");
  assert.equal((await node.sendSyn())?.address, FIRST.address);
  assert.equal((await node.sendReset())?.address, SECOND.address);
  const { moved, prohibited, move_denied, egress_audited } = node.counts();
  assert.deepEqual([moved, prohibited, move_denied, egress_audited], [1, undefined, undefined, 2]);
});

for (const [whose, enforce] of [
  [
    "the client's",
    ({ policy }) => {
      for (const backend of [FIRST, THIRD]) policy.peer(SET, idOf(backend), { out: ALLOW });
      policy.enforce(rowOf(), SET, 1);
    },
  ],
  ["the backend's", ({ policy }) => policy.enforce(rowOf(SECOND), SET, 1)],
] as const satisfies readonly (readonly [string, (node: Awaited<ReturnType<typeof setUp>>) => void])[])
  test(`a connect that is moved to a backend that ${whose} policy denies goes on to the next one`, async (t) => {
    const node = await setUp(t);
    enforce(node);
    assert.equal((await node.sendSyn())?.address, FIRST.address);
    assert.equal(await node.sendReset(), undefined, "the SYN to the second backend is dropped");
    assert.equal(node.counts()["prohibited"], undefined);
    const arrival = await node.sendSyn();
    assert.equal(arrival?.address, THIRD.address);
    assert.equal(node.counts()["moved"], 2);
    const [, wirePort] = arrival?.segment.source.split(":") ?? [];
    const answer = { source: THIRD.address, sourcePort: PORT, target: CLIENT, targetPort: Number(wirePort) };
    const accepted = await node.send({ ...answer, flags: TcpFlag.Syn | TcpFlag.Ack, ack: ISN + 1 });
    assert.deepEqual([accepted?.address, accepted?.segment.source], [CLIENT, `${FIRST.address}:${PORT}`]);
  });

/** A connect that was moved to the second backend and accepted, while policy allowed the client all of them. */
async function movedConnect(t: TestContext) {
  const node = await setUp(t);
  for (const backend of BACKENDS) node.policy.peer(SET, idOf(backend), { out: ALLOW });
  node.policy.enforce(rowOf(), SET, 1);
  assert.equal((await node.sendSyn())?.address, FIRST.address);
  const moved = await node.sendReset();
  assert.equal(moved?.address, SECOND.address);
  const [, wirePort] = moved?.segment.source.split(":") ?? [];
  const answer = { source: SECOND.address, sourcePort: SECOND.port, target: CLIENT, targetPort: Number(wirePort) };
  assert.equal((await node.send({ ...answer, flags: TcpFlag.Syn | TcpFlag.Ack, ack: ISN + 1 }))?.address, CLIENT);
  const segment = { source: CLIENT, target: FIRST.address, sourcePort: SOURCE_PORT, flags: TcpFlag.Ack, seq: ISN + 1 };
  const exchange = async () => [
    (await node.send(segment))?.address,
    (await node.send({ ...answer, flags: TcpFlag.Ack, ack: ISN + 1 }))?.address,
  ];
  assert.deepEqual(await exchange(), [SECOND.address, CLIENT]);
  return {
    ...node,
    exchange,
    /** Another policy of the client, and another revision. */
    allowOnly(backend: TestBackendPod): void {
      node.policy.set(SET + 1, {});
      node.policy.peer(SET + 1, idOf(backend), { out: ALLOW });
      node.policy.enforce(rowOf(), SET + 1, 2);
    },
  };
}

test("a connect that was moved ends in both directions when policy denies the backend that it has", async (t) => {
  const node = await movedConnect(t);
  node.allowOnly(FIRST);
  node.events().want([EventKind.Drop]);
  assert.deepEqual(await node.exchange(), [undefined, undefined]);
  const events = (await node.readEvents(2)).map(({ source, sourcePort, target, sourceIdentity, targetIdentity }) => [
    `${formatAddress(source)}:${sourcePort}`,
    formatAddress(target),
    Math.max(sourceIdentity, targetIdentity),
  ]);
  assert.deepEqual(events[1], [`${SECOND.address}:${SECOND.port}`, CLIENT, idOf(SECOND)]);
  assert.deepEqual(events[0]?.slice(1), [SECOND.address, idOf(SECOND)]);
});

test("a connect that was moved goes on when policy denies the backend that it had first, or nobody has its address", async (t) => {
  const node = await movedConnect(t);
  node.policy.identity(FIRST.address, (1 << 20) | 5);
  node.allowOnly(SECOND);
  assert.deepEqual(await node.exchange(), [SECOND.address, CLIENT]);
});

for (const [port, isAllowed] of [
  [SECOND.port, true],
  [PORT, false],
] as const)
  test(`a connect that was moved to another port ${isAllowed ? "goes on" : "ends"} when policies allow port ${port} alone`, async (t) => {
    const node = await movedConnect(t);
    node.policy.class(1, [{ protocol: Proto.Tcp, port }]);
    node.policy.set(SET + 1, { in: { class: 1 }, out: { class: 1 } });
    for (const row of [rowOf(), rowOf(SECOND)]) node.policy.enforce(row, SET + 1, 2);
    assert.deepEqual(await node.exchange(), isAllowed ? [SECOND.address, CLIENT] : [undefined, undefined]);
  });
