/** Checks that members and CLI have the same major version and are at most one minor version apart. */
import type { Finding } from "../../output/findings.js";
import type { ClusterFacts } from "../facts/cluster-facts.js";

const GROUP = "versions";

/** `cliVersion`: `0.1.0`. A cluster whose version is not known is left out. */
export function checkVersions(clusters: readonly ClusterFacts[], cliVersion: string): readonly Finding[] {
  const members = clusters.flatMap(({ cluster }) =>
    cluster === undefined ? [] : [{ subject: cluster.metadata.name ?? "", version: cluster.status?.version }],
  );
  const known = members.flatMap(({ subject, version }) => (version === undefined ? [] : [{ subject, version }]));
  const findings = members.flatMap(({ subject, version }, i) => {
    const later = members
      .slice(i + 1)
      .flatMap((other) => (other.version === undefined ? [] : [{ ...other, version: other.version }]));
    return judge(subject, version, [{ subject: "this CLI", version: cliVersion }, ...later]);
  });
  if (findings.length > 0 || members.length === 0) return findings;
  return [
    {
      group: GROUP,
      status: "ok",
      subject: "compatible",
      message: [...new Set([cliVersion, ...known.map(({ version }) => version)])].join(", "),
    },
  ];
}

function judge(
  subject: string,
  version: string | undefined,
  others: readonly { subject: string; version: string }[],
): Finding[] {
  if (version === undefined)
    return [{ group: GROUP, status: "unknown", subject, message: "its status names no version" }];
  const far = others.find((other) => !near(version, other.version));
  if (far === undefined) return [];
  return [
    {
      group: GROUP,
      status: "fail",
      subject,
      message: `version ${version} is more than one minor version away from ${far.version} (${far.subject})`,
      fix: "upgrade the older one step by step",
    },
  ];
}

function near(a: string, b: string): boolean {
  const [[majorA, minorA], [majorB, minorB]] = [numbers(a), numbers(b)];
  return majorA === majorB && Math.abs(minorA - minorB) <= 1;
}

function numbers(version: string): [number, number] {
  const [major = "0", minor = "0"] = version.replace(/^v/, "").split(".");
  return [Number.parseInt(major, 10) || 0, Number.parseInt(minor, 10) || 0];
}
