import assert from "node:assert/strict";
import { test } from "node:test";
import { macOf } from "../plan/addresses.js";
import { makePlan } from "../plan/plan.js";
import type { ProcessRow } from "../supervise/process-table.js";
import { type Effects, planEffects, withoutShared } from "./effects.js";
import type { Fault } from "./fault.js";

const plan = makePlan({ name: "lab", index: 0, clusters: ["east", "west"], nodesPerCluster: 2, bare: false });
const [west, west2] = [["10.200.0.2", "10.200.2.1", "10.200.2.2"].map(macOf), [macOf("10.200.2.2")]];
const east = ["10.200.0.1", "10.200.1.1", "10.200.1.2"].map(macOf);

const row = (role: string, change: Partial<ProcessRow> = {}): ProcessRow => ({
  ...{
    role,
    cluster: "west",
    node: "",
    pid: 7,
    startTicks: 70,
    status: "Running",
    restarts: 0,
    sinceMs: 0,
    reason: "",
  },
  holder: false,
  ...change,
});
const held = { pid: 0, startTicks: 0, status: "Held" } as const;
const effects = (fault: Fault, rows: readonly ProcessRow[] = [], others: readonly Effects[] = []) =>
  planEffects(plan, fault, rows, others);

test("a dark cluster is its control plane and its nodes, a dark node only itself, both ways", () => {
  assert.deepEqual(effects({ kind: "dark", cluster: "west" }).drops, [
    { from: west, share: 1 },
    { to: west, share: 1 },
  ]);
  assert.deepEqual(effects({ kind: "node", cluster: "west", node: "west-2" }).drops, [
    { from: west2, share: 1 },
    { to: west2, share: 1 },
  ]);
});

test("a path is dropped both ways or one way, whole or in part", () => {
  const places = { a: { cluster: "east" }, b: { cluster: "west", node: "west-2" } };
  assert.deepEqual(effects({ kind: "path", ...places, oneWay: true }).drops, [{ from: east, to: west2, share: 1 }]);
  assert.deepEqual(effects({ kind: "loss", ...places, percent: 5, oneWay: false }).drops, [
    { from: east, to: west2, share: 0.05 },
    { from: west2, to: east, share: 0.05 },
  ]);
});

test("a control plane is kept down without what a user had stopped before, but with what another fault keeps down", () => {
  const fault = { kind: "control-plane", cluster: "west" } as const;
  const etcd = { role: "etcd", cluster: "west" };
  const rows = [
    row("etcd", held),
    row("kube-apiserver"),
    row("kube-scheduler", { ...held, status: "Waiting" }),
    row("kubelet", { node: "west-1" }),
    row("kube-apiserver", { cluster: "east" }),
  ];
  const rest = ["kube-apiserver", "kube-scheduler"].map((role) => ({ role, cluster: "west" }));
  assert.deepEqual(effects(fault, rows).held, rest);
  const other = { drops: [], held: [etcd], suspended: [] };
  assert.deepEqual(effects(fault, rows, [other]).held, [etcd, ...rest]);
  assert.throws(() => effects(fault, [row("etcd", held)]), {
    code: "STEP_FAILED",
    message: 'Cannot kill the control plane of "west": all of it is stopped already',
  });
});

test("the processes of one role hang, on every node", () => {
  const fault = { kind: "hang", cluster: "west", role: "kubelet" } as const;
  const [first, second] = [row("kubelet", { node: "west-1" }), row("kubelet", { node: "west-2", pid: 8 })];
  const rows = [first, second, row("etcd"), row("kubelet", { cluster: "east", pid: 9 })];
  assert.deepEqual(effects(fault, rows).suspended, [
    { pid: 7, startTicks: 70 },
    { pid: 8, startTicks: 70 },
  ]);
  assert.throws(() => effects(fault, [first, { ...second, ...held }]), {
    code: "STEP_FAILED",
    message: 'Cannot suspend kubelet of "west-2": it does not run (Held)',
  });
  assert.throws(() => effects({ ...fault, role: "node" }, [...rows, row("node", { holder: true })]), {
    code: "USAGE",
    message: 'Unknown role "node" in cluster "west": use one of etcd, kubelet',
  });
});

test("what another fault keeps from running stays so; filters are each fault's own", () => {
  const drops = [{ from: west, share: 1 }];
  const [etcd, scheduler] = ["etcd", "kube-scheduler"].map((role) => ({ role, cluster: "west" })) as [object, object];
  const all = { drops, held: [etcd, scheduler], suspended: [1, 2].map((pid) => ({ pid, startTicks: 1 })) } as Effects;
  const other = {
    drops,
    held: [etcd],
    suspended: [
      { pid: 2, startTicks: 1 },
      { pid: 1, startTicks: 9 },
    ],
  } as Effects;
  assert.deepEqual(withoutShared(all, [other]), { drops, held: [scheduler], suspended: [{ pid: 1, startTicks: 1 }] });
  assert.deepEqual(withoutShared(all, []), all);
});
