/** `mesh monitor` against a real kube-apiserver and a fake clustermesh-apiserver. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PODS, SERVICE_ACCOUNTS, SERVICES } from "@isthmus/kube";
import { parseAddress } from "@isthmus/model";
import { FlowEvent, MonitoredNode, MonitorRequest, type MonitorResponse, MonitorState } from "@isthmus/proto";
import { type Member, startTestCluster, writeContexts } from "../testing/member.js";
import { runForTest } from "../testing/memory-io.js";

const folder = mkdtempSync(join(tmpdir(), "isthmus-monitor-"));
let east: Member;
let env: { readonly KUBECONFIG: string };
let asked: MonitorRequest[] = [];

before(async () => {
  east = await startTestCluster("east", 1);
  env = { KUBECONFIG: writeContexts([east], folder) };
  const containers = [{ name: "c", image: "none" }];
  const pod = (name: string, more: object) => ({
    metadata: { namespace: "default", name },
    spec: { containers, automountServiceAccountToken: false, ...more },
  });
  const place = { namespace: "default" };
  // No controller runs that would make it.
  await east.client.create(SERVICE_ACCOUNTS, { metadata: { namespace: "default", name: "default" } });
  await east.client.create(PODS, pod("cart", { nodeName: "w1" }), place);
  const service = (name: string, spec: object) => ({ metadata: { namespace: "default", name }, spec });
  const ports = [{ port: 80 }];
  await east.client.create(SERVICES, service("web", { ports }), place);
  await east.client.create(SERVICES, service("headless", { ports, clusterIP: "None" }), place);
  await east.client.create(SERVICES, service("elsewhere", { type: "ExternalName", externalName: "a.example" }), place);
  await east.client.create(PODS, pod("proxy", { nodeName: "w1", hostNetwork: true }), place);
});
after(async () => {
  await east?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const nodes = (...all: readonly (readonly [string, MonitorState])[]): MonitorResponse => ({
  message: {
    $case: "nodes",
    value: { nodes: all.map(([node, state]) => MonitoredNode.fromPartial({ node, state })) },
  },
});

const EVENTS: MonitorResponse = {
  message: {
    $case: "events",
    value: {
      node: "w1",
      batch: {
        events: [
          FlowEvent.fromPartial({
            ...{ timeUs: 1_700_000_000_000_000n, kind: 1, verdict: 3, point: 1, protocol: 6, tcpFlags: 2 },
            source: { address: Buffer.from(parseAddress("10.11.0.1")), port: 4000, namespace: "default", pod: "cart" },
            destination: { address: Buffer.from(parseAddress("10.11.0.2")), port: 80 },
          }),
        ],
        notShown: { limited: 2n, ringFull: 0n, late: 0n, slow: 0n },
        identities: [],
      },
    },
  },
};

function serve(...responses: readonly MonitorResponse[]): void {
  asked = [];
  east.answers.monitor = (request) => {
    asked.push(request);
    return responses;
  };
}

const { MONITOR_STATE_HEARD: HEARD, MONITOR_STATE_NOT_CONNECTED: AWAY, MONITOR_STATE_UNKNOWN: UNKNOWN } = MonitorState;

test("events go to stdout, the nodes and what is not shown to stderr; --for ends it with 0", async () => {
  serve(nodes(["w1", HEARD], ["w2", AWAY]), EVENTS);
  const ran = await runForTest(["monitor", "--from", "cart", "-n", "default", "--drops", "--for", "2s"], env);
  assert.equal(ran.code, 0, ran.err);
  assert.equal(ran.out, "2023-11-14T22:13:20.000Z w1 NEW default/cart:4000 -> 10.11.0.2:80 TCP SYN, to the pod\n");
  for (const line of [
    "Pod default/cart is on node w1\n",
    "Hearing 1 node of 2: w1\n",
    "Not heard: w2: its agent is not connected; see mesh status\n",
    "w1: 2 events of its pods not shown, above the limit of a pod and a reason\n",
  ])
    assert.ok(ran.err.includes(line), `${line} in ${ran.err}`);
  assert.match(ran.err, /No answer of server 127\.0\.0\.1:1: connection refused; asking it again/);
  assert.deepEqual(asked, [
    MonitorRequest.fromPartial({ filter: { fromNamespace: "default", fromPod: "cart", dropsOnly: true } }),
  ]);
});

test("--service narrows the events, also those of an agent or a server that does not know it", async () => {
  const event = EVENTS.message?.$case === "events" ? EVENTS.message.value.batch?.events[0] : undefined;
  const service = { address: Buffer.from(parseAddress("10.96.0.10")), port: 80, namespace: "default", name: "web" };
  const batch = (...all: readonly (typeof event)[]): MonitorResponse => ({
    message: {
      $case: "events",
      value: {
        node: "w1",
        batch: { events: all.map((each) => FlowEvent.fromPartial(each ?? {})), notShown: undefined, identities: [] },
      },
    },
  });
  const ofService = FlowEvent.fromPartial({ ...event, service });
  const ofOther = FlowEvent.fromPartial({ ...event, service: { ...service, namespace: "other" } });
  serve(nodes(["w1", HEARD]), batch(ofService), batch(event), batch(ofOther, ofService));
  const ran = await runForTest(["monitor", "--service", "default/web", "--for", "2s"], env);
  assert.equal(ran.code, 0, ran.err);
  const line =
    "2023-11-14T22:13:20.000Z w1 NEW default/cart:4000 -> Service default/web:80 (10.11.0.2:80) TCP SYN, to the pod\n";
  assert.equal(ran.out, line.repeat(2));
  assert.equal(ran.err.match(/w1: its events are left out/g)?.length, 1, ran.err);
  assert.deepEqual(asked, [MonitorRequest.fromPartial({ filter: { serviceNamespace: "default", service: "web" } })]);
});

test("--service with --drops, and -n for nothing, are usage errors", async () => {
  for (const [argv, sentence] of [
    [["--service", "default/web", "--drops"], /^Cannot use --service with --drops: /],
    [["-n", "default"], /^Cannot use --namespace without --from or --service/],
    [["--service", "web"], /write NAMESPACE\/web, or add -n NAMESPACE/],
    [["--service", "a/b/c"], /: write NAMESPACE\/SERVICE/],
    [["--service", "default/Web"], /Cannot use "Web" as a Service in --service: it is no name/],
  ] as const) {
    const ran = await runForTest(["monitor", ...argv], env);
    assert.equal(ran.code, 2, ran.err);
    assert.match(ran.err, sentence);
  }
});

test("with -o json each line is a document", async () => {
  serve(nodes(["w1", HEARD]), EVENTS);
  const ran = await runForTest(["monitor", "--node", "w1", "-o", "json", "--for", "2s"], env);
  assert.equal(ran.code, 0, ran.err);
  const documents = ran.out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  assert.deepEqual(
    documents.map((document) => Object.keys(document).sort()),
    [
      ["nodes", "schemaVersion"],
      ["event", "schemaVersion"],
      ["notShown", "schemaVersion"],
    ],
  );
  assert.deepEqual(asked[0]?.nodes, ["w1"]);
});

test("a pod, a Service or a node that there is not ends the command with what to do", async () => {
  serve(nodes(["w9", UNKNOWN]));
  for (const [argv, sentence] of [
    [
      ["--from", "default/nobody"],
      /^Cannot monitor pod "default\/nobody": context "east" has no such pod; see: kubectl --context east -n default get pods$/,
    ],
    [["--from", "default/proxy"], /^Cannot monitor pod "default\/proxy": it is on the node's network/],
    [
      ["--service", "nothing", "-n", "default"],
      /^Cannot monitor Service "default\/nothing": context "east" has no such Service; see: kubectl --context east -n default get services$/,
    ],
    [["--service", "default/headless"], /^Cannot monitor Service "default\/headless": it has no ClusterIP/],
    [["--service", "default/elsewhere"], /^Cannot monitor Service "default\/elsewhere": it has no ClusterIP/],
    [
      ["--node", "w9"],
      /^Cannot monitor node "w9": context "east" has no such Linux node; see: kubectl --context east get nodes$/m,
    ],
  ] as const) {
    const ran = await runForTest(["monitor", ...argv, "--for", "20s"], env);
    assert.equal(ran.code, 1, ran.err);
    assert.match(ran.err.trimEnd(), sentence);
  }
});
