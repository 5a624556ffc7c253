/** One hostile text through every path to a terminal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lineText, MeshError } from "@isthmus/model";
import { AgentPresence } from "@isthmus/proto";
import { changesTable, manifests } from "../connect/report.js";
import { servicesTable } from "../service/render.js";
import { assess } from "../status/assess.js";
import { figuresText } from "../status/figures-text.js";
import { hopsTable } from "../status/render.js";
import { runForTest } from "../testing/memory-io.js";
import { findingsText } from "./findings.js";
import { json } from "./json.js";
import { terminalText } from "./text.js";

const ESCAPE = "\u001b[2J\u001b]0;owned\u0007";
const HOSTILE = `${ESCAPE}\u009b31m\u202e\u2028\r\nfake line${"x".repeat(1 << 20)}`;
const finding = { group: "g", status: "fail", subject: HOSTILE, message: HOSTILE, fix: HOSTILE } as const;

function view() {
  const agent = {
    ...{ node: HOSTILE, connected: true, version: HOSTILE },
    maps: [{ map: HOSTILE, used: 1, capacity: 1 }],
    sources: [],
    conditions: [{ type: HOSTILE, message: HOSTILE }],
    ...{ presence: AgentPresence.AGENT_PRESENCE_CONNECTED, silentMs: 0 },
  };
  const report = {
    ...{ cluster: "east", clusterId: 1, clusterUid: HOSTILE, instance: HOSTILE, version: HOSTILE, leader: true },
    ...{ kubeAgeMs: 0, podCidrs: [], serviceCidrs: [], sources: [], agents: [agent] },
    publisher: undefined,
    nodes: { known: true, linux: 1, windows: 0, virtual: 0 },
    certificates: [{ name: HOSTILE, notAfter: 0n }],
  };
  return { context: HOSTILE, cluster: "east", id: 1, peers: [{ name: HOSTILE, id: 2 }], report };
}

const frontend = {
  ...{ service: HOSTILE, address: Buffer.from([10, 0, 0, 1]), port: 1, protocol: 6, portName: HOSTILE },
  ...{ global: true, affinity: 0, status: HOSTILE, notes: [HOSTILE] },
  tiers: [
    { active: true, clusters: [{ cluster: HOSTILE, ready: 1, serving: 0, total: 1, keptOut: HOSTILE, weight: 1 }] },
  ],
};

const WAYS: Readonly<Record<string, () => { readonly text: string; readonly lines: number }>> = {
  "a finding": () => ({ text: findingsText([finding], { color: false }), lines: 3 }),
  "the table of services": () => ({ text: servicesTable([frontend as never]), lines: 2 }),
  "the table of hops": () => ({ text: hopsTable(assess([view() as never]).hops), lines: 5 }),
  "the findings of status": () => {
    const { findings } = assess([view() as never]);
    return { text: findingsText(findings, { color: false }), lines: findings.length };
  },
  "the figures of nodes": () => {
    const count = { total: 2n, lastMinute: 1n };
    const figures = { datapathMode: HOSTILE, flows: null, pods: null, ranges: null, counters: {} };
    const node = { cluster: HOSTILE, node: HOSTILE, figures: { ...figures, drops: { [HOSTILE]: count } } };
    return { text: figuresText([node]), lines: 8 };
  },
  "the table of changes": () => ({
    text: changesTable([{ cluster: HOSTILE, object: HOSTILE, action: "keep", done: true }]),
    lines: 2,
  }),
  "a manifest's context": () => ({
    text: manifests([{ type: "peer", context: HOSTILE, object: { metadata: { name: "west" } } } as never]),
    lines: 3,
  }),
  JSON: () => ({ text: json({ [HOSTILE.slice(0, 100)]: HOSTILE }), lines: 4 }),
  "an error's sentence": () => ({ text: `${lineText(new MeshError({ code: "X" }, HOSTILE).message)}\n`, lines: 1 }),
};

for (const [way, write] of Object.entries(WAYS)) {
  test(`${way} of hostile text is printable and has the expected number of lines`, () => {
    const { text, lines } = write();
    assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
    const found = text.split("\n").length - 1;
    assert.ok(way.includes("findings") ? found >= lines && found <= 3 * lines : found === lines, `${found} lines`);
    if (way !== "JSON") assert.ok(text.length < 100_000, `${text.length}`);
  });
}

test("an argument with control characters is printed with escapes", async () => {
  const { err } = await runForTest([ESCAPE]);
  assert.match(err, /^Cannot run "mesh \\u\{1b\}\[2J/);
});

test("the final escape of all output passes the colours of findings and no other control characters", () => {
  const text = `\u001b[31mfail\u001b[0m a\n\tb${ESCAPE}\u009b\u202e\u001b[8m`;
  const net = "a\n\tb\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{9b}\\u{202e}\\u{1b}[8m";
  assert.equal(terminalText(text, { color: true }), `\u001b[31mfail\u001b[0m ${net}`);
  assert.equal(terminalText(text, { color: false }), `\\u{1b}[31mfail\\u{1b}[0m ${net}`);
});
