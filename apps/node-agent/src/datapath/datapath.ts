/**
 * The node's datapath: the list of its parts, each with its own maps, and the loop that applies them.
 *
 * ```
 *   service ranges out                                                   (nothing is refused for lack of a frontend)
 *   nodes ─► backends ─► lines ─► tier words ─► frontends in             (make; large changes in slices)
 *   service ranges in
 *   policy sets ─► words of pods ─► identities of addresses in           (mode packets)
 *   identities out ─► rows of policy sets out                            (break)
 *   frontends out
 *   grace period ─► policy sets, lines, service rows, backend ids, nodes (free, in the background)
 * ```
 */
import type { DatapathPort } from "@isthmus/bpf";
import { inTurns } from "@isthmus/runtime";
import { type Apply, createApply } from "../apply/apply.js";
import type { NodeName } from "../desired/nodes/nodes.js";
import type { DesiredState } from "../desired/services/desired-state.js";
import { createNodesPart, type NodeRowChanges } from "./nodes/nodes-part.js";
import { createPolicyParts, type PolicyModules, type PolicyParts } from "./policy/policy-parts.js";
import type { PolicyPartChanges } from "./policy/policy-sets-part.js";
import { createServiceRangesPart, type ServiceRangeChanges } from "./service-ranges/service-ranges-part.js";
import { type Loaded, loadKernel } from "./services/load.js";
import { clearOrphans, type ServiceStore } from "./services/service-store.js";
import { createServicesPart, type FrontendChanges } from "./services/services-part.js";
import { createTableStore } from "./services/table-store.js";

export interface DatapathModules {
  /** The maps, which nothing else may write meanwhile. */
  readonly port: DatapathPort;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Read when a frontend is planned; `touch` names the frontends that changed in it. */
  readonly desired: Pick<DesiredState, "get" | "has">;
  /** Name of this node, once known. */
  readonly localNode?: () => NodeName | undefined;
  /** Id of the local cluster: rows are reserved for its backends and nodes. */
  readonly localCluster?: number;
  /** The maps of mode `packets`, and what they must hold; absent: no policy is enforced. */
  readonly policy?: PolicyModules;
  /** Something was freed: what found no room may be retried. */
  readonly onRoom?: () => void;
  /** A grace period failed; it is retried with the next apply. */
  readonly onError?: (error: unknown) => void;
  /** Freeing failed half way: only a restarted agent can read back what is in use. */
  readonly onBroken?: (error: unknown) => void;
}

/** What changed, of all parts. */
export type DatapathChanges = NodeRowChanges & FrontendChanges & ServiceRangeChanges & PolicyPartChanges;

export interface Datapath extends Apply<DatapathChanges>, Pick<ServiceStore, "serviceOf"> {
  /** Frontends, Services and tables that the kernel held at the start. */
  readonly adopted: Loaded;
  /** Clusters that had a backend at the start. */
  readonly adoptedClusters: ReadonlySet<number>;
  /** Absent without the maps of mode `packets`. */
  readonly policy: Pick<PolicyParts, "adoptedNumbers" | "errors" | "isReady"> | undefined;
}

/**
 * Adopts what the maps hold and empties service rows without a frontend, after a grace period. Rejects with the error
 * of a map.
 */
export async function createDatapath(modules: DatapathModules): Promise<Datapath> {
  const { port, now } = modules;
  const tables = createTableStore(port.tables, () => adopted.tables);
  const adopted = await loadKernel(port, tables);
  // The previous agent may have freed what programs still read: nothing is used again before a grace period.
  await port.gracePeriod();
  clearOrphans(port.services, adopted.orphans);
  const nodes = await inTurns(createNodesPart(port, modules));
  const services = await inTurns(createServicesPart(port, { ...modules, adopted, tables, nodes }));
  const ranges = await createServiceRangesPart(port.serviceRanges, { now, missingPassRows: services.missingPassRows });
  const policy =
    modules.policy &&
    (await inTurns(
      createPolicyParts(modules.policy, {
        localCluster: modules.localCluster ?? 0,
        gracePeriod: () => port.gracePeriod(),
        now,
      }),
    ));
  const apply = createApply<DatapathChanges>({
    ...modules,
    parts: [nodes, services, ranges, ...(policy?.parts ?? [])],
    gracePeriod: () => port.gracePeriod(),
  });
  return { ...apply, adopted, adoptedClusters: services.adoptedClusters, serviceOf: services.serviceOf, policy };
}
