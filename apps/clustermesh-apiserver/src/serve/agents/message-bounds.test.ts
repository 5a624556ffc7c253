import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Ack,
  AgentMessage,
  EventBatch,
  Hello,
  Kind,
  MapRows,
  NodeFrontends,
  type PoliciesInForce,
  PolicyEntries,
  ToServer,
} from "@isthmus/proto";
import { answerProblem, messageProblem } from "./message-bounds.js";

type Message = NonNullable<ToServer["message"]>;
const encode = (message: Message) => ToServer.encode({ message }).finish();
const hello = encode({
  $case: "hello",
  value: Hello.fromPartial({
    node: "n1",
    protocolMin: 1,
    protocolMax: 1,
    capabilities: ["a"],
    sources: [{ clusterId: 3, floor: { storeId: Buffer.alloc(16, 1), revision: 2n ** 64n - 1n } }],
    version: "1",
  }),
});

test("messages of a correct agent are within bounds", () => {
  const applied = [{ clusterId: 0, position: { storeId: Buffer.alloc(16), versions: Array(8).fill(2n ** 64n - 1n) } }];
  const maps = [{ map: "mesh_backends_v1", used: 1, capacity: 2 }];
  const sums = Array.from({ length: 256 }, () => Buffer.alloc(16, 255));
  assert.equal(messageProblem(hello), undefined);
  // As long as names of Kubernetes and reasons can be.
  const key = `policies/ciliumclusterwidenetworkpolicies/${"n".repeat(63)}/${"p".repeat(253)}`;
  const refused = Array.from({ length: 16 }, () => ({ key, reason: "\u65e5".repeat(256) }));
  const policies = { position: applied[0]?.position, inForce: 2 ** 32 - 1, refused, moreRefused: 2 ** 32 - 1 };
  assert.equal(
    messageProblem(encode({ $case: "ack", value: Ack.fromPartial({ applied, maps, policies }) })),
    undefined,
  );
  assert.equal(
    messageProblem(encode({ $case: "buckets", value: { clusterId: 9, kind: Kind.KIND_NODE, sums } })),
    undefined,
  );
  for (const health of [Buffer.alloc(16, 255), Buffer.alloc(0)])
    assert.equal(messageProblem(encode({ $case: "nodeReport", value: { health } })), undefined);
  assert.equal(messageProblem(new Uint8Array(0)), undefined);
});

test("the policies that a node refuses are bounded in their number, and in the bytes of each", () => {
  const ack = (policies: Parameters<typeof PoliciesInForce.fromPartial>[0]) =>
    messageProblem(encode({ $case: "ack", value: Ack.fromPartial({ policies }) }));
  const refused = (key: number, reason: number) => ({ key: "k".repeat(key), reason: "r".repeat(reason) });
  assert.equal(
    ack({ refused: Array.from({ length: 17 }, () => refused(1, 1)) }),
    "ack.policies.refused has more than 16 entries",
  );
  assert.equal(ack({ refused: [refused(513, 1)] }), "ack.policies.refused.key has 513 bytes, more than 512");
  assert.equal(ack({ refused: [refused(1, 1025)] }), "ack.policies.refused.reason has 1025 bytes, more than 1024");
  assert.equal(
    ack({ position: { storeId: Buffer.alloc(17) } }),
    "ack.policies.position.store_id has 17 bytes, more than 16",
  );
});

test("an unknown field of a newer agent is accepted, as the decoder skips it", () => {
  const unknown = [0x7a, 3, 1, 2, 3, 0x80, 1, 5, 0x8d, 1, 0, 0, 0, 0, 0x91, 1, 0, 0, 0, 0, 0, 0, 0, 0];
  assert.equal(messageProblem(Uint8Array.from([...hello, ...unknown])), undefined);
});

test("a health address of more than 16 bytes is out of bounds", () => {
  const report = encode({ $case: "nodeReport", value: { health: Buffer.alloc(17) } });
  assert.equal(messageProblem(report), "node_report.health has 17 bytes, more than 16");
});

test("truncated messages, endless varints and group wire types are malformed", () => {
  for (let end = 0; end < hello.length; end++) {
    if (messageProblem(hello.subarray(0, end)) !== undefined) continue;
    assert.ok(end === 0, `cut at ${end}`);
  }
  const endless = Uint8Array.from(Array(20).fill(0xff));
  assert.match(messageProblem(endless) ?? "", /malformed/);
  for (const group of [0x0b, 0x0c, 0x0e, 0x0f])
    assert.match(messageProblem(Uint8Array.from([group])) ?? "", /malformed/);
});

test("a tag of more than 32 bits is malformed, since a decoder would read it as another field", () => {
  // 0x0a with bit 32 set: as 32 bits it is field 1, Hello.
  assert.match(messageProblem(Uint8Array.from([0x8a, 0x80, 0x80, 0x80, 0x10, 0])) ?? "", /malformed/);
});

test("what programs find for frontends is bounded in frontends, tiers, backends and the bytes of each", () => {
  const frontends = (...rows: NonNullable<Parameters<typeof NodeFrontends.fromPartial>[0]["frontends"]>) => {
    const value = NodeFrontends.fromPartial({ frontends: rows });
    const answer = { id: 1, last: true, problem: "", part: { $case: "frontends" as const, value } };
    return answerProblem(AgentMessage.encode({ message: { $case: "answer", value: answer } }).finish());
  };
  const backend = { address: Buffer.alloc(16, 255), rankName: "draining", clusterState: 2 ** 32 - 1 };
  const tiers = (count: number, backends = 250) =>
    Array.from({ length: count }, () => ({ backends: Array.from({ length: backends }, () => backend) }));
  assert.equal(frontends({ plannedFor: "x".repeat(512), problems: ["y".repeat(1024)], tiers: tiers(4) }), undefined);
  assert.match(frontends(...Array.from({ length: 17 }, () => ({}))) ?? "", /frontends\.frontends has more than 16/);
  assert.match(frontends({ tiers: tiers(5, 1) }) ?? "", /tiers has more than 4 entries/);
  assert.match(frontends({ tiers: tiers(1, 1001) }) ?? "", /backends has more than 1000 entries/);
  assert.match(frontends({ plannedFor: "x".repeat(513) }) ?? "", /planned_for has 513 bytes/);
  assert.match(frontends({ problems: Array.from({ length: 9 }, () => "") }) ?? "", /problems has more than 8 entries/);
  const long = { backends: [{ address: Buffer.alloc(17) }] };
  assert.match(frontends({ tiers: [long] }) ?? "", /address has 17 bytes, more than 16/);
});

test("rows of a map are bounded in their number, their cells and the bytes of each", () => {
  const rows = (part: Parameters<typeof MapRows.fromPartial>[0]) => {
    const answer = {
      id: 1,
      last: false,
      problem: "",
      part: { $case: "rows" as const, value: MapRows.fromPartial(part) },
    };
    return answerProblem(AgentMessage.encode({ message: { $case: "answer", value: answer } }).finish());
  };
  const cells = (count: number, length = 1) => Array.from({ length: count }, () => "x".repeat(length));
  assert.equal(rows({ columns: [{ name: "a", type: 1 }], rows: [{ cells: cells(32, 512) }] }), undefined);
  assert.match(rows({ rows: Array.from({ length: 257 }, () => ({})) }) ?? "", /^answer\.rows\.rows has more than 256/);
  assert.match(rows({ rows: [{ cells: cells(33) }] }) ?? "", /cells has more than 32 entries/);
  assert.match(rows({ rows: [{ cells: cells(1, 513) }] }) ?? "", /cells has 513 bytes, more than 512/);
  assert.match(rows({ columns: Array.from({ length: 33 }, () => ({})) }) ?? "", /columns has more than 32 entries/);
  assert.match(rows({ columns: [{ name: "x".repeat(65) }] }) ?? "", /columns\.name has 65 bytes/);
});

test("the entries of a policy query are bounded in their rules, names and labels", () => {
  const entries = (value: Parameters<typeof PolicyEntries.fromPartial>[0]) => {
    const part = { $case: "policy" as const, value: PolicyEntries.fromPartial(value) };
    const answer = { id: 1, last: true, problem: "", part };
    return answerProblem(AgentMessage.encode({ message: { $case: "answer", value: answer } }).finish());
  };
  const rule = { policy: { kind: "NetworkPolicy", namespace: "shop", name: "web" }, path: "spec.ingress[0]" };
  const whole = {
    other: { prefix: "10.0.0.0/8" },
    peer: { number: 1 },
    port: { first: 80 },
    rules: Array(8).fill(rule),
  };
  assert.equal(entries({ ...whole, otherIdentity: { labels: Array(64).fill({ key: "a", value: "b" }) } }), undefined);
  assert.match(entries({ rules: Array(9).fill(rule) }) ?? "", /^answer\.policy\.rules has more than 8 entries/);
  assert.match(entries({ rules: [{ ...rule, path: "x".repeat(257) }] }) ?? "", /rules\.path has 257 bytes/);
  assert.match(entries({ other: { prefix: "x".repeat(65) } }) ?? "", /other\.prefix has 65 bytes/);
  const labels = Array(65).fill({ key: "a", value: "b" });
  assert.match(entries({ otherIdentity: { labels } }) ?? "", /other_identity\.labels has more than 64 entries/);
});

test("the Service of an event is bounded as its ends are", () => {
  const event = (service: object) => {
    const value = EventBatch.fromPartial({ events: [{ service }] });
    const answer = { id: 1, last: false, problem: "", part: { $case: "events" as const, value } };
    return answerProblem(AgentMessage.encode({ message: { $case: "answer", value: answer } }).finish());
  };
  assert.equal(
    event({ address: Buffer.alloc(16), port: 80, namespace: "n".repeat(63), name: "x".repeat(253) }),
    undefined,
  );
  assert.match(event({ address: Buffer.alloc(17) }) ?? "", /events\.service\.address has 17 bytes, more than 16/);
  assert.match(event({ namespace: "n".repeat(254) }) ?? "", /events\.service\.namespace has 254 bytes/);
  assert.match(event({ name: "x".repeat(254) }) ?? "", /events\.service\.name has 254 bytes/);
});

test("identities, rules and policies of a batch of events are bounded", () => {
  const batch = (fields: Partial<Parameters<typeof EventBatch.fromPartial>[0]>) => {
    const value = EventBatch.fromPartial(fields);
    const answer = { id: 1, last: false, problem: "", part: { $case: "events" as const, value } };
    return answerProblem(AgentMessage.encode({ message: { $case: "answer", value: answer } }).finish());
  };
  const list = <T>(length: number, item: T) => Array.from({ length }, () => item);
  const label = { key: "k".repeat(348), value: "v".repeat(253) };
  const name = { kind: "CiliumClusterwideNetworkPolicy", namespace: "n".repeat(63), name: "x".repeat(253) };
  const identity = { number: 2 ** 32 - 1, labels: list(64, label), prefix: "203.0.113.0/24" };
  const policy = { rules: list(4, { policy: name, path: "spec.ingress[0]" }), isolating: list(8, name) };
  assert.equal(batch({ identities: [identity], events: [{ policy }] }), undefined);
  const refused: readonly (readonly [Parameters<typeof batch>[0], RegExp])[] = [
    [{ identities: list(2001, {}) }, /events\.identities has more than 2000 entries/],
    [{ identities: [{ labels: list(65, {}) }] }, /identities\.labels has more than 64 entries/],
    [{ identities: [{ labels: [{ key: "k".repeat(349) }] }] }, /labels\.key has 349 bytes, more than 348/],
    [{ identities: [{ labels: [{ value: "v".repeat(254) }] }] }, /labels\.value has 254 bytes/],
    [{ identities: [{ prefix: "p".repeat(65) }] }, /identities\.prefix has 65 bytes/],
    [{ events: [{ policy: { rules: list(9, {}) } }] }, /policy\.rules has more than 8 entries/],
    [{ events: [{ policy: { rules: [{ path: "p".repeat(257) }] } }] }, /rules\.path has 257 bytes/],
    [{ events: [{ policy: { rules: [{ policy: { kind: "k".repeat(65) } }] } }] }, /rules\.policy\.kind has 65 bytes/],
    [{ events: [{ policy: { isolating: list(17, {}) } }] }, /isolating has more than 16 entries/],
    [{ events: [{ policy: { isolating: [{ name: "x".repeat(254) }] } }] }, /isolating\.name has 254 bytes/],
  ];
  for (const [fields, problem] of refused) assert.match(batch(fields) ?? "", problem);
});

test("unpacked versions are counted like packed ones", () => {
  const version = [0x18, 1];
  const position = Array(9).fill(version).flat();
  const applied = [0x12, position.length, ...position];
  const ack = [0x0a, applied.length, ...applied];
  assert.match(
    messageProblem(Uint8Array.from([0x12, ack.length, ...ack])) ?? "",
    /ack\.applied\.position\.versions has more/,
  );
});
