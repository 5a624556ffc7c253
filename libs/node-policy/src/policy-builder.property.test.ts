/**
 * Random histories of records, with flushes between them, against an oracle that knows labels and addresses only; and every moment
 * of writing what a flush changed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { IdentityNumber } from "@isthmus/identity";
import { bytesKey, parseAddress, parsePrefix, prefixContains } from "@isthmus/model";
import { lookUp, type PeerRow, type PolicySet } from "@isthmus/policy";
import type { HashedRecord } from "@isthmus/records";
import fc from "fast-check";
import type { PolicyFlush } from "./policy-builder.js";
import { createPolicyNode, type PolicyNode } from "./testing/policy-node.js";
import { allow, makeEndpoint, makeIdentity, makeMeshNode, numberOf, shopLabels } from "./testing/records.js";

const APPS = ["a", "b", "c"] as const;
const CLUSTERS = ["east", "west"] as const;
const PODS: Readonly<Record<string, readonly string[]>> = {
  east: ["10.1.1.4", "10.1.1.5", "10.1.2.6", "10.1.2.7"],
  west: ["10.2.1.4", "10.2.1.5"],
};
const NODES: readonly Node[] = [
  { cluster: "east", name: "n1", address: "172.18.0.1", ranges: ["10.1.1.0/24"] },
  { cluster: "east", name: "n2", address: "172.18.0.2", ranges: ["10.1.2.0/24", "10.64.0.0/24"] },
  { cluster: "west", name: "n1", address: "172.19.0.1", ranges: ["10.2.1.0/24"] },
];
const OTHERS = ["192.0.2.1", "192.0.2.200", "10.1.1.77", "10.64.0.9"];
const CIDRS = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/25", "10.1.2.6/32", "192.0.2.0/24", "172.18.0.0/31"];

interface Node {
  readonly cluster: string;
  readonly name: string;
  readonly address: string;
  /** The last one only in some histories: with it the cluster has another supernet. */
  readonly ranges: readonly string[];
}

interface Block {
  readonly cidr: string;
  readonly except: readonly string[];
}

type Peer = { readonly app: string } | Block;

/** What there is; a name of a thing -> its content, absent: it is not there. */
interface World {
  readonly identities: Set<string>;
  readonly endpoints: Map<string, string>;
  readonly nodes: Map<string, readonly string[]>;
  readonly policies: Map<string, Policy>;
}

interface Policy {
  readonly app: string;
  readonly direction: "ingress" | "egress";
  readonly peers: readonly Peer[];
}

/** Changes the world, and says so in a record. */
type Step = (world: World) => {
  readonly cluster: string;
  readonly key: string;
  readonly record: HashedRecord | undefined;
};

/** A step that fast-check prints. */
function shown(what: unknown, step: Step): Step {
  return Object.assign(step, { [fc.toStringMethod]: () => JSON.stringify(what) });
}

const number = (cluster: string, app: string): IdentityNumber =>
  numberOf(cluster === "east" ? 1 : 2, 256 + APPS.indexOf(app as (typeof APPS)[number]));

const peer: fc.Arbitrary<Peer> = fc.oneof(
  fc.constantFrom(...APPS).map((app) => ({ app })),
  fc.tuple(fc.constantFrom(...CIDRS), fc.subarray(CIDRS, { maxLength: 2 })).map(([cidr, excepted]) => ({
    cidr,
    except: excepted.filter((one) => one !== cidr && isInside(one, cidr)),
  })),
);

const policySteps = fc
  .tuple(
    fc.constantFrom("p", "q", "r"),
    fc.option(
      fc.record({
        app: fc.constantFrom(...APPS),
        direction: fc.constantFrom("ingress" as const, "egress" as const),
        peers: fc.array(peer, { minLength: 1, maxLength: 2 }),
      }),
    ),
  )
  .map(([name, policy]) =>
    shown([name, policy], (world) => {
      if (policy === null) world.policies.delete(name);
      else world.policies.set(name, policy);
      const record = policy === null ? undefined : allow(name, policy.app, policy.direction, policy.peers.map(apiPeer));
      return { cluster: "east", key: `policies/networkpolicies/shop/${name}`, record };
    }),
  );

const identitySteps = fc
  .tuple(fc.constantFrom(...CLUSTERS), fc.constantFrom(...APPS), fc.boolean())
  .map(([cluster, app, isThere]) =>
    shown([cluster, app, isThere], (world) => {
      const name = `${cluster}/${app}`;
      if (isThere) world.identities.add(name);
      else world.identities.delete(name);
      const record = isThere ? makeIdentity(number(cluster, app), shopLabels(cluster, { app })) : undefined;
      return { cluster, key: `identities/${number(cluster, app)}`, record };
    }),
  );

const endpointSteps = fc
  .tuple(
    fc.constantFrom(
      ...Object.entries(PODS).flatMap(([cluster, its]) => its.map((address) => [cluster, address] as const)),
    ),
    fc.option(fc.constantFrom(...APPS)),
  )
  .map(([[cluster, address], app]) =>
    shown([cluster, address, app], (world) => {
      if (app === null) world.endpoints.delete(`${cluster}/${address}`);
      else world.endpoints.set(`${cluster}/${address}`, app);
      const record = app === null ? undefined : makeEndpoint(address, number(cluster, app));
      return { cluster, key: `endpoints/${address}`, record };
    }),
  );

const nodeSteps = fc
  .tuple(fc.constantFrom(...NODES), fc.option(fc.boolean()))
  .map(([{ cluster, name, address, ranges }, isWide]) =>
    shown([cluster, name, isWide], (world) => {
      const its = isWide === null ? [] : isWide ? ranges : ranges.slice(0, 1);
      if (isWide === null) world.nodes.delete(`${cluster}/${name}`);
      else world.nodes.set(`${cluster}/${name}`, its);
      const record = isWide === null ? undefined : makeMeshNode(name, { addresses: [address], podCidrs: its });
      return { cluster, key: `nodes/${name}`, record };
    }),
  );

/** Each inner list is taken at once, and followed by a flush. `most`: changes at once of what policies are about. */
const batchesOf = (most: number) =>
  fc.array(
    fc.oneof(
      ...[policySteps, endpointSteps, nodeSteps, identitySteps].map((steps) =>
        fc.array(steps, { minLength: 1, maxLength: steps === policySteps ? 4 : most }),
      ),
    ),
    { maxLength: 12 },
  );

function apiPeer(one: Peer): object {
  return "app" in one ? { podSelector: { matchLabels: one } } : { ipBlock: one };
}

function isInside(inner: string, outer: string): boolean {
  return (
    parsePrefix(outer).length <= parsePrefix(inner).length &&
    prefixContains(parsePrefix(outer), parsePrefix(inner).address)
  );
}

function isIn(address: string, cidr: string): boolean {
  return prefixContains(parsePrefix(cidr), parseAddress(address));
}

/** As Kubernetes documents it; undefined: the pod's labels are not known. */
function expected(world: World, pod: string, direction: string, other: string): boolean | undefined {
  const appOf = (cluster: string, address: string): string | undefined => {
    const app = world.endpoints.get(`${cluster}/${address}`);
    return app !== undefined && world.identities.has(`${cluster}/${app}`) ? app : undefined;
  };
  const own = appOf("east", pod);
  if (own === undefined) return undefined;
  const [east, west] = [appOf("east", other), appOf("west", other)];
  const isNode = NODES.some(({ cluster, name, address }) => address === other && world.nodes.has(`${cluster}/${name}`));
  const isUnknownPod =
    east === undefined &&
    west === undefined &&
    !isNode &&
    [...world.nodes.values()].flat().some((cidr) => isIn(other, cidr));
  const policies = [...world.policies.values()].filter(
    (policy) => policy.app === own && policy.direction === direction,
  );
  if (policies.length === 0) return true;
  return policies.some(({ peers }) =>
    peers.some((one) =>
      "app" in one
        ? east === one.app
        : !isUnknownPod && isIn(other, one.cidr) && !one.except.some((cidr) => isIn(other, cidr)),
    ),
  );
}

const LOCAL_PODS = PODS["east"] ?? [];
const QUESTIONS = LOCAL_PODS.slice(0, 2).flatMap((pod) =>
  (["ingress", "egress"] as const).flatMap((direction) =>
    [...Object.values(PODS).flat(), ...NODES.map(({ address }) => address), ...OTHERS]
      .filter((other) => other !== pod)
      .map((other) => ({ pod, direction, other })),
  ),
);

const answers = (node: PolicyNode) =>
  QUESTIONS.map(({ pod, direction, other }) => node.allows(pod, direction, other, 80));

async function take(node: PolicyNode, world: World, steps: readonly Step[]): Promise<void> {
  for (const cluster of CLUSTERS) {
    const last = new Map(steps.map((step) => step(world)).map((one) => [`${one.cluster}/${one.key}`, one]));
    const its = [...last.values()].filter((one) => one.cluster === cluster);
    const upserts = its.flatMap(({ record }) => record ?? []);
    const kinds: Readonly<Record<string, number>> = { identities: 1, nodes: 2, endpoints: 3, policies: 18 };
    const deletes = its
      .filter(({ record }) => record === undefined)
      .map(({ key }) => ({ key, kind: kinds[key.slice(0, key.indexOf("/"))] ?? 0 }));
    await node.take(cluster === "east" ? 1 : 2, upserts, deletes);
  }
}

function createWorld(): World {
  return { identities: new Set(), endpoints: new Map(), nodes: new Map(), policies: new Map() };
}

/** With the two pods of node n1, after a first sync of nothing. */
async function startNode(): Promise<PolicyNode> {
  const node = createPolicyNode();
  await node.take(1, [], [], true);
  for (const pod of LOCAL_PODS.slice(0, 2)) node.attach(pod);
  await node.settle();
  return node;
}

test("after any history the verdicts are those of labels and addresses", async () => {
  await fc.assert(
    fc.asyncProperty(batchesOf(4), async (history) => {
      const [node, world] = [await startNode(), createWorld()];
      for (const steps of history) {
        await take(node, world, steps);
        await node.flush();
      }
      await node.settle();
      const wanted = QUESTIONS.map(({ pod, direction, other }) => expected(world, pod, direction, other));
      assert.deepEqual(describe(answers(node)), describe(wanted));
      assert.deepEqual(node.refused, []);
    }),
    { numRuns: 300 },
  );
});

function describe(all: readonly (boolean | undefined)[]): readonly string[] {
  return QUESTIONS.map(({ pod, direction, other }, i) => `${pod} ${direction} ${other}: ${all[i]}`);
}

/** What the maps of a node have at one moment. */
interface Moment {
  readonly identity: (address: string) => IdentityNumber;
  readonly set: (pod: string) => PolicySet | undefined;
  readonly rows: (set: PolicySet) => ReadonlyMap<IdentityNumber, PeerRow>;
}

function answersAt({ identity, set, rows }: Moment): readonly (boolean | undefined)[] {
  return QUESTIONS.map(({ pod, direction, other }) => {
    const its = set(pod);
    if (its === undefined) return undefined;
    return lookUp({ ...its, rows: rows(its) }, { direction, identity: identity(other), protocol: 6, port: 80 }).allow;
  });
}

/** The maps as they are now, whatever the builder does later. */
function capture(node: PolicyNode): Moment {
  const identities = new Map(QUESTIONS.map(({ other }) => [other, node.identity(other)]));
  const sets = new Map([...node.desired.subjects].map(([address, { set }]) => [address, set]));
  const rows = new Map([...sets.values()].map((set) => [set, new Map(set.rows)]));
  return {
    identity: (address) => identities.get(address) ?? node.identity(address),
    set: (pod) => sets.get(bytesKey(parseAddress(pod))),
    rows: (set) => rows.get(set) ?? set.rows,
  };
}

/** Rows that came are there already, those that went still are. */
function withRows({ rows }: Moment, changes: PolicyFlush): Moment["rows"] {
  return (set) => {
    const all = new Map(rows(set));
    for (const [number, row] of changes.rows.get(set) ?? []) if (row !== undefined) all.set(number, row);
    return all;
  };
}

test("at every moment of writing a flush, a verdict is that before or that after", async () => {
  await fc.assert(
    fc.asyncProperty(batchesOf(1), async (history) => {
      const [node, world] = [await startNode(), createWorld()];
      for (const steps of history) {
        await take(node, world, steps);
        let changes: PolicyFlush;
        do {
          const before = capture(node);
          changes = await node.flush();
          const after = capture(node);
          const rows = withRows(before, changes);
          const [old, now] = [answersAt(before), answersAt(after)];
          const moments = [
            { ...before, rows },
            {
              ...after,
              identity: before.identity,
              rows: (set: PolicySet) => new Map([...rows(set), ...after.rows(set)]),
            },
          ];
          for (const [i, moment] of moments.entries()) {
            const seen = answersAt(moment);
            for (const [q, answer] of seen.entries())
              assert.ok(
                // Of a pod that becomes a subject nothing was asked before.
                answer === old[q] || answer === now[q] || old[q] === undefined,
                `moment ${i}: ${JSON.stringify(QUESTIONS[q])} is ${answer}, before ${old[q]}, after ${now[q]}`,
              );
          }
        } while (changes.again);
      }
    }),
    { numRuns: 300 },
  );
});
