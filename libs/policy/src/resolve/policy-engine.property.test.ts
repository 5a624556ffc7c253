import assert from "node:assert/strict";
import { test } from "node:test";
import type { IdentityNumber } from "@isthmus/identity";
import { parsePrefix } from "@isthmus/model";
import fc from "fast-check";
import { type Policy, policyKey } from "../model/policy.js";
import { ciliumArbitrary, meshArbitrary, PORTS, policyArbitrary } from "../testing/generate.js";
import { acceptedCiliumPolicy, acceptedPolicy, localNumber, podLabels, podPorts } from "../testing/node.js";
import { lookUp } from "./look-up.js";
import type { Identity } from "./peer-registry.js";
import { createPolicyEngine, type PolicyChange, type PolicyEngine, type Subject } from "./policy-engine.js";
import type { PeerRow, PolicySet } from "./policy-set.js";

/** Everything that an engine was given and still has. */
interface Inputs {
  readonly identities: Map<IdentityNumber, Identity>;
  readonly policies: Map<string, Policy>;
  readonly subjects: Map<string, Subject>;
}

type Step = (engine: PolicyEngine, inputs: Inputs) => void;

const numbers = fc.integer({ min: 256, max: 263 }).map(localNumber);

const identities: fc.Arbitrary<Identity> = fc.oneof(
  meshArbitrary.map((mesh) => {
    const [pod] = mesh.pods;
    return pod === undefined ? { labels: new Map() } : { labels: podLabels(mesh, pod), ports: podPorts(pod) };
  }),
  fc
    .constantFrom("10.0.0.0/8", "10.0.0.0/24", "10.0.0.4/30", "0.0.0.0/0", "::/0", "fd00::/16")
    .map((text) => ({ labels: new Map([["reserved:world", ""]]), prefix: parsePrefix(text) })),
);

const policies: fc.Arbitrary<Policy> = fc.oneof(
  policyArbitrary.map(acceptedPolicy),
  ciliumArbitrary.map(acceptedCiliumPolicy),
);

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(numbers, identities).map(
    ([number, identity]): Step =>
      (engine, inputs) => {
        engine.setIdentity(number, identity);
        inputs.identities.set(number, identity);
      },
  ),
  numbers.map(
    (number): Step =>
      (engine, inputs) => {
        engine.deleteIdentity(number);
        inputs.identities.delete(number);
      },
  ),
  policies.map(
    (policy): Step =>
      (engine, inputs) => {
        engine.setPolicy(policy);
        inputs.policies.set(policyKey(policy), policy);
      },
  ),
  policies.map(
    (policy): Step =>
      (engine, inputs) => {
        engine.deletePolicy(policyKey(policy));
        inputs.policies.delete(policyKey(policy));
      },
  ),
  fc.tuple(fc.constantFrom("x", "y", "z"), numbers, identities).map(
    ([id, identity, { ports = [] }]): Step =>
      (engine, inputs) => {
        engine.setSubject(id, { identity, ports });
        inputs.subjects.set(id, { identity, ports });
      },
  ),
  fc.constantFrom("x", "y", "z").map(
    (id): Step =>
      (engine, inputs) => {
        engine.deleteSubject(id);
        inputs.subjects.delete(id);
      },
  ),
);

/** Identities and subjects to begin with, so that most steps change something. */
const first: fc.Arbitrary<Step[]> = fc
  .tuple(fc.array(identities, { minLength: 8, maxLength: 8 }), fc.array(policies, { maxLength: 4 }))
  .map(([known, its]) => [
    ...known.map(
      (identity, i): Step =>
        (engine, inputs) => {
          engine.setIdentity(localNumber(256 + i), identity);
          inputs.identities.set(localNumber(256 + i), identity);
        },
    ),
    ...its.map(
      (policy): Step =>
        (engine, inputs) => {
          engine.setPolicy(policy);
          inputs.policies.set(policyKey(policy), policy);
        },
    ),
    ...["x", "y", "z"].map(
      (id, i): Step =>
        (engine, inputs) => {
          const subject = { identity: localNumber(256 + i), ports: known[i]?.ports ?? [] };
          engine.setSubject(id, subject);
          inputs.subjects.set(id, subject);
        },
    ),
  ]);

/** Each inner list is committed at once. */
const histories = fc
  .tuple(first, fc.array(fc.array(steps, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 }))
  .map(([begin, rest]) => [begin, ...rest]);

test("after any history the engine has the state of a new one that is given what is left", () => {
  fc.assert(
    fc.property(histories, (history) => {
      const engine = createPolicyEngine();
      const inputs: Inputs = { identities: new Map(), policies: new Map(), subjects: new Map() };
      for (const commit of history) {
        for (const step of commit) step(engine, inputs);
        engine.commit();
        assert.deepEqual(stateOf(engine, inputs), stateOf(freshEngine(inputs), inputs));
      }
    }),
    { numRuns: 300 },
  );
});

test("who follows what commits report has the same sets, and rows change in place only for identities that came or went", () => {
  fc.assert(
    fc.property(histories, (history) => {
      const engine = createPolicyEngine();
      const inputs: Inputs = { identities: new Map(), policies: new Map(), subjects: new Map() };
      const follower = createFollower();
      for (const commit of history) {
        const known = new Set(inputs.identities.keys());
        for (const step of commit) step(engine, inputs);
        const change = engine.commit();
        for (const rows of change.rows.values())
          for (const number of rows.keys())
            assert.ok(!(known.has(number) && inputs.identities.has(number)), "a row of an identity that stayed");
        follower.follow(change, inputs);
        for (const id of inputs.subjects.keys()) assert.deepEqual(follower.copyOf(id), rowsOf(engine.setOf(id)));
      }
    }),
    { numRuns: 300 },
  );
});

test("a commit that takes away what was allowed says so", () => {
  let tightened = 0;
  fc.assert(
    fc.property(histories, (history) => {
      const engine = createPolicyEngine();
      const inputs: Inputs = { identities: new Map(), policies: new Map(), subjects: new Map() };
      for (const commit of history) {
        const known = [...inputs.identities.keys()];
        const before = new Map([...inputs.subjects.keys()].map((id) => [id, allowedBy(engine.setOf(id), known)]));
        for (const step of commit) step(engine, inputs);
        const { subjects } = engine.commit();
        const stayed = known.filter((number) => inputs.identities.has(number));
        for (const [id, allowed] of before) {
          // A subject that was deleted and set again is a new one.
          const set = engine.setOf(id);
          if (set === undefined || subjects.get(id)?.tightens === true) continue;
          const now = new Set(allowedBy(set, stayed));
          for (const flow of allowed) {
            const [number] = flow.split(" ");
            assert.ok(now.has(flow) || !stayed.includes(Number(number) as IdentityNumber), `${id} lost ${flow}`);
          }
        }
        if ([...subjects.values()].some(({ tightens }) => tightens)) tightened++;
      }
    }),
    { numRuns: 200 },
  );
  assert.ok(tightened > 20, "no history tightened anything");
});

function freshEngine({ identities: known, policies, subjects }: Inputs): PolicyEngine {
  const engine = createPolicyEngine();
  for (const [id, subject] of [...subjects].reverse()) engine.setSubject(id, subject);
  for (const policy of [...policies.values()].reverse()) engine.setPolicy(policy);
  for (const [number, identity] of [...known].reverse()) engine.setIdentity(number, identity);
  engine.commit();
  return engine;
}

function stateOf(engine: PolicyEngine, { subjects }: Inputs): unknown {
  return {
    prefixes: [...engine.prefixes.keys()].sort(),
    sets: [...subjects.keys()].map((id) => [id, engine.setOf(id)?.digest, rowsOf(engine.setOf(id))]),
  };
}

function rowsOf(set: PolicySet | undefined): unknown {
  if (set === undefined) return undefined;
  return { others: set.others.key, rows: sorted(set.rows) };
}

function sorted(rows: ReadonlyMap<IdentityNumber, { readonly key: string }>): ReadonlyMap<number, string> {
  return new Map([...rows].sort(([a], [b]) => a - b).map(([number, { key }]): [number, string] => [number, key]));
}

/** Keeps copies of sets by what commits report only. */
function createFollower() {
  const sets = new Map<PolicySet, Map<IdentityNumber, PeerRow>>();
  const current = new Map<string, PolicySet | undefined>();
  return {
    follow(change: PolicyChange, { subjects }: Inputs): void {
      for (const [set, rows] of change.rows) {
        for (const [number, row] of rows) {
          if (row === undefined) sets.get(set)?.delete(number);
          else sets.get(set)?.set(number, row);
        }
      }
      for (const [id, { set }] of change.subjects) {
        current.set(id, set);
        if (set !== undefined && !sets.has(set)) sets.set(set, new Map(set.rows));
      }
      for (const id of current.keys()) if (!subjects.has(id)) current.delete(id);
    },
    copyOf(id: string): unknown {
      const set = current.get(id);
      return set && { others: set.others.key, rows: sorted(sets.get(set) ?? new Map()) };
    },
  };
}

function allowedBy(set: PolicySet | undefined, known: readonly IdentityNumber[]): readonly string[] {
  if (set === undefined) return [];
  return known.flatMap((identity) =>
    (["ingress", "egress"] as const).flatMap((direction) =>
      [1, 6, 17].flatMap((protocol) =>
        PORTS.filter((port) => lookUp(set, { direction, identity, protocol, port }).allow).map(
          (port) => `${identity} ${direction} ${protocol} ${port}`,
        ),
      ),
    ),
  );
}
