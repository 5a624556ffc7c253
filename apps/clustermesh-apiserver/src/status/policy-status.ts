/**
 * Keeps the conditions of policies of Cilium's kinds.
 *
 * In: the policies, and once a second the number of nodes that enforce each. A number that falls is written when it has not
 * changed for ten seconds: an agent that is restarted must not cause two writes to each policy.
 */
import { isDeepStrictEqual } from "node:util";
import type { KubeClient } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { policyRecordKey } from "@isthmus/records";
import { nextTurn, sleep } from "@isthmus/runtime";
import type { LocalPolicies } from "../cluster/policies/policy-feeds.js";
import type { KnownPolicy } from "../cluster/policies/policy-table.js";
import type { Leadership } from "../leader/leadership.js";
import type { EnforcedPolicies } from "../ports/enforced-policies.js";
import { createConditionWriter } from "./condition-writer.js";
import { type NodeCount, wantedPolicyConditions } from "./policy-conditions.js";

export interface PolicyStatusModules {
  /** Read once a second. */
  readonly policies: LocalPolicies;
  /** Undefined while the nodes are not known. */
  readonly enforced: () => EnforcedPolicies | undefined;
  /** Writes the conditions. */
  readonly client: KubeClient;
  /** Its wall clock dates the transitions of conditions; its monotonic time paces checks and writes. */
  readonly clock: Clock;
  /** Gets writes that failed. */
  readonly log: Logger;
  /** Conditions are written only with the Lease. */
  readonly leadership: Leadership;
}

const LOOK_MS = 1000;
const YIELD_EVERY = 500;
/** How long a number must be the same before it is written. */
const SETTLED_MS = 10_000;

/** The number that was written last, and the present one. */
interface Count {
  readonly generation: number;
  shown: NodeCount;
  now: NodeCount;
  since: number;
}

/** Nothing is checked or written before `run`, which resolves when aborted. */
export function createPolicyStatus(modules: PolicyStatusModules): { run(signal: AbortSignal): Promise<void> } {
  const { policies, clock, leadership } = modules;
  const counts = new Map<string, Count>();

  /** A number that is complete, or of another generation, counts at once. */
  function settle(key: string, generation: number, now: NodeCount): void {
    const known = counts.get(key);
    if (known?.generation !== generation || now.nodes === now.of) {
      counts.set(key, { generation, shown: now, now, since: clock.now() });
      return;
    }
    if (!isDeepStrictEqual(now, known.now)) Object.assign(known, { now, since: clock.now() });
    if (clock.now() - known.since >= SETTLED_MS) known.shown = known.now;
  }

  const writer = createConditionWriter<string>({
    ...modules,
    name: "Policy conditions",
    object(key) {
      const facts = policies.get(key)?.facts;
      if (facts === undefined) return undefined;
      const { of, namespace, name, uid, conditions } = facts;
      // Cilium's schemas have no observedGeneration; the messages name the generation.
      return { resource: of.resource, namespace, name, uid, generation: undefined, conditions };
    },
    wanted(key) {
      const policy = policies.get(key);
      return policy === undefined ? [] : wantedPolicyConditions(policy, counts.get(key)?.shown);
    },
  });

  async function lookAtAll(): Promise<void> {
    const custom = new Map([...policies.known()].filter(({ facts }) => facts.of.isCustom).map(byKey));
    for (const key of counts.keys()) if (!custom.has(key)) counts.delete(key);
    if (custom.size === 0 || !leadership.writes) return;
    const enforced = modules.enforced();
    let looked = 0;
    for (const [key, { accepted }] of custom) {
      if (accepted === undefined || enforced === undefined) counts.delete(key);
      else settle(key, accepted.generation, { nodes: enforced.on(key), of: enforced.nodes, why: enforced.why(key) });
      writer.check(key);
      if (++looked % YIELD_EVERY === 0) await nextTurn();
    }
  }

  async function look(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await lookAtAll();
      await sleep(clock, LOOK_MS, signal);
    }
  }

  return {
    async run(signal) {
      await Promise.all([look(signal), writer.run(signal)]);
    },
  };
}

function byKey(policy: KnownPolicy): readonly [string, KnownPolicy] {
  const { of, namespace, name } = policy.facts;
  return [policyRecordKey({ resource: of.resource.plural, namespace, name }), policy];
}
