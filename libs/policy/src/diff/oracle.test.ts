/** Random changes of policies: each flip is what the documentation says of the policies before and after, and none is missing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { IdentityNumber } from "@isthmus/identity";
import { formatPrefix, type Prefix } from "@isthmus/model";
import fc from "fast-check";
import type { Direction, Policy } from "../model/policy.js";
import { lookUp } from "../resolve/look-up.js";
import { policyPrefixes } from "../resolve/needed-prefixes.js";
import type { Identity } from "../resolve/peer-registry.js";
import { createPolicyEngine, type PolicyEngine } from "../resolve/policy-engine.js";
import { ciliumAllows } from "../testing/cilium-oracle.js";
import { ciliumArbitrary, meshArbitrary, PORTS, policyArbitrary } from "../testing/generate.js";
import { LOCAL, type TestMesh, type TestPod } from "../testing/mesh.js";
import { acceptedCiliumPolicy, acceptedPolicy, learnIdentities, PROTOCOLS, podPorts } from "../testing/node.js";
import { oracleAllows, type TestEnd } from "../testing/oracle.js";
import { diffPolicies, type PolicyDiff } from "./diff-policies.js";
import type { DecidedPorts, VerdictFlip } from "./flip-list.js";

type Oracle = (pod: TestPod, direction: Direction, end: TestEnd, protocol: string, port: number) => boolean;

/** Policies, and what they mean. */
interface State {
  readonly policies: readonly Policy[];
  readonly allows: Oracle;
}

const named = ({ metadata }: { readonly metadata: { readonly namespace?: string; readonly name: string } }) =>
  `${metadata.namespace}/${metadata.name}`;

/** Some stay, some change, some come, some go. */
function changes<T extends { readonly metadata: { readonly namespace?: string; readonly name: string } }>(
  policy: fc.Arbitrary<T>,
): fc.Arbitrary<readonly [readonly T[], readonly T[]]> {
  const some = fc.uniqueArray(policy, { maxLength: 4, selector: named });
  return fc.tuple(some, some, fc.array(fc.boolean(), { minLength: 4, maxLength: 4 })).map(([before, fresh, stays]) => {
    const kept = before.filter((_, i) => stays[i]);
    const names = new Set(kept.map(named));
    return [before, [...fresh.filter((one) => !names.has(named(one))), ...kept.map((one) => structuredClone(one))]];
  });
}

test("what a change of NetworkPolicies flips is what their documentation says, for every pair and port", () => {
  fc.assert(
    fc.property(meshArbitrary, changes(policyArbitrary), (mesh, states) => {
      const [before, after] = states.map((policies): State => {
        const its = { ...mesh, policies };
        return { policies: policies.map(acceptedPolicy), allows: (...asked) => oracleAllows(its, ...asked) };
      });
      if (before !== undefined && after !== undefined) compare(mesh, before, after, { ...PROTOCOLS, ICMP: 1 });
    }),
    { numRuns: 100 },
  );
});

test("what a change of Cilium's policies flips is what their documentation says, for every pair and port", () => {
  fc.assert(
    fc.property(meshArbitrary, changes(ciliumArbitrary), (mesh, states) => {
      const [before, after] = states.map(
        (policies): State => ({
          policies: policies.map(acceptedCiliumPolicy),
          allows: (...asked) => ciliumAllows(policies, ...asked),
        }),
      );
      if (before !== undefined && after !== undefined) compare(mesh, before, after, PROTOCOLS);
    }),
    { numRuns: 100 },
  );
});

function compare(mesh: TestMesh, before: State, after: State, protocols: Readonly<Record<string, number>>): void {
  const all = [...before.policies, ...after.policies].flatMap(policyPrefixes);
  const prefixes: ReadonlyMap<string, Prefix> = new Map(all.map((prefix) => [formatPrefix(prefix), prefix]));
  const identities = new Map<IdentityNumber, Identity>();
  const setIdentity = (number: IdentityNumber, identity: Identity) => void identities.set(number, identity);
  const identityOf = learnIdentities({ prefixes, setIdentity }, mesh);
  const local = mesh.pods.filter(({ cluster }) => cluster === LOCAL);
  const subjects = new Map(
    local.map((pod) => [pod.name, { identity: identityOf(pod.address), ports: podPorts(pod) }] as const),
  );
  const engines = [before, after].map(({ policies }) => {
    const engine = createPolicyEngine();
    for (const [number, identity] of identities) engine.setIdentity(number, identity);
    for (const [id, subject] of subjects) engine.setSubject(id, subject);
    for (const policy of policies) engine.setPolicy(policy);
    engine.commit();
    return engine;
  });
  const peers = new Set(identities.keys());
  const input = { identities, peers, subjects, before: before.policies, after: after.policies, mostFlips: 1000 };
  const work = diffPolicies(input);
  let step = work.next();
  while (step.done !== true) step = work.next();
  const diff = step.value;
  for (const pod of local) {
    for (const end of [...mesh.pods, ...mesh.outside]) {
      const peer = identityOf(typeof end === "string" ? end : end.address);
      for (const direction of ["ingress", "egress"] as const) {
        for (const [name, protocol] of Object.entries(protocols)) {
          for (const port of PORTS) {
            const asked = [pod, direction, end, name, port] as const;
            const [was, is] = [before.allows(...asked), after.allows(...asked)];
            const of = { subject: pod.name, direction, peer, protocol, port };
            const question = () => `${pod.name} ${direction} ${JSON.stringify(end)} ${port}/${name}`;
            const [denied, allowed] = [flipsOf(diff.denied.flips, of), flipsOf(diff.allowed.flips, of)];
            if (denied.length !== Number(was && !is) || allowed.length !== Number(is && !was))
              assert.fail(
                `${question()}: allowed ${was} before, ${is} after; ${denied.length}, ${allowed.length} flips`,
              );
            for (const { before, after } of [...denied, ...allowed])
              assert.deepEqual(
                [before, after],
                engines.map((engine) => decisionOf(engine, of)),
                question(),
              );
          }
        }
      }
    }
  }
  countPairs(diff);
}

interface Question {
  readonly subject: string;
  readonly direction: Direction;
  readonly peer: IdentityNumber;
  readonly protocol: number;
  readonly port: number;
}

function flipsOf(flips: readonly VerdictFlip[], question: Question): readonly DecidedPorts[] {
  const { subject, direction, peer, protocol, port } = question;
  return flips
    .filter((flip) => flip.direction === direction && flip.subjects.includes(subject) && flip.peers.includes(peer))
    .flatMap(({ ports }) => ports)
    .filter((one) => (one.protocol === undefined ? !one.except.includes(protocol) : one.protocol === protocol))
    .filter(({ first, last }) => first <= port && port <= last);
}

/** What decides, as whole engines say. */
function decisionOf(engine: PolicyEngine, { subject, direction, peer, protocol, port }: Question): object {
  const set = engine.setOf(subject);
  assert.ok(set !== undefined);
  const { allow, rule } = lookUp(set, { direction, identity: peer, protocol, port });
  const isolating = engine.policiesOf(subject).filter(({ isolates }) => isolates.has(direction));
  const isolatedBy = allow || rule !== 0 ? [] : [...new Set(isolating.map(({ policy }) => policy))];
  return { rules: engine.rulesOf(rule), isolatedBy };
}

/** Each pair is in one flip of each kind and direction. */
function countPairs({ denied, allowed }: PolicyDiff): void {
  for (const { flips, pairs } of [denied, allowed]) {
    for (const direction of ["ingress", "egress"] as const) {
      const its = flips.filter((flip) => flip.direction === direction);
      const all = its.flatMap(({ subjectIdentities, peers }) =>
        [...subjectIdentities].flatMap((one) => peers.map((peer) => `${one} ${peer}`)),
      );
      assert.deepEqual([pairs[direction], new Set(all).size], [all.length, all.length]);
    }
  }
}
