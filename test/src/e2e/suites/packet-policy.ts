/**
 * NetworkPolicies as users write them: who reaches whom, while policies, labels of pods and labels of namespaces change; and what a
 * new pod waits for.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { NAMESPACES, PODS } from "@isthmus/kube";
import { controlProcess } from "@isthmus/lab";
import { TCP } from "@isthmus/model";
import { type Cluster, PROBER } from "../cluster.js";
import { eventually } from "../eventually.js";
import { ECHO_PORT, echoServer, HTTP_PORT, NAMESPACE, prober } from "../objects.js";
import type { PacketPod, PacketPods } from "../packet-pods.js";
import { startPodCommand } from "../pod-command.js";
import {
  applyPolicy,
  connect,
  kubectl,
  label,
  onlyClients,
  outcome,
  removePolicy,
  running,
  SERVERS,
} from "../policies.js";
import { killAndWait } from "../processes.js";
import { MANAGER, meshOf } from "../world.js";

/** Has no label that a policy allows. */
const GUEST = "guest";
/** Starts while there is no apiserver. */
const LATE = "late";
/** Of a client in a namespace of its own. */
const OTHER_NAMESPACE = "e2e-other";

/** `client → server`, and what became of its connect. */
type Table = Readonly<Record<string, string>>;

export function packetPolicyTests(at: () => PacketPods): void {
  describe("A NetworkPolicy", () => {
    test("allows what it says to whom it says, and its end allows everything", async () => {
      const { solo, other, near, far, abroad, node } = at();
      await solo.client.apply(PODS, prober(GUEST, node.name), MANAGER);
      await running(solo, GUEST);
      const servers = [near, far, abroad];
      for (const server of servers) await label(server.cluster, server.name, "role=server");
      await label(solo, PROBER, "role=client");
      await reaches(at(), servers, { [PROBER]: ["near", "far", "abroad"], [GUEST]: ["near", "far", "abroad"] });

      await applyPolicy(solo, "servers", onlyClients("role"));
      await reaches(at(), servers, { [PROBER]: ["near", "far", "abroad"], [GUEST]: ["abroad"] });

      // Another cluster's NetworkPolicy means pods of that cluster only, by whatever labels.
      await applyPolicy(other, "servers", onlyClients("role"));
      await reaches(at(), servers, { [PROBER]: ["near", "far"], [GUEST]: [] });

      await label(solo, GUEST, "role=client");
      await reaches(at(), servers, { [PROBER]: ["near", "far"], [GUEST]: ["near", "far"] });
      await label(solo, GUEST, "role-");
      await reaches(at(), servers, { [PROBER]: ["near", "far"], [GUEST]: [] });

      await removePolicy(solo, "servers");
      await removePolicy(other, "servers");
      await reaches(at(), servers, { [PROBER]: ["near", "far", "abroad"], [GUEST]: ["near", "far", "abroad"] });
    });

    test("is compared by mesh policy diff before it is made, and real connections flip as it says", async () => {
      const { lab, solo, near } = at();
      const mesh = meshOf(lab);
      const metadata = { name: "servers", namespace: NAMESPACE };
      const policy = {
        ...{ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata },
        spec: onlyClients("role"),
      };
      const file = join(mkdtempSync(join(tmpdir(), "isthmus-diff-")), "policy.json");
      writeFileSync(file, JSON.stringify(policy));
      const diff = async (...change: readonly string[]) => {
        const { code, out, err } = await mesh("policy", "diff", "--context", solo.plan.name, ...change, "-o", "json");
        return { code, err, ...(JSON.parse(out) as Difference) };
      };
      /** Those of pod `near` at its echo port that turn to this verdict. */
      const flipped = ({ flips }: Difference, verdict: string) =>
        flips.filter(
          (flip) =>
            flip.verdict === verdict &&
            flip.subjects.pods.includes(`${solo.plan.name}/${NAMESPACE}/${near.name}`) &&
            flip.ports.some(isEchoPort),
        );
      try {
        await outcome(solo, GUEST, near.echo, "open");
        const made = await diff("-f", file);
        assert.equal(made.code, 1, made.err);
        const denied = flipped(made, "denied");
        const roles = denied.flatMap(({ peers }) => peers.identities.map(({ labels }) => labels["role"]));
        assert.ok(denied.length > 0 && !roles.includes("client"), JSON.stringify(made.flips));
        await outcome(solo, GUEST, near.echo, "open");

        await applyPolicy(solo, "servers", onlyClients("role"));
        await outcome(solo, GUEST, near.echo, "unreachable");
        await outcome(solo, PROBER, near.echo, "open");
        await eventually(
          "no difference",
          () => diff("-f", file),
          ({ code }) => code === 0,
        );

        const deleted = await diff("--delete", `netpol/${NAMESPACE}/servers`);
        assert.equal(deleted.code, 1, deleted.err);
        assert.ok(flipped(deleted, "allowed").length > 0, JSON.stringify(deleted.flips));
        await removePolicy(solo, "servers");
        await outcome(solo, GUEST, near.echo, "open");
      } finally {
        rmSync(dirname(file), { recursive: true });
      }
    });

    test("denies a port that it does not name, with an ICMP error and not with silence, and mesh monitor names it", async () => {
      const { lab, solo, near, far } = at();
      await applyPolicy(solo, "servers", onlyClients("role"));
      for (const { address } of [near, far]) {
        await outcome(solo, PROBER, `${address}:${ECHO_PORT}`, "open");
        await outcome(solo, PROBER, `${address}:${HTTP_PORT}`, "unreachable");
        await outcome(solo, GUEST, `${address}:${ECHO_PORT}`, "unreachable");
      }
      const from = ["--context", solo.plan.name, "--from", `${NAMESPACE}/${GUEST}`];
      const { code, out, err } = await meshOf(lab)("monitor", ...from, "--drops", "--for", "2s", "-o", "json");
      assert.equal(code, 0, err);
      const drop = eventsOf(out).findLast(({ destination }) => destination.pod === near.name);
      assert.equal(drop?.dropReason, "ingress_denied", out);
      assert.deepEqual(drop.policy, SERVERS_DENY);
      assert.ok(drop.source.identity?.labels?.includes(`k8s:io.kubernetes.pod.namespace=${NAMESPACE}`), out);
      assert.ok(drop.destination.identity?.labels?.includes("k8s:role=server"), out);
      await removePolicy(solo, "servers");
    });

    test("is explained for two clusters, by the policies and by the maps of both nodes", async () => {
      const { lab, solo, other, node, abroad } = at();
      const pod = (cluster: Cluster, name: string) => `${cluster.plan.name}/${NAMESPACE}/${name}`;
      const explain = async (port: number): Promise<Explained> => {
        const flow = ["--from", pod(solo, PROBER), "--to", `${pod(other, abroad.name)}:${port}`];
        const { code, out, err } = await meshOf(lab)("policy", "explain", ...flow, "-o", "json");
        assert.equal(err, "");
        return { code, ...(JSON.parse(out) as Omit<Explained, "code">) };
      };
      /** What both ends say, once it is so in the maps, too. */
      const explained = (port: number, verdict: string) =>
        eventually(
          `${verdict}, by maps, too`,
          () => explain(port),
          (seen) => seen.verdict === verdict && seen.mapsAgree === true,
        );
      const policy = { kind: "NetworkPolicy", namespace: NAMESPACE, name: "servers" };

      const open = await explained(ECHO_PORT, "allowed");
      assert.deepEqual(
        [open.code, open.ends.map(({ direction, node: name }) => `${direction} ${name}`)],
        [0, [`egress ${node.name}`, `ingress ${abroad.node.name}`]],
      );

      await applyPolicy(other, "servers", onlyClients("role"));
      await outcome(solo, PROBER, abroad.echo, "unreachable");
      const denied = await explained(ECHO_PORT, "denied");
      const [egress, ingress] = denied.ends;
      assert.deepEqual(
        [denied.code, egress?.verdict, ingress?.verdict, ingress?.maps?.verdict],
        [1, "allowed", "denied", "denied"],
      );
      assert.deepEqual([ingress?.rules, ingress?.selectedBy], [[], [{ ...policy, isolates: true }]]);

      const { out: address } = await solo.kubectl("get", "pod", PROBER, "-o", "jsonpath={.status.podIP}");
      const from = [{ ipBlock: { cidr: `${address}/32` } }];
      await applyPolicy(other, "servers", { ...SERVERS, ingress: [{ from, ports: [{ port: ECHO_PORT }] }] });
      await outcome(solo, PROBER, abroad.echo, "open");
      const allowed = await explained(ECHO_PORT, "allowed");
      const rule = { ...policy, path: "spec.ingress[0]" };
      assert.deepEqual([allowed.code, allowed.ends[1]?.rules, allowed.ends[1]?.maps?.rules], [0, [rule], [rule]]);
      assert.equal((await explained(HTTP_PORT, "denied")).code, 1);
      await removePolicy(other, "servers");
    });

    test("passes and is reported while its namespace is in audit mode, and is enforced by the end of it", async (t) => {
      const { lab, solo, near, far } = at();
      const audit = (change: string) =>
        kubectl(solo, "annotate", "--overwrite", "namespace", NAMESPACE, `mesh.isthmus.io/policy-audit-mode${change}`);
      const findsServers = async (wanted: string) => {
        for (const { echo } of [near, far]) await outcome(solo, GUEST, echo, wanted);
      };
      const client = startPodCommand(lab, solo, GUEST, "/paths", "client", near.echo);
      const lastIs = (holds: (last: string) => boolean, what: string) =>
        eventually(what, () => client.lines.at(-1) ?? "", holds, 30_000);
      t.after(async () => {
        client.kill();
        await audit("-");
        await removePolicy(solo, "servers");
      });
      await audit("=true");
      await applyPolicy(solo, "servers", onlyClients("absent"));
      const from = ["--context", solo.plan.name, "--from", `${NAMESPACE}/${GUEST}`];
      const audited = await eventually(
        "an event of what would be denied",
        async () => {
          await findsServers("open");
          const { code, out, err } = await meshOf(lab)("monitor", ...from, "--drops", "--for", "2s", "-o", "json");
          assert.equal(code, 0, err);
          return eventsOf(out).findLast(({ kind, destination }) => kind === "audited" && destination.pod === near.name);
        },
        (event) => event !== undefined,
      );
      assert.deepEqual([audited?.verdict, audited?.dropReason], ["audit", "ingress_denied"]);
      assert.deepEqual(audited?.policy, SERVERS_DENY);
      const status = await meshOf(lab)("status", "--context", solo.plan.name);
      assert.match(status.err, /policies are not enforced for \d+ pods in audit mode/);

      client.write("one");
      await lastIs((last) => last === "echoed one", "an echo in audit mode");
      await audit("-");
      await findsServers("unreachable");
      client.write("two");
      await lastIs((last) => last !== "echoed one", "the end of the connection");
      assert.equal(client.lines.at(-1), "timeout");
    });

    test("follows the labels of a namespace", async () => {
      const { solo, near, far, node } = at();
      const namespace = { metadata: { name: OTHER_NAMESPACE } };
      await solo.client.apply(NAMESPACES, namespace, MANAGER);
      const pod = prober(GUEST, node.name);
      await solo.client.apply(PODS, { ...pod, metadata: { ...pod.metadata, namespace: OTHER_NAMESPACE } }, MANAGER);
      await running(solo, GUEST, OTHER_NAMESPACE);
      const from = { namespaceSelector: { matchLabels: { trusted: "yes" } } };
      await applyPolicy(solo, "servers", { ...SERVERS, ingress: [{ from: [from] }] });
      for (const { address } of [near, far])
        await outcome(solo, GUEST, `${address}:${ECHO_PORT}`, "unreachable", OTHER_NAMESPACE);
      await kubectl(solo, "label", "namespace", OTHER_NAMESPACE, "trusted=yes");
      for (const { address } of [near, far])
        await outcome(solo, GUEST, `${address}:${ECHO_PORT}`, "open", OTHER_NAMESPACE);
      await kubectl(solo, "label", "namespace", OTHER_NAMESPACE, "trusted-");
      for (const { address } of [near, far])
        await outcome(solo, GUEST, `${address}:${ECHO_PORT}`, "unreachable", OTHER_NAMESPACE);
      await removePolicy(solo, "servers");
      await kubectl(solo, "delete", "namespace", OTHER_NAMESPACE, "--wait=false");
    });

    test("ends established connections that it no longer allows", async () => {
      const { lab, solo, near, far } = at();
      const connected = [near, far].map((server) => ({
        server,
        client: startPodCommand(lab, solo, GUEST, "/paths", "client", server.echo),
      }));
      /** Resolves with the last line of each client. */
      const linesAre = (holds: (last: string) => boolean, what: string) =>
        Promise.all(
          connected.map(({ server, client }) =>
            eventually(`${what} ${server.where}`, () => client.lines.at(-1) ?? "", holds, 30_000),
          ),
        );
      try {
        for (const { client } of connected) client.write("one");
        await linesAre((last) => last === "echoed one", "an echo from");
        await applyPolicy(solo, "servers", onlyClients("role"));
        for (const { server } of connected) await outcome(solo, GUEST, server.echo, "unreachable");
        for (const { client } of connected) client.write("two");
        assert.deepEqual(await linesAre((last) => last !== "echoed one", 'the end of "two" to'), [
          "timeout",
          "timeout",
        ]);
      } finally {
        for (const { client } of connected) client.kill();
        await removePolicy(solo, "servers");
      }
      await kubectl(solo, "delete", "pod", GUEST, "--wait=false");
    });
  });

  describe("Without an apiserver", () => {
    test("no pod starts without its policy, and those of the others stay, also when their agent restarts", async (t) => {
      const { lab, solo, node, near } = at();
      const selector = { role: "clustermesh-apiserver", cluster: solo.plan.name } as const;
      t.after(async () => {
        await controlProcess(lab.plan.name, "start", selector);
        await removePolicy(solo, "servers");
        await kubectl(solo, "delete", "pod", LATE, "--ignore-not-found", "--wait=false");
      });
      await label(solo, PROBER, "role=other");
      await applyPolicy(solo, "servers", onlyClients("role"));
      await outcome(solo, PROBER, near.echo, "unreachable");
      await controlProcess(lab.plan.name, "stop", selector);
      await solo.client.create(PODS, echoServer(LATE, node.name, solo.plan.name));
      await eventually(
        "an Event of the pod that says what is missing",
        async () => (await solo.kubectl("get", "events", "--field-selector", `involvedObject.name=${LATE}`)).out,
        (text) => text.includes("Cannot enforce policy for the pod yet: no apiserver is connected"),
        40_000,
      );
      await killAndWait(lab.plan.name, { role: "node-agent", cluster: node.cluster, node: node.name });
      await outcome(solo, PROBER, near.echo, "unreachable");
      await controlProcess(lab.plan.name, "start", selector);
      await running(solo, LATE);
      await outcome(solo, PROBER, near.echo, "unreachable");
      await label(solo, PROBER, "role=client");
      await outcome(solo, PROBER, near.echo, "open");
    });
  });
}

/** Of `mesh monitor --drops -o json`. */
interface DropLine {
  readonly event?: {
    readonly kind: string;
    readonly verdict: string;
    readonly dropReason?: string;
    readonly source: DropEnd;
    readonly destination: DropEnd;
    readonly policy?: object;
  };
}
interface DropEnd {
  readonly pod?: string;
  readonly identity?: { readonly labels?: readonly string[] };
}

/** Of `mesh policy explain -o json`. */
interface Explained {
  readonly code: number | null;
  readonly verdict: string;
  readonly mapsAgree: boolean | null;
  readonly ends: readonly {
    readonly direction: string;
    readonly node: string;
    readonly verdict: string;
    readonly rules: readonly object[];
    readonly selectedBy: readonly object[];
    readonly maps: { readonly verdict: string; readonly rules: readonly object[] } | null;
  }[];
}

function eventsOf(out: string): readonly NonNullable<DropLine["event"]>[] {
  return out.split("\n").flatMap((line) => (line === "" ? [] : ((JSON.parse(line) as DropLine).event ?? [])));
}

/** Of an event: why the policy of `onlyClients` denies. */
const SERVERS_DENY = {
  ...{ direction: "ingress", pod: "destination", allowed: false },
  isolatedBy: [{ kind: "NetworkPolicy", namespace: NAMESPACE, name: "servers" }],
};

/** What `mesh policy diff -o json` prints. */
interface Difference {
  readonly flips: readonly {
    readonly verdict: string;
    readonly subjects: { readonly pods: readonly string[] };
    readonly peers: { readonly identities: readonly { readonly labels: Readonly<Record<string, string>> }[] };
    readonly ports: readonly FlippedPorts[];
  }[];
}

/** Of a protocol, or of all others. */
interface FlippedPorts {
  readonly protocol?: number;
  readonly allProtocolsBut?: readonly number[];
  readonly first: number;
  readonly last: number;
}

function isEchoPort({ protocol, allProtocolsBut, first, last }: FlippedPorts): boolean {
  const isTcp = protocol === TCP || allProtocolsBut?.includes(TCP) === false;
  return isTcp && first <= ECHO_PORT && ECHO_PORT <= last;
}

/** Waits until exactly these servers answer each client, and the others are refused to it. */
async function reaches(
  { solo }: PacketPods,
  servers: readonly PacketPod[],
  expected: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const wanted: Record<string, string> = {};
  for (const [client, names] of Object.entries(expected))
    for (const { name } of servers) wanted[`${client} → ${name}`] = names.includes(name) ? "open" : "unreachable";
  const look = async (): Promise<Table> => {
    const cells = Object.keys(expected).flatMap((client) =>
      servers.map(async ({ name, echo }) => [`${client} → ${name}`, await connect(solo, client, echo)] as const),
    );
    return Object.fromEntries(await Promise.all(cells));
  };
  await eventually(JSON.stringify(wanted), look, (seen) => JSON.stringify(seen) === JSON.stringify(wanted));
}
