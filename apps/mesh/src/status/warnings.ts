/** Warnings: problems that do not prevent the mesh from being in sync. */
import { differingFilters } from "../access/label-filters.js";
import type { Finding } from "../output/findings.js";
import { age, counted, shellWord } from "../output/units.js";
import { isAwaited } from "./agent-problem.js";
import type { ClusterView } from "./collect.js";
import { fraction, hasNoun, PACKET_MAPS } from "./figures.js";
import type { Hop } from "./hops.js";

const SKEW_MS = 2_000;
const FULL = 0.9;

/** Refused records, clocks, agents that are awaited, full maps, conditions of nodes, label filters, policies; in this order. */
export function warnings(views: readonly ClusterView[], hops: readonly Hop[]): Finding[] {
  return [
    ...hops.flatMap(refusals),
    ...hops.flatMap(skew),
    ...views.flatMap(agents),
    ...views.flatMap(fullMaps),
    ...views.flatMap(conditions),
    ...differingFilters(views.flatMap(({ labelFilter = [] }) => labelFilter)),
    ...views.flatMap(policies),
    ...views.flatMap(audited),
  ];
}

/** Agents that have not connected yet, and an apiserver too old to report missing ones. */
function agents({ cluster, report }: ClusterView): Finding[] {
  if (report === undefined) return [];
  const warning = (message: string): Finding => ({ group: "agents", status: "warning", subject: cluster, message });
  if (report.nodes === undefined)
    return [
      warning(
        `it is unknown whether every node has an agent: its apiserver (${report.version}) is older than this command`,
      ),
    ];
  const awaited = report.agents.filter(isAwaited);
  if (awaited.length === 0) return [];
  const since = age(Math.max(...awaited.map(({ silentMs }) => silentMs)));
  const names = awaited.map(({ node }) => node).join(", ");
  return [
    warning(`agents have not connected yet, ${since} after the apiserver started or the node appeared: ${names}`),
  ];
}

/** Refused records: each reason once, with one example. */
function refusals({ from, to, refused = [] }: Hop): Finding[] {
  return refused.map(({ reason, count, example }) => ({
    group: "records",
    status: "warning",
    subject: `${from} → ${to}`,
    message: `${count} refused (${reason}): ${example}`,
    fix: `compare MeshPeer "${from}" in "${to}" with what "${from}" is; mesh connect writes it anew`,
  }));
}

function skew({ from, to, skewMs = 0 }: Hop): Finding[] {
  if (Math.abs(skewMs) < SKEW_MS) return [];
  const message = `the clocks differ by at least ${age(Math.abs(skewMs))}`;
  return [
    { group: "clocks", status: "warning", subject: `${from} → ${to}`, message, fix: "let both keep time by NTP" },
  ];
}

/** Maps that are 90 % full: a full map refuses new entries. Each map once, with the node where it is fullest. */
function fullMaps({ cluster, report }: ClusterView): Finding[] {
  const full = (report?.agents ?? []).flatMap(({ node, maps, figures }) =>
    (figures?.maps ?? maps).filter((map) => fraction(map) >= FULL).map((map) => ({ node, ...map })),
  );
  full.sort((a, b) => fraction(b) - fraction(a));
  return [...new Set(full.map(({ map }) => map))].flatMap((map) => {
    const [fullest, ...more] = full.filter((each) => each.map === map);
    if (fullest === undefined) return [];
    const { node, used, capacity } = fullest;
    const others = more.length === 0 ? "" : `, and ${counted(more.length, "other node")} are at 90 % or more`;
    const message = `${map} holds ${used} of ${capacity} entries${others}`;
    return [{ group: "maps", status: "warning", subject: `${cluster} ${node}`, message, ...roomFor(map, capacity) }];
  });
}

/** What to do about a full map of packets. */
function roomFor(map: string, capacity: number): Pick<Finding, "fix"> {
  const size = PACKET_MAPS.find(({ noun }) => hasNoun(map, noun))?.size;
  if (size === undefined) return {};
  return { fix: `more room: --map-sizes ${size}=${2 * capacity} of its node-agent, which takes it over under traffic` };
}

/** Conditions that nodes report: each message once, with the number of nodes. */
function conditions({ cluster, report }: ClusterView): Finding[] {
  const nodes = new Map<string, string[]>();
  for (const { node, conditions } of report?.agents ?? []) {
    for (const { message } of conditions) nodes.set(message, [...(nodes.get(message) ?? []), node]);
  }
  return [...nodes].map(([message, [first = "", ...more]]) => ({
    group: "nodes",
    status: "warning",
    subject: `${cluster} ${first}${more.length > 0 ? ` and ${more.length} more` : ""}`,
    message,
  }));
}

/** Policies that are not accepted. */
function policies({ context, cluster, report }: ClusterView): Finding[] {
  const count = report?.policiesNotAccepted ?? 0;
  if (count === 0) return [];
  return [
    {
      group: "policies",
      status: "warning",
      subject: cluster,
      message: `${count === 1 ? "1 policy is" : `${count} policies are`} not accepted; what was accepted before stays in force`,
      fix: `mesh policy list --context ${shellWord(context)} names the field and what to do`,
    },
  ];
}

/** Pods in policy audit mode. */
function audited({ context, cluster, report }: ClusterView): Finding[] {
  const count = report?.auditedPods ?? 0;
  if (count === 0) return [];
  return [
    {
      group: "policies",
      status: "warning",
      subject: cluster,
      message: `policies are not enforced for ${count === 1 ? "1 pod" : `${count} pods`} in audit mode; what they do not allow passes, and is reported`,
      fix: `mesh monitor --drops --context ${shellWord(context)} shows what would be denied; the annotation mesh.isthmus.io/policy-audit-mode, or policy-audit-mode in mesh-config, ends it`,
    },
  ];
}
