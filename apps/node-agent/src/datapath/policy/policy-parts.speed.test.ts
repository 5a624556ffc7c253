/**
 * What it takes to write 10,000 identities and 500 policies for a node of 200 pods to the kernel's maps, and one change of them.
 * The limits are those that a busy machine keeps, too; a way to do it that does not scale does not.
 */
import assert from "node:assert/strict";
import { cpuUsage } from "node:process";
import { type TestContext, test } from "node:test";
import { createGracePeriod, EndpointRow, MAP_NAMES, openPolicyPort, type PolicyPort } from "@isthmus/bpf";
import { loadTestObject } from "@isthmus/bpf/testing";
import { type IdentityNumber, identityNumber } from "@isthmus/identity";
import { bytesKey, type ClusterId, parseAddress } from "@isthmus/model";
import { createPolicyEngine, type Identity, type Policy, type PolicyChange, podIdentityLabels } from "@isthmus/policy";
import { inTurns } from "@isthmus/runtime";
import { createApply } from "../../apply/apply.js";
import type { DesiredSubject } from "@isthmus/node-policy";
import { createPolicyParts } from "./policy-parts.js";
import type { PolicyPartChanges } from "./policy-sets-part.js";
import { openRevisions } from "./revisions.js";
import { createTestPods, networkPolicy } from "./testing/policy-node.js";

const IDENTITIES = 10_000;
const POLICIES = 500;
const PODS = 200;
const NAMESPACES = 100;

const numberAt = (i: number): IdentityNumber => identityNumber(1 as ClusterId, 256 + i);
const addressAt = (i: number): string => bytesKey(parseAddress(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`));

function identityAt(i: number): Identity {
  const namespace = `ns-${i % NAMESPACES}`;
  const podLabels = new Map([
    ["app", `app-${Math.floor(i / NAMESPACES) % 20}`],
    ["instance", `i-${i}`],
  ]);
  const namespaceLabels = new Map([["team", `team-${i % 10}`]]);
  return {
    labels: podIdentityLabels({ cluster: "east", namespace, namespaceLabels, serviceAccount: "default", podLabels }),
  };
}

/** For the pods of an app: a team of namespaces, which are 1,000 identities, with a port and a range of them; and DNS. */
function policyAt(i: number, port = 80): Policy {
  const app = Math.floor(i / NAMESPACES) * 3;
  const spec = {
    podSelector: { matchLabels: { app: `app-${app}` } },
    ingress: [
      {
        from: [{ namespaceSelector: { matchLabels: { team: `team-${i % 10}` } } }],
        ports: [{ port }, { port: 8000, endPort: 8100 }],
      },
    ],
    egress: [{ to: [{ podSelector: { matchLabels: { app: "app-1" } } }], ports: [{ protocol: "UDP", port: 53 }] }],
    policyTypes: ["Ingress", "Egress"],
  };
  return networkPolicy(`policy-${i}`, spec, `ns-${i % NAMESPACES}`);
}

/** The maps of mode `packets`, as large as they are unless configured, with pods. */
function openMaps(t: TestContext) {
  const loaded = loadTestObject(t, "pod");
  const port = openPolicyPort(loaded.map);
  t.after(() => port.close());
  const endpoints = loaded.array(MAP_NAMES.endpoints);
  const empty = EndpointRow.decode(new Uint8Array(EndpointRow.size));
  for (let i = 1; i <= PODS; i++) {
    const addr = parseAddress(`10.0.${(podAt(i) >> 8) & 255}.${podAt(i) & 255}`);
    endpoints.writeBody(i, EndpointRow.encode({ ...empty, id: i, addr }));
  }
  return { port, endpoints };
}

/** The identity of the i-th pod, of those that policies select. */
const podAt = (i: number): number => (i % NAMESPACES) + NAMESPACES * 3 * (i % 5);

/** Counts what is written to hashes. */
function counting(port: PolicyPort) {
  const counts = { writes: 0 };
  const counted = <Port extends PolicyPort["peers"]>(hash: Port): Port => ({
    ...hash,
    insert(entries) {
      counts.writes += entries.size;
      return hash.insert(entries);
    },
    update(entries) {
      counts.writes += entries.size;
      return hash.update(entries);
    },
    delete(keys) {
      counts.writes += keys.size;
      return hash.delete(keys);
    },
  });
  const { sets } = port;
  const ports = counted(port.ports as PolicyPort["peers"]);
  const maps: PolicyPort = {
    ...{ sets, ports, peers: counted(port.peers) },
    ...{ addresses: counted(port.addresses), prefixes: counted(port.prefixes) },
  };
  return { maps, counts };
}

test("10,000 identities and 500 policies are written at once, adopted without a write, and one change costs what it changes", async (t) => {
  const { port, endpoints } = openMaps(t);
  const { maps, counts } = counting(port);
  const engine = createPolicyEngine();
  const subjects = new Map<string, DesiredSubject>();
  const addresses = new Map<string, IdentityNumber>();
  const desired = { subjects, addresses, prefixes: new Map() };

  async function start() {
    const pods = createTestPods(endpoints);
    const sync = { localInSync: true, mayRemove: () => true };
    const revisions = openRevisions(maps.sets);
    const gracePeriod = createGracePeriod();
    const options = { localCluster: 1, gracePeriod, now: () => 0 };
    const { parts } = await inTurns(createPolicyParts({ port: maps, revisions, pods, desired, sync }, options));
    return createApply<PolicyPartChanges>({ parts, gracePeriod, now: () => performance.now() });
  }

  /** What a flush of the desired state reports. */
  function changesOf({ subjects: changed, rows }: PolicyChange, moved: Iterable<string>): PolicyPartChanges {
    for (const [address, { set }] of changed) {
      const identity = addresses.get(address);
      if (set !== undefined && identity !== undefined) subjects.set(address, { identity, set, audited: false });
    }
    return { policy: { subjects: changed, rows, addresses: new Set(moved), prefixes: new Set() } };
  }

  async function measure(what: string, work: () => Promise<unknown>, mostMs: number): Promise<void> {
    counts.writes = 0;
    const [began, cpu] = [performance.now(), cpuUsage()];
    await work();
    const { user, system } = cpuUsage(cpu);
    const cpuMs = (user + system) / 1000;
    t.diagnostic(
      `${what}: ${(performance.now() - began).toFixed(1)} ms, processor ${cpuMs.toFixed(1)} ms, ${counts.writes} writes`,
    );
    assert.ok(cpuMs <= mostMs, `${what}: ${cpuMs} ms`);
  }

  for (let i = 0; i < IDENTITIES; i++) {
    engine.setIdentity(numberAt(i), identityAt(i));
    addresses.set(addressAt(i), numberAt(i));
  }
  for (let i = 0; i < POLICIES; i++) engine.setPolicy(policyAt(i));
  for (let i = 1; i <= PODS; i++) engine.setSubject(addressAt(podAt(i)), { identity: numberAt(podAt(i)) });
  const first = changesOf(engine.commit(), addresses.keys());
  const before = process.memoryUsage().heapUsed;
  let apply = await start();
  apply.touch(first);
  await measure("all", () => apply.apply(), 20_000);
  globalThis.gc?.();
  t.diagnostic(`heap ${((process.memoryUsage().heapUsed - before) / 2 ** 20).toFixed(1)} MiB more`);
  assert.deepEqual([...apply.status.errors], []);
  t.diagnostic(
    apply
      .fill()
      .map(({ map, used }) => `${map} ${used}`)
      .join(", "),
  );

  const again: PolicyPartChanges = {
    policy: {
      ...{ subjects: new Map([...subjects.keys()].map((address) => [address, { tightens: false }])), rows: new Map() },
      ...{ addresses: new Set(addresses.keys()), prefixes: new Set() },
    },
  };
  await measure(
    "adopt",
    async () => {
      apply = await start();
    },
    10_000,
  );
  await measure(
    "the same again",
    async () => {
      apply.touch(again);
      await apply.apply();
    },
    10_000,
  );
  assert.equal(counts.writes, 0);

  engine.setIdentity(numberAt(IDENTITIES), identityAt(97));
  addresses.set(addressAt(IDENTITIES), numberAt(IDENTITIES));
  const one = changesOf(engine.commit(), [addressAt(IDENTITIES)]);
  await measure(
    "one identity",
    async () => {
      apply.touch(one);
      await apply.apply();
    },
    500,
  );
  assert.ok(counts.writes <= 1 + PODS);

  engine.setPolicy(policyAt(0, 443));
  const policy = changesOf(engine.commit(), []);
  await measure(
    "one policy",
    async () => {
      apply.touch(policy);
      await apply.apply();
    },
    2_000,
  );
  await measure("freeing what it replaced", () => apply.settled(), 2_000);
});
