/** `mesh bpf` against a real kube-apiserver and a fake clustermesh-apiserver. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PODS, SERVICE_ACCOUNTS } from "@isthmus/kube";
import { formatAddress, parseAddress } from "@isthmus/model";
import { type DumpRequest, DumpResponse, MapColumnType, MapRows, MonitorState } from "@isthmus/proto";
import { type Member, startTestCluster, writeContexts } from "../testing/member.js";
import { runForTest } from "../testing/memory-io.js";

const folder = mkdtempSync(join(tmpdir(), "isthmus-bpf-"));
let east: Member;
let env: { readonly KUBECONFIG: string };
let asked: DumpRequest[] = [];

before(async () => {
  east = await startTestCluster("east", 1);
  env = { KUBECONFIG: writeContexts([east], folder) };
  const pod = (name: string, more: object) => ({
    metadata: { namespace: "default", name },
    spec: {
      containers: [{ name: "c", image: "none" }],
      automountServiceAccountToken: false,
      nodeName: "w1",
      ...more,
    },
  });
  const place = { namespace: "default" };
  // No controller runs that would make it.
  await east.client.create(SERVICE_ACCOUNTS, { metadata: { namespace: "default", name: "default" } });
  await east.client.create(PODS, pod("cart", {}), place);
  await east.client.create(PODS, pod("proxy", { hostNetwork: true }), place);
  await east.client.create(PODS, pod("new", {}), place);
  const status = { podIPs: [{ ip: "10.11.0.1" }, { ip: "fd00::1" }] };
  await east.client.mergePatch(PODS, "cart", { status }, { ...place, subresource: "status" });
});
after(async () => {
  await east?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const node = (state: MonitorState, message = "") =>
  DumpResponse.fromPartial({ message: { $case: "node", value: { node: "w1", state, message } } });
const rows = (part: Parameters<typeof MapRows.fromPartial>[0]) =>
  DumpResponse.fromPartial({ message: { $case: "rows", value: MapRows.fromPartial(part) } });
const columns = [
  { name: "index", type: MapColumnType.MAP_COLUMN_TYPE_NUMBER },
  { name: "address", type: MapColumnType.MAP_COLUMN_TYPE_TEXT },
];
const ROWS = [
  rows({ columns, rows: [{ cells: ["1", "10.1.0.1"] }] }),
  rows({ columns, rows: [{ cells: ["20", "10.1.0.2"] }], summary: { more: 5 } }),
];

function serve(...responses: readonly DumpResponse[]): void {
  asked = [];
  east.answers.dump = (request) => {
    asked.push(request);
    return responses;
  };
}

const HEARD = MonitorState.MONITOR_STATE_HEARD;

test("rows go to stdout, what is not shown to stderr", async () => {
  serve(node(HEARD), ...ROWS);
  const ran = await runForTest(["bpf", "dump", "backends", "--node", "w1", "--limit", "2"], env);
  assert.deepEqual(ran, {
    code: 0,
    out: "INDEX  ADDRESS\n1      10.1.0.1\n20     10.1.0.2\n",
    err: "5 rows more, use --limit\n",
  });
  assert.deepEqual(
    asked.map((request) => [request.node, request.query]),
    [["w1", { map: "backends", limit: 2, sources: [] }]],
  );
});

test("with -o json each line is a document, the last a summary", async () => {
  serve(node(HEARD), ...ROWS);
  const ran = await runForTest(["bpf", "dump", "backends", "--node", "w1", "-o", "json"], env);
  assert.equal(ran.code, 0, ran.err);
  assert.deepEqual(
    ran.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object),
    [
      { schemaVersion: 1, row: { index: 1, address: "10.1.0.1" } },
      { schemaVersion: 1, row: { index: 20, address: "10.1.0.2" } },
      { schemaVersion: 1, summary: { node: "w1", map: "backends", more: 5, busy: 0, invalid: 0, ended: 0 } },
    ],
  );
  assert.equal(asked[0]?.query?.limit, 1000);
});

test("the flows of an address or of a pod are asked for by addresses", async () => {
  serve(node(HEARD), ...ROWS);
  for (const [from, addresses] of [
    [[], []],
    [["--from", "10.2.0.9"], ["10.2.0.9"]],
    [
      ["--from", "cart", "-n", "default"],
      ["10.11.0.1", "fd00::1"],
    ],
  ] as const) {
    const ran = await runForTest(["bpf", "conntrack", "--node", "w1", ...from], env);
    assert.equal(ran.code, 0, ran.err);
    const query = asked.at(-1)?.query;
    assert.equal(query?.map, "conntrack");
    assert.deepEqual(
      query?.sources.map((source) => formatAddress(source)),
      addresses.map((address) => formatAddress(parseAddress(address))),
    );
  }
});

test("a node without rows, and one that breaks off, are named with what to do", async () => {
  for (const [responses, sentence] of [
    [[node(MonitorState.MONITOR_STATE_UNKNOWN)], /context "east" has no such Linux node; see: kubectl --context east/],
    [[node(MonitorState.MONITOR_STATE_NOT_CONNECTED)], /its agent is not connected .*; see mesh status$/m],
    [[node(MonitorState.MONITOR_STATE_NO_QUERIES)], /its agent is of an older version, which answers no queries/],
    [[node(HEARD), node(MonitorState.MONITOR_STATE_UNAVAILABLE, "mode sockets")], /of node "w1": mode sockets$/m],
    [[node(HEARD), rows({ columns, rows: [{ cells: ["1", "a"] }] })], /the server ended the stream/],
  ] as const) {
    serve(...responses);
    const ran = await runForTest(["bpf", "dump", "nodes", "--node", "w1"], env);
    assert.equal(ran.code, 1, ran.err);
    assert.match(ran.err, sentence);
  }
});

test("a pod that there is not, or without an address of its own, is named", async () => {
  for (const [pod, sentence] of [
    ["default/nobody", /context "east" has no such pod; see: kubectl --context east -n default get pods$/m],
    ["default/proxy", /it is on the node's network/],
    ["default/new", /it has no address yet/],
  ] as const) {
    const ran = await runForTest(["bpf", "conntrack", "--node", "w1", "--from", pod], env);
    assert.equal(ran.code, 1, ran.err);
    assert.match(ran.err, sentence);
  }
});
