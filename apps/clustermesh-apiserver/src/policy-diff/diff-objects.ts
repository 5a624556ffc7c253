/**
 * Answers what a change of policies would flip, before it is made.
 *
 * ```
 *   objects ─► previews: what would be in force, findings ─┐
 *   policies in force ─────────────────────────────────────┴─► prefixes ─► ends of flows ─► flips ─► answer
 * ```
 * The work is done in turns, so that streams continue meanwhile. A change with a finding is not compared: what of it would be in
 * force is not what its writer wants.
 */
import { isDeepStrictEqual } from "node:util";
import type { IdentityNumber } from "@isthmus/identity";
import { formatPrefix, printable } from "@isthmus/model";
import { diffPolicies, type Policy, type PolicyKind, policyKey, policyPrefixes } from "@isthmus/policy";
import {
  type DiffPoliciesRequest,
  type DiffPoliciesResponse,
  type FlipTotals,
  type IncompleteCluster,
  Kind,
  PeerState,
  PolicyAction,
  type PolicyDifference,
  type PolicyName,
} from "@isthmus/proto";
import { policyRecordKey } from "@isthmus/records";
import { inTurns, type Slices } from "@isthmus/runtime";
import { type AcceptedPolicy, parsePolicy } from "../cluster/policies/accepted-policy.js";
import type { PolicyFacts } from "../cluster/policies/policy-facts.js";
import type { LocalPolicies } from "../cluster/policies/policy-feeds.js";
import { type ObjectChange, type PolicyPreview, previewPolicies } from "../cluster/policies/policy-preview.js";
import { POLICY_RESOURCES, type PolicyResource } from "../cluster/policies/policy-resources.js";
import type { KnownPolicy } from "../cluster/policies/policy-table.js";
import type { StreamSources } from "../ports/stream-source.js";
import type { LocalClusterName } from "../serve/admin/policy-view.js";
import { type MeshEnds, readMeshEnds } from "./mesh-ends.js";
import { readRequest } from "./read-request.js";
import { reportFlips } from "./report.js";

export interface DiffObjectsModules {
  /** Of this server; the local cluster first. */
  readonly sources: Pick<StreamSources, "all">;
  /** Of the local cluster. */
  readonly policies: Pick<LocalPolicies, "known" | "context">;
  /** Whose policies and pods are compared. */
  readonly local: LocalClusterName;
}

/** Flips of each kind in the answer. */
const MAX_FLIPS = 100;
/** And their bytes. */
const MAX_FLIP_BYTES = 2 << 20;
/** Findings of one policy; the first ones say enough. */
const MAX_FINDINGS = 10;
/** What the identities of pods are known by. */
const IDENTITY_KINDS = [Kind.KIND_IDENTITY, Kind.KIND_ENDPOINT];
const NO_FLIPS: FlipTotals = { ingressPairs: 0n, egressPairs: 0n, moreFlips: 0 };

/** Rejects with an `adminError` for a request that cannot be read. */
export async function diffObjects(
  request: DiffPoliciesRequest,
  modules: DiffObjectsModules,
): Promise<DiffPoliciesResponse> {
  const change = await readRequest(request);
  return inTurns(answer(request, change, modules));
}

function* answer(
  { deleted }: DiffPoliciesRequest,
  change: ObjectChange,
  { sources, policies, local }: DiffObjectsModules,
): Slices<DiffPoliciesResponse> {
  const known = [...policies.known()];
  const previews = yield* previewPolicies(change, { known, context: policies.context(), cluster: local.cluster });
  const missing = deleted.filter((name) => !previews.has(recordKey(name))).map(missingPolicy);
  const differences = [...missing, ...[...previews.values()].map(difference)];
  if (differences.every(({ action }) => action === PolicyAction.POLICY_ACTION_KEEP) || differences.some(hasFindings))
    return { policies: differences, flips: [], denied: NO_FLIPS, allowed: NO_FLIPS, incomplete: [] };
  const { before, after } = yield* readPolicies(known, previews, local.cluster);
  const prefixes = new Map([...before, ...after].flatMap(policyPrefixes).map((one) => [formatPrefix(one), one]));
  const ends = yield* readMeshEnds([...sources.all], local, [...prefixes.values()]);
  const { identities, subjects } = ends;
  const peers = new Set(ends.peers.keys());
  const diff = yield* diffPolicies({ identities, peers, subjects, before, after, mostFlips: MAX_FLIPS });
  const denied = yield* reportFlips(diff.denied, false, ends, MAX_FLIP_BYTES);
  const allowed = yield* reportFlips(diff.allowed, true, ends, MAX_FLIP_BYTES);
  const pods = podCounts(ends);
  return {
    policies: differences.map((one) => {
      const selected = one.policy && diff.selected.get(nameKey(one.policy));
      // It is written differently and means the same.
      if (selected === undefined) return { ...one, action: PolicyAction.POLICY_ACTION_KEEP };
      return { ...one, pods: [...selected].reduce((sum, number) => sum + (pods.get(number) ?? 0), 0) };
    }),
    flips: [...denied.flips, ...allowed.flips],
    denied: denied.totals,
    allowed: allowed.totals,
    incomplete: incompleteClusters(sources.all),
  };
}

function incompleteClusters(sources: StreamSources["all"]): IncompleteCluster[] {
  return sources.flatMap((source) => {
    const state = source.state().status;
    const isComplete =
      state === PeerState.PEER_STATE_IN_SYNC && IDENTITY_KINDS.every((kind) => source.verifiesAbsence(kind));
    return isComplete ? [] : [{ cluster: source.cluster, state }];
  });
}

/** What is in force, and what would be. */
function* readPolicies(
  known: readonly KnownPolicy[],
  previews: ReadonlyMap<string, PolicyPreview>,
  cluster: string,
): Slices<{ readonly before: readonly Policy[]; readonly after: readonly Policy[] }> {
  const [before, after]: [Policy[], Policy[]] = [[], []];
  for (const { facts, accepted } of known) {
    const policies = readPolicy(facts.of, accepted, cluster);
    before.push(...policies);
    if (!previews.has(factsKey(facts))) after.push(...policies);
    yield;
  }
  for (const { facts, after: content } of previews.values()) {
    after.push(...readPolicy(facts.of, content, cluster));
    yield;
  }
  return { before, after };
}

/** None for a policy of which nothing is in force. */
function readPolicy(of: PolicyResource, content: AcceptedPolicy | undefined, cluster: string): readonly Policy[] {
  if (content === undefined) return [];
  const parsed = parsePolicy(of, content, cluster);
  return parsed.ok ? [parsed.policy] : [];
}

function difference(preview: PolicyPreview): PolicyDifference {
  const { facts, findings } = preview;
  const policy = { kind: facts.of.resource.kind, namespace: facts.namespace, name: printable(facts.name, 300) };
  const sentences = findings.slice(0, MAX_FINDINGS).map(({ sentence }) => sentence);
  return { policy, action: actionOf(preview), findings: sentences, pods: 0 };
}

function actionOf({ isKnown, before, after, findings }: PolicyPreview): PolicyAction {
  if (!isKnown) return PolicyAction.POLICY_ACTION_CREATE;
  if (after === undefined && findings.length === 0) return PolicyAction.POLICY_ACTION_DELETE;
  const isSame = before !== undefined && after !== undefined && sameContent(before, after);
  return isSame && findings.length === 0 ? PolicyAction.POLICY_ACTION_KEEP : PolicyAction.POLICY_ACTION_CHANGE;
}

/** Whatever their generations are. */
function sameContent(a: AcceptedPolicy, b: AcceptedPolicy): boolean {
  return isDeepStrictEqual({ ...a, generation: 0 }, { ...b, generation: 0 });
}

function missingPolicy(policy: PolicyName): PolicyDifference {
  const name = policyKey({ ...policy, kind: policy.kind as PolicyKind });
  const finding = `The cluster has no ${printable(name, 600)}: see mesh policy list`;
  return { policy, action: PolicyAction.POLICY_ACTION_DELETE, findings: [finding], pods: 0 };
}

function hasFindings({ findings }: PolicyDifference): boolean {
  return findings.length > 0;
}

/** Pods of the local cluster by their identity. */
function podCounts({ subjects, subjectEnds }: MeshEnds): ReadonlyMap<IdentityNumber, number> {
  const counts = new Map<IdentityNumber, number>();
  for (const [id, { pods }] of subjectEnds) {
    const identity = subjects.get(id)?.identity;
    if (identity !== undefined) counts.set(identity, (counts.get(identity) ?? 0) + pods.size);
  }
  return counts;
}

function factsKey({ of, namespace, name }: PolicyFacts): string {
  return policyRecordKey({ resource: of.resource.plural, namespace, name });
}

/** `readRequest` has let only known kinds pass. */
function recordKey({ kind, namespace, name }: PolicyName): string {
  const of = POLICY_RESOURCES.find(({ resource }) => resource.kind === kind);
  return policyRecordKey({ resource: of?.resource.plural ?? "", namespace, name });
}

function nameKey({ kind, namespace, name }: PolicyName): string {
  return policyKey({ kind: kind as PolicyKind, namespace, name });
}
