import assert from "node:assert/strict";
import { test } from "node:test";
import { createTimeline } from "./history.js";
import { combine, createJudge, type Judgement, type JudgedService, type Probe } from "./judge.js";
import { createModel, type Model } from "./model.js";
import type { FaultOfNetwork } from "./network-faults.js";
import { areAllowed, type Labels, type Opinion, type PolicyObject, type PolicySpec } from "./oracle.js";

const EAST = ["east", "west"];
const POLICY: PolicyObject = { cluster: "east", kind: "NetworkPolicy", namespace: "blue", name: "p" };
const ONLY_RED: PolicySpec = {
  podSelector: {},
  policyTypes: ["Ingress"],
  ingress: [{ from: [{ podSelector: { matchLabels: { color: "red" } } }] }],
};
const SERVICE: JudgedService = {
  frontend: "10.96.0.9:80",
  protocol: "TCP",
  targetPort: 7000,
  isBackend: ({ name }) => name.startsWith("server"),
};
const OF_DATAGRAMS: JudgedService = { ...SERVICE, protocol: "UDP", targetPort: 7001 };

/** Both pods have run for long, in force everywhere. */
function made(): Model {
  const model = createModel();
  add(model, "client", "10.11.0.1", "red");
  add(model, "server", "10.11.0.2", "blue");
  return model;
}

function add(model: Model, name: string, address: string, color: string, at = 0) {
  const labels = model.pods.get(name)?.labels ?? newLabels(model, name, address, at);
  inForce(labels.ask({ color }, at), at + 1);
}

function newLabels(model: Model, name: string, address: string, at: number) {
  const labels = createTimeline<Labels | undefined>(undefined);
  model.pods.set(name, { name, cluster: "east", namespace: "blue", node: "n", labels, address, runsSince: at });
  return labels;
}

function inForce({ inForceAt }: { readonly inForceAt: Map<string, number> }, at: number) {
  for (const cluster of EAST) inForceAt.set(cluster, at);
}

const SECOND = 1_000_000;

function probe(began: number, outcome: string, more: Partial<Probe> = {}): Probe {
  const answeredBy = outcome === "open" ? "server" : undefined;
  return {
    kind: "connect",
    client: "client",
    began,
    ended: began + 10,
    sourcePort: 40_000,
    target: "10.11.0.2:7000",
    outcome,
    answeredBy,
    ...more,
  };
}

const judged = (model: Model, one: Probe): Judgement => createJudge(model, [SERVICE, OF_DATAGRAMS]).judge(one);
const verdict = (model: Model, one: Probe) => judged(model, one).verdict;

test("without policies an established connect is legal, and a failed one a fault", () => {
  const model = made();
  assert.equal(verdict(model, probe(10 * SECOND, "open")), "allowed");
  assert.deepEqual(judged(model, probe(10 * SECOND, "timeout")), { verdict: "fault", pods: ["server"] });
});

test("a connect that was established although the policy was in force before it began is a leak", () => {
  const model = made();
  add(model, "client", "", "blue", 2 * SECOND);
  inForce(model.policy(POLICY).spec.ask(ONLY_RED, 3 * SECOND), 4 * SECOND);
  assert.deepEqual(judged(model, probe(4 * SECOND, "open")), { verdict: "leak", pods: ["server"] });
  assert.equal(verdict(model, probe(4 * SECOND, "unreachable")), "denied");
});

test("while a change is not known to be in force, both states are legal", () => {
  const model = made();
  add(model, "client", "", "blue", 2 * SECOND);
  const change = model.policy(POLICY).spec.ask(ONLY_RED, 3 * SECOND);
  for (const outcome of ["open", "timeout"]) assert.equal(verdict(model, probe(9 * SECOND, outcome)), "either");
  inForce(change, 9 * SECOND + 5);
  for (const outcome of ["open", "timeout"]) assert.equal(verdict(model, probe(9 * SECOND, outcome)), "either");
  assert.equal(verdict(model, probe(10 * SECOND, "open")), "leak");
});

test("a connect that ended before the change was asked for is judged by the state before", () => {
  const model = made();
  add(model, "client", "", "blue", 2 * SECOND);
  inForce(model.policy(POLICY).spec.ask(ONLY_RED, 20 * SECOND), 21 * SECOND);
  assert.equal(verdict(model, probe(19 * SECOND, "open")), "allowed");
  assert.equal(verdict(model, probe(19 * SECOND, "refused")), "fault");
});

test("what is in force in one cluster only is judged by the nodes of that cluster", () => {
  const model = made();
  const { inForceAt } = model.policy(POLICY).spec.ask(ONLY_RED, 3 * SECOND);
  inForceAt.set("east", 4 * SECOND);
  const { inForceAt: ofLabels } = model.pods.get("client")?.labels.ask({ color: "blue" }, 5 * SECOND) ?? assert.fail();
  ofLabels.set("west", 6 * SECOND);
  assert.equal(verdict(model, probe(7 * SECOND, "open")), "either");
  ofLabels.set("east", 8 * SECOND);
  assert.equal(verdict(model, probe(9 * SECOND, "open")), "leak");
});

test("changes that overlap are legal in any combination", () => {
  const model = made();
  inForce(model.policy(POLICY).spec.ask(ONLY_RED, 3 * SECOND), 4 * SECOND);
  add(model, "client", "", "blue", 5 * SECOND);
  const back = model.pods.get("client")?.labels.ask({ color: "red" }, 7 * SECOND);
  model.policy(POLICY).spec.ask(undefined, 7 * SECOND);
  for (const outcome of ["open", "timeout"]) assert.equal(verdict(model, probe(8 * SECOND, outcome)), "either");
  if (back !== undefined) inForce(back, 9 * SECOND);
  assert.equal(verdict(model, probe(10 * SECOND, "timeout")), "fault");
});

test("a failed connect is excused while the target is new or ends, or its client did not run", () => {
  const model = made();
  add(model, "server-2", "10.11.0.3", "blue", 10 * SECOND);
  const to = { target: "10.11.0.3:7000" };
  const reason = (one: Judgement) => (one.verdict === "excused" ? one.reason : one.verdict);
  assert.equal(reason(judged(model, probe(11 * SECOND, "timeout", to))), "target is new");
  assert.equal(reason(judged(model, probe(13 * SECOND, "timeout", to))), "fault");
  const judge = createJudge(model, []);
  judge.late("client", 13 * SECOND + 1, 13 * SECOND + 2);
  assert.equal(reason(judge.judge(probe(13 * SECOND, "timeout", to))), "client did not run");
  add(model, "client-2", "10.11.0.4", "red", 13 * SECOND);
  assert.equal(reason(judged(model, probe(14 * SECOND, "timeout", { client: "client-2" }))), "client is new");
  const pod = model.pods.get("server-2");
  if (pod !== undefined) pod.deletedAt = 14 * SECOND;
  assert.equal(reason(judged(model, probe(14 * SECOND - 5, "timeout", to))), "target ends");
  assert.equal(reason(judged(model, probe(15 * SECOND, "timeout", to))), "nobody has the address");
});

/** Moves a pod elsewhere. */
function place(model: Model, name: string, cluster: string, node: string): void {
  const pod = model.pods.get(name) ?? assert.fail();
  model.pods.set(name, { ...pod, cluster, node });
}

test("a failed connect is excused while its packets cross a fault of the network, and no longer", () => {
  const model = made();
  place(model, "server", "west", "west-1");
  model.faults.push({ fault: { kind: "node", cluster: "west", node: "west-1" }, from: 20 * SECOND, to: 21 * SECOND });
  const failed = (began: number) => judged(model, probe(began, "timeout"));
  assert.equal(failed(20 * SECOND - 11).verdict, "fault");
  for (const began of [20 * SECOND - 10, 21 * SECOND])
    assert.deepEqual(failed(began), { verdict: "excused", reason: "node is dark" });
  assert.equal(failed(21 * SECOND + 1).verdict, "fault");
  place(model, "server", "west", "west-2");
  assert.equal(failed(20 * SECOND).verdict, "fault", "its packets do not cross the fault");
});

test("a leak is one whatever fault of the network there is, also if it was reset at once", () => {
  const model = made();
  place(model, "server", "west", "west-1");
  model.faults.push({ fault: { kind: "dark", cluster: "west" }, from: 1 });
  inForce(model.policy({ ...POLICY, cluster: "west" }).spec.ask(ONLY_RED, 1), 2);
  const leak = { verdict: "leak", pods: ["server"] };
  for (const outcome of ["open", "reset"]) assert.deepEqual(judged(model, probe(9 * SECOND, outcome)), leak);
  assert.equal(verdict(model, probe(9 * SECOND, "timeout")), "denied");
  assert.equal(verdict(model, probe(9 * SECOND, "reset", { kind: "hold" })), "denied", "it was open before");
});

test("a connect to a Service is excused only when a fault of the network leaves it no backend to be moved to", () => {
  const model = made();
  for (const name of ["server-2", "server-3"]) add(model, name, `10.11.0.${name.at(-1)}`, "red", 1);
  place(model, "server", "east", "east-1");
  place(model, "server-2", "west", "west-1");
  place(model, "server-3", "west", "west-2");
  const during = (fault: FaultOfNetwork) => {
    model.faults.splice(0, 1, { fault, from: 1 });
    return verdict(model, probe(9 * SECOND, "timeout", { target: SERVICE.frontend }));
  };
  const [east, west] = [{ cluster: "east" }, { cluster: "west" }];
  assert.equal(during({ kind: "node", ...west, node: "west-1" }), "fault");
  assert.equal(during({ kind: "dark", ...west }), "fault");
  assert.equal(during({ kind: "path", a: west, b: east, oneWay: true }), "fault");
  assert.equal(during({ kind: "loss", a: west, b: east, oneWay: false, percent: 5 }), "excused");
  assert.equal(during({ kind: "dark", ...east }), "excused", "no backend is on the client's node");
  place(model, "server", "east", "n");
  assert.equal(during({ kind: "dark", ...east }), "fault", "the others are of one cluster");
  add(model, "server-4", "10.11.0.9", "red", 1);
  place(model, "server-4", "east", "east-1");
  assert.equal(during({ kind: "dark", ...east }), "excused", "the others are of both clusters");
});

test("a pod at an address that another one had may be taken for that one until its end is in force", () => {
  const model = made();
  const egress: PolicySpec = {
    podSelector: { matchLabels: { color: "red" } },
    policyTypes: ["Egress"],
    egress: [{ to: [{ podSelector: { matchLabels: { color: "blue" } } }] }],
  };
  inForce(model.policy(POLICY).spec.ask(egress, 1), 2);
  const old = model.pods.get("server");
  assert.ok(old !== undefined);
  old.deletedAt = 5 * SECOND;
  const end = old.labels.ask(undefined, 5 * SECOND);
  add(model, "server-2", "10.11.0.2", "red", 6 * SECOND);
  const heir = { answeredBy: "server-2" };
  assert.equal(verdict(model, probe(9 * SECOND, "open", heir)), "either");
  inForce(end, 10 * SECOND);
  assert.equal(verdict(model, probe(11 * SECOND, "open", heir)), "leak");
});

test("a connect to a Service is judged by the pod that answered", () => {
  const model = made();
  add(model, "server-2", "10.11.0.3", "red", 1);
  const onlySecond: PolicySpec = {
    podSelector: {},
    policyTypes: ["Egress"],
    egress: [{ to: [{ podSelector: { matchLabels: { color: "red" } } }] }],
  };
  inForce(model.policy(POLICY).spec.ask(onlySecond, 1), 2);
  const to = { target: SERVICE.frontend };
  assert.equal(verdict(model, probe(9 * SECOND, "open", { ...to, answeredBy: "server-2" })), "allowed");
  assert.equal(verdict(model, probe(9 * SECOND, "open", { ...to, answeredBy: "server" })), "leak");
  assert.equal(verdict(model, probe(9 * SECOND, "timeout", to)), "either");
});

test("a request to a Service by UDP is judged by the pod that answered, at the port for UDP", () => {
  const model = made();
  const onlyUdp: PolicySpec = {
    podSelector: {},
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ podSelector: {} }], ports: [{ protocol: "UDP", port: 7001 }] }],
  };
  const to = { kind: "ask", target: SERVICE.frontend } as const;
  inForce(model.policy(POLICY).spec.ask(onlyUdp, 1), 2);
  assert.equal(verdict(model, probe(9 * SECOND, "open", to)), "allowed");
  assert.equal(verdict(model, probe(9 * SECOND, "open", { ...to, kind: "connect" })), "leak");
  assert.equal(verdict(model, probe(9 * SECOND, "timeout", to)), "fault");
  add(model, "server-2", "10.11.0.3", "red", 1);
  inForce(model.policy(POLICY).spec.ask(ONLY_RED, 10 * SECOND), 11 * SECOND);
  add(model, "client", "", "blue", 12 * SECOND);
  for (const answeredBy of ["server", "server-2"])
    assert.deepEqual(judged(model, probe(14 * SECOND, "open", { ...to, answeredBy })), {
      verdict: "leak",
      pods: [answeredBy],
    });
});

test("a request to a Service by UDP is excused while a fault cuts off any backend, for it is not moved", () => {
  const model = made();
  add(model, "server-2", "10.11.0.3", "red", 1);
  place(model, "server-2", "west", "west-1");
  model.faults.push({ fault: { kind: "node", cluster: "west", node: "west-1" }, from: 8 * SECOND, to: 9 * SECOND });
  const failed = (kind: Probe["kind"], began: number) =>
    verdict(model, probe(began, "timeout", { kind, target: SERVICE.frontend }));
  assert.equal(failed("ask", 9 * SECOND), "excused");
  assert.equal(failed("connect", 9 * SECOND), "fault");
  assert.equal(failed("ask", 9 * SECOND + 1), "fault");
});

test("a request to a Service by UDP is excused for two seconds after a backend is known to be gone", () => {
  const model = made();
  add(model, "server-2", "10.11.0.3", "red", 1);
  const ended = model.pods.get("server-2") ?? assert.fail();
  ended.deletedAt = 8 * SECOND;
  inForce(ended.labels.ask(undefined, 8 * SECOND), 9 * SECOND);
  const failed = (kind: Probe["kind"], began: number) =>
    judged(model, probe(began, "timeout", { kind, target: SERVICE.frontend }));
  assert.deepEqual(failed("ask", 11 * SECOND - 1), { verdict: "excused", reason: "target ends" });
  assert.deepEqual(failed("ask", 11 * SECOND), { verdict: "fault", pods: ["server"] });
  assert.equal(failed("connect", 11 * SECOND - 1).verdict, "fault");
});

test("a connection held to a Service is judged by the backend with which it was established", () => {
  const model = made();
  add(model, "server-2", "10.11.0.3", "red", 1);
  place(model, "server-2", "west", "west-1");
  const onlyBlue: PolicySpec = {
    podSelector: {},
    policyTypes: ["Egress"],
    egress: [{ to: [{ podSelector: { matchLabels: { color: "blue" } } }] }],
  };
  const held = (answeredBy: string, outcome: string, began = 9 * SECOND) =>
    judged(model, probe(began, outcome, { kind: "hold", target: SERVICE.frontend, answeredBy }));
  assert.equal(held("server-2", "open").verdict, "allowed");
  assert.deepEqual(held("server-2", "timeout"), { verdict: "fault", pods: ["server-2"] });
  inForce(model.policy(POLICY).spec.ask(onlyBlue, 10 * SECOND), 11 * SECOND);
  assert.deepEqual(held("server-2", "open", 12 * SECOND), { verdict: "leak", pods: ["server-2"] });
  assert.equal(held("server-2", "timeout", 12 * SECOND).verdict, "denied");
  assert.equal(held("server", "open", 12 * SECOND).verdict, "allowed");
  assert.deepEqual(held("server", "reset", 12 * SECOND), { verdict: "fault", pods: ["server"] });
});

test("a connection held to a Service is excused by what becomes of its own backend alone", () => {
  const model = made();
  add(model, "server-2", "10.11.0.3", "red", 1);
  place(model, "server-2", "west", "west-1");
  const failed = (answeredBy: string, began: number) =>
    judged(model, probe(began, "timeout", { kind: "hold", target: SERVICE.frontend, answeredBy }));
  model.faults.push({ fault: { kind: "dark", cluster: "west" }, from: 8 * SECOND, to: 9 * SECOND });
  assert.deepEqual(failed("server-2", 9 * SECOND), { verdict: "excused", reason: "cluster is dark" });
  assert.equal(failed("server", 9 * SECOND).verdict, "fault");
  const ended = model.pods.get("server-2") ?? assert.fail();
  ended.deletedAt = 12 * SECOND;
  assert.equal(failed("server-2", 12 * SECOND - 11).verdict, "fault");
  assert.deepEqual(failed("server-2", 12 * SECOND), { verdict: "excused", reason: "target ends" });
  assert.equal(failed("server", 12 * SECOND).verdict, "fault");
});

test("a pod that is a backend of the Service that it dials reaches itself whatever policies say", () => {
  const model = made();
  inForce(model.policy(POLICY).spec.ask({ podSelector: {}, policyTypes: ["Ingress", "Egress"] }, 1), 2);
  const to = { client: "server", target: SERVICE.frontend };
  assert.equal(verdict(model, probe(9 * SECOND, "open", { ...to, answeredBy: "server" })), "allowed");
  assert.equal(verdict(model, probe(9 * SECOND, "open", { ...to, answeredBy: "client" })), "leak");
});

test("policies in several versions allow and deny as some choice of versions does", () => {
  const opinions: readonly Opinion[] = ["none", "isolates", "allows", "denies"];
  const subsets = Array.from({ length: 15 }, (_, i) => opinions.filter((_opinion, bit) => ((i + 1) >> bit) & 1));
  const pairs = subsets.flatMap((a) => subsets.map((b) => [a, b]));
  for (const policies of [
    [],
    ...subsets.map((a) => [a]),
    ...pairs,
    ...pairs.flatMap((two) => subsets.map((c) => [...two, c])),
  ]) {
    const choices = policies.reduce<readonly (readonly Opinion[])[]>(
      (chosen, versions) => chosen.flatMap((before) => versions.map((one) => [...before, one])),
      [[]],
    );
    const verdicts = choices.map(areAllowed);
    const expected = { canAllow: verdicts.includes(true), canDeny: verdicts.includes(false) };
    assert.deepEqual(combine(policies), expected, JSON.stringify(policies));
  }
});
