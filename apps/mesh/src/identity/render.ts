/** Prints `mesh identity list`: as a table, and as JSON. */
import { CLUSTER_LABEL, isReservedKey, NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL } from "@isthmus/identity";
import { table } from "@isthmus/model";
import type { IdentityReport } from "@isthmus/proto";

const HEADER = ["IDENTITY", "CLUSTER", "NAMESPACE", "SERVICE ACCOUNT", "LABELS", "PODS"];

/** In the order of the answer; one line for each identity. */
export function identitiesTable(identities: readonly IdentityReport[]): string {
  return table(identities.map(row), HEADER);
}

/** Fields may be added; changing one needs another `schemaVersion`. */
export function identityJson(report: IdentityReport): object {
  const { number, cluster, labels, pods, example } = report;
  return {
    ...{ number, cluster },
    namespace: labelOf(report, NAMESPACE_LABEL),
    serviceAccount: labelOf(report, SERVICE_ACCOUNT_LABEL),
    labels: Object.fromEntries(labels.filter(({ key }) => key !== CLUSTER_LABEL).map(({ key, value }) => [key, value])),
    pods,
    example: example === "" ? null : example,
  };
}

function row(report: IdentityReport): readonly string[] {
  const { number, cluster, labels, pods, example } = report;
  const own = labels.filter(({ key }) => !isReservedKey(key)).map(({ key, value }) => `${key}=${value}`);
  const name = example.slice(example.indexOf("/") + 1);
  return [
    `${number}`,
    cluster,
    labelOf(report, NAMESPACE_LABEL),
    labelOf(report, SERVICE_ACCOUNT_LABEL),
    own.length === 0 ? "-" : own.join(","),
    pods === 0 ? "0" : `${pods} (${name})`,
  ];
}

function labelOf({ labels }: IdentityReport, wanted: string): string {
  return labels.find(({ key }) => key === wanted)?.value ?? "-";
}
