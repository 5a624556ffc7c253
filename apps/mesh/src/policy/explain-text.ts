/** Prints `mesh policy explain` for people (pure). */
import { formatAddress, lineText } from "@isthmus/model";
import type { ExplainPolicyResponse, PolicyEntries } from "@isthmus/proto";
import {
  deciding,
  differences,
  type EndView,
  type Explanation,
  endText,
  identityText,
  mapsProblem,
  notApplied,
  podText,
  refusedPolicies,
  verdictAt,
  verdictOf,
} from "./explanation.js";
import { policyNameText } from "./names.js";
import { portText, protocolText } from "./ports.js";

/** The verdict in the first line, then each end that is a pod. */
export function explanationText(explanation: Explanation): string {
  const { source, destination, protocol, port, views, missing } = explanation;
  const { verdict, why } = verdictOf(explanation);
  const reason = why === "" ? "" : ` (${why})`;
  const flow = `${endText(source)} -> ${endText(destination)}, ${portText(protocol, port)}`;
  const ends = views.map((view) => `\n${viewLines(view).map(lineText).join("\n")}\n`);
  const rest = [
    ...(verdict !== "unknown" && missing !== undefined ? [`\nnot asked: ${lineText(missing)}\n`] : []),
    ...(destination.pod === "" && missing === undefined ? [`\n${lineText(noPod(explanation))}\n`] : []),
  ];
  return `${lineText(`${verdict}${reason}${mapsNote(explanation)}: ${flow}`)}\n${[...ends, ...rest].join("")}`;
}

/** Said in the first line, for it is a finding of its own: by the maps packets pass or are dropped now. */
function mapsNote({ views }: Explanation): string {
  const notes = views.flatMap((view) => {
    const { pod, maps, policies } = view.answer;
    const those = `the maps of ${pod?.node ?? "its node"}`;
    if (differences(view).length > 0)
      return maps?.endpoint === 0 || maps?.allowed === policies?.allowed
        ? `but ${those} differ`
        : `but ${those} ${maps?.allowed ? "allow" : "deny"} it`;
    return mapsProblem(view) === undefined ? [] : `${those} not read`;
  });
  return notes.map((note) => `, ${note}`).join("");
}

function noPod({ destination, source }: Explanation): string {
  return `${formatAddress(destination.address)} is no pod that ${source.cluster} knows: no policy of the mesh is asked about its ingress`;
}

function viewLines(view: EndView): readonly string[] {
  const { direction, pod, answer } = view;
  const { pod: facts } = answer;
  const node = facts?.node ?? "";
  return [
    `${direction} of ${podText(pod)}, by cluster ${answer.cluster}: ${decisionText(view)}`,
    ...field("pod", [`${identityText(facts?.identity?.number ?? 0, facts?.identity)}; node ${node}`]),
    ...field("other end", [otherText(answer)]),
    ...field("policies", selectingTexts(view)),
    ...mapsLines(view, node),
  ];
}

/** Each further line below the first. */
function field(name: string, texts: readonly string[]): readonly string[] {
  return texts.map((text, i) => `  ${(i === 0 ? name : "").padEnd(9)}  ${text}`);
}

function decisionText(view: EndView): string {
  const { policies } = view.answer;
  const verdict = verdictAt(view);
  if (policies === undefined) return "unknown, the labels of the pod's identity are not known";
  const passes = verdict === "audited" ? ", but passes in audit mode" : "";
  if (policies.rule !== 0) return `${policies.allowed ? "allowed" : "denied"} by ${deciding(policies)}${passes}`;
  if (!policies.allowed) return `denied, no rule allows it${passes}`;
  if (policies.selecting.length === 0) return "allowed, no policy selects the pod";
  const isolating = policies.selecting.some(({ isolates }) => isolates);
  return isolating ? "allowed, its own node always reaches a pod" : `allowed, no policy isolates its ${view.direction}`;
}

function otherText({ other, cluster }: ExplainPolicyResponse): string {
  const known = identityText(other?.identity?.number ?? 0, other?.identity);
  return other?.pod
    ? `${known}; pod ${other.namespace}/${other.pod} of ${other.cluster}`
    : `${known}; no pod that ${cluster} knows`;
}

function selectingTexts({ direction, answer: { policies } }: EndView): readonly string[] {
  if (policies === undefined) return ["not known"];
  const { selecting, moreSelecting } = policies;
  if (selecting.length === 0) return ["none selects the pod"];
  return [
    ...selecting.map(({ policy, isolates }) => {
      const name = policy === undefined ? "?" : policyNameText(policy);
      return `${name} selects the pod, ${isolates ? "isolates" : "does not isolate"} its ${direction}`;
    }),
    ...(moreSelecting > 0 ? [`and ${moreSelecting} more`] : []),
  ];
}

function mapsLines(view: EndView, node: string): readonly string[] {
  const problem = mapsProblem(view);
  const { maps } = view.answer;
  if (problem !== undefined || maps === undefined) return field("maps", [`of ${node} not read: ${problem}`]);
  const differ = differences(view);
  const lacking = notApplied(view);
  const refused = refusedPolicies(view);
  return [
    ...field("maps", [
      `of ${node}: ${verdictText(maps)}, ${differ.length === 0 ? "as the policies say" : "which is not what the policies say"}`,
      ...entryTexts(view, maps),
    ]),
    ...field("differs", differ),
    ...field("refused", refused),
    ...field(
      "not yet",
      lacking.map((text) => `${node} has applied ${text}`),
    ),
    ...(differ.length > 0 && lacking.length === 0 && refused.length === 0
      ? field("", [`${node} has applied all records that this depends on: ask again, then see its agent's log`])
      : []),
  ];
}

function verdictText({ allowed, audited, endpoint, rule, rules }: PolicyEntries): string {
  if (endpoint === 0) return "nothing";
  const verdict = allowed ? "allowed" : "denied";
  const passes = audited && !allowed ? ", but passes in audit mode" : "";
  return `${verdict}${rule === 0 ? "" : ` by ${deciding({ rule, rules })}`}${passes}`;
}

/** One for each map that the programs look into, in their order. */
function entryTexts({ answer, direction }: EndView, maps: PolicyEntries): readonly string[] {
  if (maps.endpoint === 0) return ["endpoints: no row of the pod"];
  const { set, other, peer, port } = maps;
  const mode = maps.audited ? ", audit mode" : "";
  const word =
    set === 0 ? "no policy set, everything is allowed" : `policy set ${set}, revision ${maps.revision}${mode}`;
  return [
    `endpoints: row ${maps.endpoint}, identity ${maps.identity}, ${word}`,
    ...(other === undefined ? [] : [addressText(other, maps)]),
    ...(peer === undefined
      ? set === 0
        ? []
        : ["the node itself always reaches its pods"]
      : [peerText(peer, maps, direction)]),
    ...(port === undefined ? [] : [`policy-ports: ${portEntryText(port, peer?.number ?? 0, answer)}`]),
  ];
}

function addressText(other: NonNullable<PolicyEntries["other"]>, maps: PolicyEntries): string {
  const identity = identityText(other.identity, maps.otherIdentity);
  if (other.exact) return `ipcache: row of the address, ${identity}`;
  if (other.prefix === "") return `ipcache: no row, nor of a prefix, ${identity}`;
  const only = other.exactOnly ? ", where each known address has a row of its own" : "";
  return `ipcache-prefixes: row of ${other.prefix}${only}, ${identity}`;
}

function peerText(peer: NonNullable<PolicyEntries["peer"]>, { set, other }: PolicyEntries, direction: string): string {
  const row = peer.ownRow
    ? `policy-peers: row of set ${set} and identity ${other?.identity ?? 0}`
    : `policy-sets: row of set ${set}, of identities without one of their own`;
  if (peer.untrusted) return `${row}, which is another key's: denied`;
  if (!peer.allPorts) return `${row}, ${direction} by class ${peer.number}`;
  return `${row}, ${direction} of all ports ${peer.allow ? "allowed" : "denied"}`;
}

function portEntryText(
  { found, protocol, first, last, allow, rule }: NonNullable<PolicyEntries["port"]>,
  number: number,
  { maps }: ExplainPolicyResponse,
): string {
  if (!found) return `class ${number} has no row of the port: denied`;
  const ports = protocol === 0 ? "all protocols" : `${rangeText(protocol, first, last)} ${protocolText(protocol)}`;
  const by = rule === 0 ? "" : ` by ${deciding({ rule, rules: maps?.rules ?? [] })}`;
  return `class ${number}, row of ${ports}: ${allow ? "allowed" : "denied"}${by}`;
}

function rangeText(protocol: number, first: number, last: number): string {
  if (first === 0 && last === 65535) return "all ports of";
  if (protocol === 1) return `types ${first >> 8} to ${last >> 8} of`;
  return first === last ? `${first} of` : `${first} to ${last} of`;
}
