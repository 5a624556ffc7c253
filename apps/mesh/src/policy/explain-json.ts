/** `mesh policy explain -o json` (pure). Fields may be added; changing one needs another `schemaVersion`. */
import { formatAddress } from "@isthmus/model";
import type { EventIdentity, PolicyEntries, PolicyRule } from "@isthmus/proto";
import { labelsJson } from "../identity/identity-text.js";
import {
  differences,
  type EndView,
  type Explanation,
  type FlowEnd,
  mapsAgree,
  mapsProblem,
  verdictAt,
  verdictOf,
} from "./explanation.js";
import { policyNameJson, ruleJson } from "./names.js";
import { protocolText } from "./ports.js";

/** The whole document. */
export function explanationJson(explanation: Explanation): object {
  const { source, destination, protocol, port, views, missing } = explanation;
  const { verdict, why } = verdictOf(explanation);
  return {
    verdict,
    reason: why === "" ? null : why,
    mapsAgree: mapsAgree(explanation) ?? null,
    source: endJson(source),
    destination: endJson(destination),
    protocol: protocolText(protocol),
    ...(protocol === 1 ? { icmpType: port >> 8 } : { port }),
    ends: views.map(viewJson),
    ...(missing === undefined ? {} : { notAsked: missing }),
  };
}

function endJson({ cluster, namespace, pod, address }: FlowEnd): object {
  return { ...(pod === "" ? {} : { cluster, namespace, pod }), address: formatAddress(address) };
}

function viewJson(view: EndView): object {
  const { direction, pod, answer } = view;
  const { policies, other, node, maps, unapplied, refused } = answer;
  const problem = mapsProblem(view);
  return {
    ...{ direction, cluster: answer.cluster, namespace: pod.namespace, pod: pod.pod, node: node?.node ?? null },
    identity: identityJson(answer.pod?.identity),
    other: {
      identity: identityJson(other?.identity),
      ...(other?.pod ? { cluster: other.cluster, namespace: other.namespace, pod: other.pod } : {}),
    },
    verdict: verdictAt(view),
    rules: policies === undefined ? null : rulesJson(policies.rules),
    selectedBy: (policies?.selecting ?? []).map(({ policy, isolates }) => ({ ...policyNameJson(policy), isolates })),
    ...(policies !== undefined && policies.moreSelecting > 0 ? { moreSelectedBy: policies.moreSelecting } : {}),
    maps: problem === undefined && maps !== undefined ? mapsJson(maps) : null,
    ...(problem === undefined ? {} : { mapsProblem: problem }),
    differences: differences(view),
    notApplied: unapplied,
    refused,
  };
}

function identityJson(identity: EventIdentity | undefined): object | null {
  if (identity === undefined) return null;
  return { number: identity.number === 0 ? null : identity.number, ...labelsJson(identity) };
}

function rulesJson(rules: readonly PolicyRule[]): readonly object[] {
  return rules.map(ruleJson);
}

function mapsJson({
  endpoint,
  identity,
  set,
  revision,
  other,
  otherIdentity,
  peer,
  port,
  allowed,
  audited,
  rule,
  rules,
}: PolicyEntries): object {
  return {
    verdict: endpoint === 0 ? null : allowed ? "allowed" : audited ? "audited" : "denied",
    rule,
    rules: rulesJson(rules),
    endpoint: endpoint === 0 ? null : { row: endpoint, identity, set, revision },
    ipcache:
      other === undefined ? null : { ...other, labels: otherIdentity === undefined ? null : labelsJson(otherIdentity) },
    peer: peer ?? null,
    port: port ?? null,
  };
}
