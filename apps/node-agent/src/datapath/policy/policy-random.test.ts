/**
 * Random histories of pods, identities, policies and audit mode, with kills: after each write programs allow nothing that neither the state
 * before nor the one after allows, and no flow goes on that is not allowed any more.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownIdentity, PodPolicyWord } from "@isthmus/bpf";
import type { IdentityNumber } from "@isthmus/identity";
import { TCP, UDP } from "@isthmus/model";
import { lookUp, type Policy, type PolicyQuery, type PolicySet } from "@isthmus/policy";
import { createMemoryKernel, fastCheckOptions, Killed } from "@isthmus/testing";
import fc from "fast-check";
import { type PolicyView, viewPolicy } from "./testing/decide.js";
import {
  ciliumPolicy,
  createInputs,
  key,
  NUMBERS,
  networkPolicy,
  type PolicyAgent,
  startAgent,
} from "./testing/policy-node.js";

const PODS = ["10.1.0.1", "10.1.0.2", "10.1.0.3"].map(key);
const ADDRESSES = [...PODS, ...["10.1.0.4", "10.1.0.5", "10.2.0.1", "192.0.2.1"].map(key)];
const PREFIXES = ["10.1.0.0/16", "192.0.2.0/24", "0.0.0.0/0"];
const QUERIES = (["ingress", "egress"] as const).flatMap((direction) =>
  [
    [TCP, 80],
    [TCP, 443],
    [UDP, 80],
  ].map(([protocol = 0, port = 0]) => ({ direction, protocol, port })),
);
const IDENTITIES: readonly number[] = [...NUMBERS, KnownIdentity.World, (1 << 20) | KnownIdentity.Unmanaged];

const app = (name: string) => ({ podSelector: { matchLabels: { app: name } } });
const labels = (name: string) => ({ matchLabels: { app: name } });
const TCP_80 = [{ protocol: "TCP", port: 80 }];
const CILIUM_80 = [{ ports: [{ port: "80", protocol: "TCP" }] }];
const SPECS: readonly ((name: string) => Policy)[] = [
  (name) => networkPolicy(name, { podSelector: {}, policyTypes: ["Ingress"] }),
  (name) => networkPolicy(name, { ...app("a"), ingress: [{ from: [app("b")], ports: TCP_80 }] }),
  (name) => networkPolicy(name, { ...app("a"), ingress: [{ from: [app("b"), app("c")] }] }),
  (name) =>
    networkPolicy(name, { podSelector: {}, policyTypes: ["Egress"], egress: [{ to: [app("a")], ports: TCP_80 }] }),
  (name) => networkPolicy(name, { podSelector: {}, ingress: [{}] }),
  (name) => networkPolicy(name, { ...app("b"), ingress: [{ ports: [{ port: 1, endPort: 200 }] }] }),
  (name) =>
    ciliumPolicy(name, {
      endpointSelector: {},
      ingressDeny: [{ fromEndpoints: [labels("b")] }],
      enableDefaultDeny: { ingress: false },
    }),
  (name) =>
    ciliumPolicy(name, {
      endpointSelector: {},
      egressDeny: [{ toEndpoints: [labels("c")], toPorts: CILIUM_80 }],
      enableDefaultDeny: { egress: false },
    }),
];

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant("address" as const),
      address: fc.constantFrom(...ADDRESSES),
      identity: fc.option(fc.nat(NUMBERS.length - 1), { freq: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant("policy" as const),
      name: fc.constantFrom("p", "q", "r"),
      spec: fc.option(fc.nat(SPECS.length - 1), { freq: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("pod" as const), address: fc.constantFrom(...PODS) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("mode" as const), address: fc.constantFrom(...PODS) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("prefix" as const),
      prefix: fc.constantFrom(...PREFIXES),
      identity: fc.option(fc.oneof(fc.constant("exact" as const), fc.nat(NUMBERS.length - 1))),
    }),
  },
);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constant("change" as const),
      actions: fc.array(action, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("hold" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("release" as const) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("die" as const), after: fc.nat(30) }) },
);

const isReserved = (identity: number): boolean => !NUMBERS.some((one) => one === identity);
const nameOf = (...parts: readonly (string | number)[]): string => parts.join("|");

/** What desired sets and modes let pass, by pod, identity and query. */
function allowedBy(agent: PolicyAgent): Map<string, boolean> {
  const table = new Map<string, boolean>();
  for (const [pod, set] of agent.sets)
    for (const identity of IDENTITIES)
      for (const [i, query] of QUERIES.entries())
        table.set(
          nameOf(pod, identity, i),
          passes(agent, pod, set, { ...query, identity: identity as IdentityNumber }),
        );
  return table;
}

function passes({ audited }: PolicyAgent, pod: string, set: PolicySet, query: PolicyQuery): boolean {
  return audited.has(pod) || lookUp(set, query).allow;
}

/** A word that a program may have loaded. */
interface HeldWord {
  readonly pod: string;
  readonly word: bigint;
  /** What the states allowed while the pod had it. */
  states: readonly ReadonlyMap<string, boolean>[];
  lastCurrent: number;
}

/**
 * Looks at the maps after every write: as programs that begin then, and as those that loaded a pod's word before and look up
 * only now, until the end of a grace period that began after the word was replaced.
 */
function watch() {
  /** What the state before and the one after allow; a pod that neither has is not looked at. */
  let states: readonly ReadonlyMap<string, boolean>[] = [new Map()];
  /** Revisions under which programs allowed a flow, by pod, address and query. */
  const flows = new Map<string, Set<number>>();
  const violations = new Set<string>();
  const held = new Map<string, HeldWord>();
  /** Classes that rows named, which programs may read a moment later. */
  const heldClasses = new Map<number, { readonly text: string; readonly lastNamed: number }>();
  /** Identities that addresses have, or had when a program found them that looks up only now. */
  const heldIdentities = new Map<number, { readonly states: HeldWord["states"]; readonly lastNamed: number }>();
  let at = 0;

  function look({ pods, port }: Pick<PolicyAgent, "pods" | "port">): void {
    const view = viewPolicy(port);
    at++;
    for (const identity of view.identities) heldIdentities.set(identity, { states, lastNamed: at });
    const looked = IDENTITIES.filter((identity) => isReserved(identity) || heldIdentities.has(identity));
    for (const pod of pods.addresses) {
      const word = pods.policyOf(pod)?.word ?? 0n;
      const { set, audit, revision } = PodPolicyWord.fromWord(word);
      held.set(`${pod} ${set} ${audit}`, { pod, word, states, lastCurrent: at });
      for (const [i, query] of QUERIES.entries()) {
        for (const identity of looked) {
          const known = statesOf(identity).map((state) => state.get(nameOf(pod, identity, i)));
          const allows = view.allows(word, { ...query, identity });
          if (!known.includes(undefined) && !known.includes(allows))
            violations.add(
              `${allows ? "allowed" : "denied"}: ${JSON.stringify({ identity, set, revision, ...query })}`,
            );
        }
        if (set !== 0) noteFlows(view, pod, word, i);
      }
    }
    for (const one of held.values()) if (one.lastCurrent < at) lookLate(view, one, looked);
    for (const [number, text] of view.namedClasses) heldClasses.set(number, { text, lastNamed: at });
    for (const [number, { text }] of heldClasses)
      if (view.classText(number) !== text)
        violations.add(`class ${number} is ${view.classText(number)}, it was ${text}`);
  }

  /** What was desired since an address had the identity. */
  function statesOf(identity: number): readonly ReadonlyMap<string, boolean>[] {
    return [...(heldIdentities.get(identity)?.states ?? []), ...states];
  }

  function lookLate(view: PolicyView, { pod, word, states: then }: HeldWord, looked: readonly number[]): void {
    for (const [i, query] of QUERIES.entries()) {
      for (const identity of looked) {
        if (!view.allows(word, { ...query, identity })) continue;
        const known = [...then, ...statesOf(identity)].map((state) => state.get(nameOf(pod, identity, i)));
        if (!known.includes(true) && !known.includes(undefined))
          violations.add(
            `allowed by an earlier word: ${JSON.stringify({ identity, ...PodPolicyWord.fromWord(word), ...query })}`,
          );
      }
    }
  }

  function noteFlows(view: PolicyView, pod: string, word: bigint, i: number): void {
    const query = QUERIES[i];
    for (const address of query === undefined ? [] : ADDRESSES) {
      if (query === undefined || !view.allows(word, { ...query, identity: view.identityOf(address) })) continue;
      const flow = nameOf(pod, address, i);
      flows.set(flow, (flows.get(flow) ?? new Set()).add(PodPolicyWord.fromWord(word).revision));
    }
  }

  return {
    violations,
    look,
    /** The port of a process, with its grace periods watched. */
    follow<Port extends { gracePeriod(): Promise<void> }>(port: Port): Port & { applyGracePeriod(): Promise<void> } {
      const watched = async (grace: () => Promise<void>): Promise<void> => {
        const began = at;
        await grace();
        for (const [name, { lastCurrent }] of held) if (lastCurrent < began) held.delete(name);
        for (const [identity, { lastNamed }] of heldIdentities) if (lastNamed < began) heldIdentities.delete(identity);
        for (const [number, { lastNamed }] of heldClasses) if (lastNamed < began) heldClasses.delete(number);
      };
      return {
        ...port,
        gracePeriod: () => watched(() => port.gracePeriod()),
        applyGracePeriod: () => watched(async () => undefined),
      };
    },
    expect(next: readonly ReadonlyMap<string, boolean>[]): void {
      states = next;
    },
    get states() {
      return states;
    },
    /** Another pod gets the address: it allows everything until its first policy. */
    begin(pod: string): void {
      states = states.map((state) => new Map([...state].filter(([name]) => !name.startsWith(nameOf(pod, "")))));
    },
    /** Every flow that passes without being asked about would be allowed. */
    checkFlows({ pods, port }: PolicyAgent): void {
      const view = viewPolicy(port);
      for (const pod of pods.addresses) {
        const word = pods.policyOf(pod)?.word ?? 0n;
        const { set, revision } = PodPolicyWord.fromWord(word);
        for (const address of set === 0 ? [] : ADDRESSES)
          for (const [i, query] of QUERIES.entries()) {
            if (flows.get(nameOf(pod, address, i))?.has(revision) !== true) continue;
            const identity = view.identityOf(address);
            if (!view.allows(word, { ...query, identity }))
              violations.add(
                `flow of ${address.charCodeAt(15)} goes on: ${JSON.stringify({ set, revision, identity, ...query })}`,
              );
          }
      }
    },
  };
}

/** Programs decide as the desired sets say, and addresses have the desired identities. */
function checkServed(agent: PolicyAgent, addresses: ReadonlyMap<string, number>): void {
  const view = viewPolicy(agent.port);
  const found = IDENTITIES.filter((identity) => isReserved(identity) || view.identities.has(identity));
  for (const [pod, set] of agent.sets) {
    const held = agent.pods.policyOf(pod);
    if (held === undefined) continue;
    for (const identity of found)
      for (const query of QUERIES)
        assert.equal(
          view.allows(held.word, { ...query, identity }),
          passes(agent, pod, set, { ...query, identity: identity as IdentityNumber }),
          `${pod.charCodeAt(15)} ${identity} ${JSON.stringify(query)}`,
        );
  }
  for (const [address, i] of addresses) assert.equal(view.identityOf(address), NUMBERS[i]);
}

test("random changes and kills: nothing is allowed between two states that neither allows, and no flow goes on that is denied", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const kernel = createMemoryKernel();
      const inputs = createInputs();
      const watched = watch();
      let port = watched.follow(kernel.open());
      let agent = await startAgent(port, inputs);
      const follow = (): void => kernel.log.onWrite(() => watched.look(agent));
      follow();

      async function restart(): Promise<void> {
        kernel.releaseGrace();
        kernel.log.onWrite(undefined);
        port = watched.follow(kernel.open());
        agent = await startAgent(port, inputs);
        // What the dead one did not write of pods that came and went.
        for (const pod of [...agent.pods.addresses]) if (!inputs.pods.has(pod)) agent.pods.remove(pod);
        follow();
        await settle();
      }

      /** Writes the desired state; looks at each write, with the states before, of which a killed agent left any. */
      async function settle(): Promise<void> {
        agent.flush();
        const next = allowedBy(agent);
        watched.expect([...watched.states, next]);
        await agent.apply();
        watched.expect([next]);
        checkServed(agent, inputs.addresses);
        watched.checkFlows(agent);
      }

      for (const one of steps) {
        if (one.what === "hold") kernel.holdGrace();
        else if (one.what === "release") kernel.releaseGrace();
        else if (one.what === "die") kernel.log.killBefore(one.after);
        else {
          const came: string[] = [];
          const went: string[] = [];
          for (const each of one.actions) {
            if (each.what === "policy") {
              const make = each.spec === null ? undefined : SPECS[each.spec];
              if (make === undefined) inputs.policies.delete(each.name);
              else inputs.policies.set(each.name, make(each.name));
            } else if (each.what === "prefix") {
              if (each.identity === null) inputs.prefixes.delete(each.prefix);
              else inputs.prefixes.set(each.prefix, each.identity);
            } else if (each.what === "mode") {
              if (!inputs.audited.delete(each.address)) inputs.audited.add(each.address);
            } else if (each.what === "pod") {
              if (inputs.pods.delete(each.address)) went.push(each.address);
              else {
                inputs.pods.add(each.address);
                came.push(each.address);
              }
            } else if (each.identity === null) inputs.addresses.delete(each.address);
            else inputs.addresses.set(each.address, each.identity);
          }
          try {
            for (const address of went) agent.pods.remove(address);
            for (const address of came)
              if (inputs.pods.has(address) && agent.pods.policyOf(address) === undefined) {
                watched.begin(address);
                agent.pods.add(address, 0n);
              }
            await settle();
          } catch (thrown) {
            if (!(thrown instanceof Killed)) throw thrown;
            await restart();
          }
        }
        assert.deepEqual([...watched.violations], []);
      }
      kernel.releaseGrace();
      await agent.settled().catch((thrown: unknown) => {
        if (!(thrown instanceof Killed)) throw thrown;
      });
      await restart();
      await agent.settled();
      assert.deepEqual([...agent.status.errors], []);
      assert.deepEqual([...watched.violations], []);

      const fresh = createMemoryKernel().open();
      const other = await startAgent(fresh, inputs);
      for (const pod of agent.pods.addresses) other.pods.add(pod, 0n);
      await other.update();
      await other.settled();
      const enforced = [...other.sets.keys()].filter((pod) => other.pods.policyOf(pod) !== undefined);
      if (enforced.length === [...agent.pods.addresses].length)
        assert.deepEqual(viewPolicy(port.policy).counts, viewPolicy(fresh.policy).counts);
      assert.deepEqual(
        agent.fill().map(({ used }) => used),
        Object.values(viewPolicy(port.policy).counts),
      );
    }),
    fastCheckOptions(60),
  );
});
