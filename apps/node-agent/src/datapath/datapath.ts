/**
 * Brings the kernel to the desired state: load, adopt, plan, write in order.
 *
 * ```
 *   apply():  service ranges out                                          (nothing is refused for lack of a frontend)
 *             nodes ─► backends ─► lines ─► tier words ─► frontends in   (make; large changes in chunks, a turn between)
 *             service ranges in
 *             frontends out                                               (break)
 *             grace period ─► lines, service rows, backend ids            (free, in the background)
 * ```
 * Work is proportional to the frontends and nodes that changed. One that finds no room gets status Error and is retried
 * when something was freed; the others are written. Until `sweepFrontends` adopted frontends that are not desired stay:
 * only a source in sync shows that they are gone.
 */
import { type DatapathPort, Limit, MAP_NAMES } from "@isthmus/bpf";
import type { Prefix } from "@isthmus/model";
import type { MapFill } from "@isthmus/proto";
import { createDeltaTracker, createStatusTable, isMapFull, type StatusTable } from "@isthmus/reconcile";
import { nextTurn } from "@isthmus/runtime";
import { createCollector, type Round } from "../apply/garbage.js";
import type { DesiredNode, NodeName } from "../desired/nodes/nodes.js";
import type { DesiredState } from "../desired/services/desired-state.js";
import type { FrontendName } from "../desired/services/frontends.js";
import { createNodeStore, type NodeStore } from "./nodes/node-store.js";
import { createServiceRangeWriter, SERVICE_RANGE } from "./service-ranges/service-range-writer.js";
import { type BackendStore, createBackendStore } from "./services/backend-store.js";
import { insertFrontends, removeFrontends } from "./services/frontend-writer.js";
import { type Loaded, loadKernel } from "./services/load.js";
import { createFrontendPlanning } from "./services/plan-frontends.js";
import { createPlanner } from "./services/planner.js";
import { createServiceStore, tierOffset } from "./services/service-store.js";
import { createTableStore } from "./services/table-store.js";

export interface DatapathModules {
  readonly port: DatapathPort;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly desired: Pick<DesiredState, "get" | "has">;
  /** Name of this node, once known. */
  readonly localNode?: () => NodeName | undefined;
  /** Id of the local cluster: rows are reserved for its backends and nodes. */
  readonly localCluster?: number;
  /** Something was freed: what found no room may be retried. */
  readonly onRoom?: () => void;
  /** A grace period failed; it is retried with the next apply. */
  readonly onError?: (error: unknown) => void;
  /** Freeing failed half way: only a restarted agent can read back what is in use. */
  readonly onBroken?: (error: unknown) => void;
}

export interface Datapath {
  /** What the kernel held at the start. */
  readonly adopted: Loaded;
  /** Clusters that had a backend at the start. */
  readonly adoptedClusters: ReadonlySet<number>;
  /** The desired state of these frontends may have changed. */
  touch(frontends: Iterable<FrontendName>): void;
  setNode(name: NodeName, node: DesiredNode | undefined): void;
  /** From the next apply on an address in these ranges without a frontend is refused; until then the adopted ranges stay. */
  setServiceRanges(ranges: readonly Prefix[]): void;
  /** The next apply removes every existing frontend that is not desired. */
  sweepFrontends(): void;
  /** The next apply frees nodes of this cluster that were not set. */
  sweepNodes(cluster: number): void;
  /**
   * Resolves when the kernel has the desired state; freeing continues in the background. One call at a time. After a
   * failed write every call rejects and nothing is written any more: only a new datapath, which reads the kernel back,
   * can continue.
   */
  apply(): Promise<void>;
  /** Resolves when nothing is left to free. */
  settled(): Promise<void>;
  /** By frontend name, `node <name>` or `service range <prefix>`. */
  readonly status: StatusTable;
  fill(): MapFill[];
}

const CHUNK = 256;
const NODE = "node ";

export async function createDatapath(modules: DatapathModules): Promise<Datapath> {
  const { port, desired, now } = modules;
  const status = createStatusTable();
  const tables = createTableStore(port.tables, () => found.tables);
  const found = await loadKernel(port, tables);
  // The previous agent may have freed what programs still read: nothing is used again before a grace period.
  await port.gracePeriod();
  for (const index of found.orphans) {
    for (let i = 0; i < Limit.Tiers; i++) port.services.storeWord64(index, tierOffset(i), 0n);
  }
  const nodes: NodeStore = createNodeStore(port, status, modules.localNode, modules.localCluster);
  const backends: BackendStore = createBackendStore(port.backends, nodes.indexOf, modules.localCluster);
  for (const table of found.tables) for (const id of table.ids) backends.adoptUse(id);
  const services = createServiceStore(port.services, found);
  /** Names of rows that could not be written, of addresses that another proxy serves. */
  const missingPassRows = new Set<FrontendName>();
  const ranges = await createServiceRangeWriter(port.serviceRanges, status, missingPassRows);
  const tracker = createDeltaTracker();
  for (const [name, value] of found.frontends) {
    tracker.setActual(name, value);
    tracker.setDesired(name, value);
  }
  const planner = createPlanner({ backends, tables, services, frontends: tracker, frontendMap: port.frontends });
  const own = modules.localCluster;
  const planFrontends = createFrontendPlanning({ planner, tables, backends, desired, status, now, own });
  const dirty = new Set<FrontendName>();
  const sweeps = new Set<number>();

  function takeGarbage(): Round | undefined {
    if (!planner.garbage && !backends.garbage && !nodes.garbage) return undefined;
    const dead = planner.takeDead();
    const [oldNodes, cold] = [nodes.take(), backends.cooling];
    return {
      free() {
        planner.free(dead);
        backends.recycle(cold);
        backends.retire();
        nodes.free(oldNodes);
      },
    };
  }

  const collector = createCollector({
    gracePeriod: () => port.gracePeriod(),
    take: takeGarbage,
    freed() {
      if (status.errors.size === 0) return;
      status.retryNow(now(), isMapFull);
      modules.onRoom?.();
    },
    failed: (error) => modules.onError?.(error),
    broken: (error) => modules.onBroken?.(error),
  });

  function takeDue(): void {
    for (const key of status.due(now())) {
      const node = key.slice(NODE.length) as NodeName;
      if (key.startsWith(SERVICE_RANGE)) continue; // `arm` and `disarm` retry failed ranges
      if (key.startsWith(NODE)) nodes.set(node, nodes.nodes.get(node));
      else dirty.add(key);
    }
  }

  function writeNodes(): void {
    backends.updateNodes(nodes.write(now()));
    for (const cluster of sweeps) nodes.sweep(cluster);
    sweeps.clear();
    if (nodes.garbage) backends.clearNodes(new Set(nodes.leaving));
  }

  /** Writes each map after the map that its rows refer to; the nodes are already written. */
  async function make(names: readonly FrontendName[]): Promise<void> {
    const planned = await planFrontends(names);
    collector.check();
    backends.write();
    tables.write();
    services.write();
    const failed = await insertFrontends(port.frontends, tracker, [...planned.keys()]);
    const at = now();
    for (const [name, full] of planned) {
      if (tracker.toInsert.has(name) && desired.get(name)?.kind === "left") missingPassRows.add(name);
      else missingPassRows.delete(name);
      const error = failed.get(name);
      if (error !== undefined) status.failed(name, error, at);
      else if (full === undefined && tracker.desired.has(name)) status.done(name, at);
    }
  }

  async function breakOff(names: readonly FrontendName[]): Promise<void> {
    const undesired = names.filter((name) => !tracker.desired.has(name) && !desired.has(name));
    const failed = await removeFrontends(port.frontends, tracker, undesired);
    for (const name of undesired) {
      const error = failed.get(name);
      if (error !== undefined) {
        status.failed(name, error, now());
        continue;
      }
      status.forget(name);
      planner.retire(name);
    }
  }

  async function writeAll(): Promise<void> {
    takeDue();
    await ranges.removeRanges(now());
    writeNodes();
    const batch = [...dirty];
    dirty.clear();
    await make(batch.slice(0, CHUNK));
    for (let i = CHUNK; i < batch.length; i += CHUNK) {
      await nextTurn();
      await make(batch.slice(i, i + CHUNK));
    }
    await ranges.addRanges(now());
    await breakOff(batch);
  }

  return {
    adopted: found,
    adoptedClusters: backends.adoptedClusters,
    status,
    touch(names) {
      const at = now();
      for (const name of names) {
        dirty.add(name);
        status.pending(name, at);
      }
    },
    setNode: nodes.set,
    setServiceRanges: ranges.set,
    sweepFrontends() {
      for (const name of tracker.actual.keys()) if (!desired.has(name)) dirty.add(name);
    },
    sweepNodes: (cluster) => void sweeps.add(cluster),
    async apply() {
      collector.check();
      collector.pause();
      try {
        await writeAll();
      } catch (thrown) {
        collector.stop(thrown);
        throw thrown;
      } finally {
        collector.resume();
      }
      collector.kick();
    },
    settled: () => collector.settled(),
    fill() {
      const { frontends } = port;
      return [
        { map: frontends.name, used: tracker.actual.size, capacity: frontends.maxEntries },
        { map: port.services.name, used: services.used, capacity: services.capacity },
        { map: port.backends.name, used: backends.used, capacity: backends.capacity },
        { map: port.nodes.name, used: nodes.used, capacity: nodes.capacity },
        { map: MAP_NAMES.tables, used: tables.used, capacity: tables.capacity },
        { map: port.serviceRanges.name, used: ranges.used, capacity: port.serviceRanges.maxEntries },
      ];
    },
  };
}
