/**
 * The rows of `mesh identity list`: every identity that this cluster knows, its own and those of peers, with the pods that have it.
 *
 * In: the records that agents get. A record that cannot be read is skipped, as agents skip it. The work is done in turns, so that
 * streams continue meanwhile.
 */
import { NAMESPACE_LABEL } from "@isthmus/identity";
import { printable } from "@isthmus/model";
import {
  Endpoint,
  Identity,
  type IdentityReport,
  Kind,
  type ListIdentitiesRequest,
  type ListIdentitiesResponse,
} from "@isthmus/proto";
import { type HashedRecord, parseKey } from "@isthmus/records";
import { inTurns, type Slices } from "@isthmus/runtime";
import type { StreamSource, StreamSources } from "../../ports/stream-source.js";

/** What fits into one answer, whose bytes gRPC limits to 4 MiB. */
const MOST = 4000;
/** Labels have more only in a cluster that was made to look bad. */
const MOST_LABELS = 64;

/** Namespace "": all. */
export async function listIdentities(
  sources: Pick<StreamSources, "all">,
  { namespace }: ListIdentitiesRequest,
): Promise<ListIdentitiesResponse> {
  const reports: IdentityReport[] = [];
  for (const source of [...sources.all]) reports.push(...(await inTurns(reportsOf(source, namespace))));
  reports.sort((a, b) => a.number - b.number);
  const identities = reports.slice(0, MOST);
  return { identities, leftOut: reports.length - identities.length };
}

function* reportsOf({ cluster, index }: StreamSource, namespace: string): Slices<readonly IdentityReport[]> {
  const reports = new Map<number, IdentityReport>();
  for (const record of [...index.records(Kind.KIND_IDENTITY)]) {
    const report = reportOf(record, cluster);
    const its = report?.labels.find(({ key }) => key === NAMESPACE_LABEL)?.value;
    if (report !== undefined && (namespace === "" || its === namespace)) reports.set(report.number, report);
    yield;
  }
  const counted = new Set<string>();
  for (const record of [...index.records(Kind.KIND_ENDPOINT)]) {
    countPod(record, reports, counted);
    yield;
  }
  return [...reports.values()];
}

function reportOf({ key, value }: HashedRecord, cluster: string): IdentityReport | undefined {
  const named = parseKey(key);
  if (named?.kind !== Kind.KIND_IDENTITY || !("identity" in named)) return undefined;
  try {
    const labels = Identity.decode(value)
      .labels.slice(0, MOST_LABELS)
      .map((label) => ({ key: printable(label.key, 512), value: printable(label.value, 256) }));
    return { number: named.identity, cluster, labels, pods: 0, example: "" };
  } catch {
    return undefined;
  }
}

/** A pod has an address of each family, and is counted once. */
function countPod({ value }: HashedRecord, reports: ReadonlyMap<number, IdentityReport>, counted: Set<string>): void {
  try {
    const { identity, namespace, pod, podUid } = Endpoint.decode(value);
    const report = reports.get(identity);
    if (report === undefined || counted.has(podUid)) return;
    counted.add(podUid);
    report.pods++;
    const name = printable(`${namespace}/${pod}`, 512);
    if (report.example === "" || name < report.example) report.example = name;
  } catch {
    // Not readable: no agent knows it.
  }
}
