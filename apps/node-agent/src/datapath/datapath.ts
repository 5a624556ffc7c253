/**
 * Brings the kernel to the desired state: load, adopt, plan, write in order.
 *
 * ```
 *   apply():  nodes ─► backends ─► lines ─► tier words ─► frontends in   (make)
 *             frontends out                                               (break)
 *             grace period ─► lines, service rows, backend ids            (free, in the background)
 * ```
 * Work is proportional to the frontends and nodes that changed. One that finds no room gets status Error and is tried
 * again when something was freed; the others go on. Until `sweep` is called nothing that was found is removed for not
 * being desired: only who is in sync may say that it is gone.
 */
import { MeshError } from "@isthmus/model";
import type { MapFill } from "@isthmus/proto";
import {
  createDeltaTracker,
  createStatusTable,
  type DatapathPort,
  insertMissing,
  removeExtra,
  type StatusTable,
} from "@isthmus/reconcile";
import type { DesiredFrontend, DesiredState } from "../desired/desired-state.js";
import { type FrontendName, frontendValue, isRejectName } from "../desired/frontends.js";
import type { DesiredNode, NodeName } from "../desired/nodes.js";
import type { DesiredService, DesiredTier } from "../desired/services.js";
import { createBackendStore } from "./backend-store.js";
import { isMapFull } from "./full.js";
import { createCollector, type Round } from "./garbage.js";
import { type Loaded, loadKernel } from "./load.js";
import { createNodeStore } from "./node-store.js";
import { createServiceStore, EMPTY_TIER, type ServiceEntry, TIERS, type Tier, tierWord } from "./service-store.js";
import { createTableStore, type Table } from "./table-store.js";

export interface DatapathModules {
  readonly port: DatapathPort;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly desired: Pick<DesiredState, "get" | "frontends">;
  /** Name of the node that this is, once known. */
  readonly localNode?: () => NodeName | undefined;
  /** Something was freed: what found no room may be tried again. */
  readonly onRoom?: () => void;
  readonly onError?: (error: unknown) => void;
}

export interface Datapath {
  /** What was found at the start. */
  readonly found: Loaded;
  /** The desired state of these frontends may have changed. */
  touch(frontends: Iterable<FrontendName>): void;
  setNode(name: NodeName, node: DesiredNode | undefined): void;
  /** From now on every frontend that is not desired is removed. */
  sweepFrontends(): void;
  /** Nodes of this cluster that were not set are freed by the next apply. */
  sweepNodes(cluster: number): void;
  /** Resolves when the kernel answers as desired; freeing goes on in the background. One at a time. */
  apply(): Promise<void>;
  /** Resolves when nothing is left to free. */
  settled(): Promise<void>;
  readonly status: StatusTable;
  /** When a failed object is due again. */
  readonly nextRetry: number | undefined;
  fill(): MapFill[];
}

export async function createDatapath(modules: DatapathModules): Promise<Datapath> {
  const { port, desired, now } = modules;
  const status = createStatusTable();
  const tables = createTableStore(port.tables, () => found.tables);
  const found = await loadKernel(port, tables);
  // A dead agent may have freed what programs still read: nothing is used again before they are done.
  await port.gracePeriod();
  for (const index of found.orphans) for (let i = 0; i < TIERS; i++) port.services.storeWord64(index, 8 * i, 0n);
  const nodes = createNodeStore(port, status, modules.localNode);
  const backends = createBackendStore(port.backends, nodes.indexOf);
  const services = createServiceStore(port.services, found.services);
  for (const table of found.tables) for (const id of table.ids) backends.adoptUse(id);
  const tracker = createDeltaTracker();
  for (const [name, value] of found.frontends) {
    tracker.setActual(name, value);
    tracker.setDesired(name, value);
  }

  const dirty = new Set<FrontendName>();
  const sweeps = new Set<number>();
  let deadTables: Table[] = [];
  let deadServices: ServiceEntry[] = [];

  function freeTable(table: Table): void {
    for (const id of table.ids) backends.release(id);
    tables.give(table);
  }

  function takeGarbage(): Round | undefined {
    if (deadTables.length + deadServices.length === 0 && !backends.garbage && !nodes.garbage) return undefined;
    const [oldTables, oldServices, oldNodes, cold] = [deadTables, deadServices, nodes.take(), backends.cooling];
    deadTables = [];
    deadServices = [];
    return {
      free() {
        for (const entry of oldServices) services.free(entry);
        for (const table of oldTables) freeTable(table);
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
      status.hurry(now(), isMapFull);
      modules.onRoom?.();
    },
    failed: (error) => modules.onError?.(error),
  });

  /** The tier as it is, when it says the same already. */
  function unchanged(old: Tier | undefined, ids: readonly number[], tier: DesiredTier): Tier | undefined {
    const table = old?.table;
    if (table === undefined || table.ids.length !== ids.length) return undefined;
    if (!ids.every((id, i) => id === table.ids[i])) return undefined;
    return { table, word: tierWord(table, tier.tries, tier.cluster) };
  }

  async function planTier(old: Tier | undefined, tier: DesiredTier, undo: (() => void)[]): Promise<Tier> {
    const ids: number[] = [];
    const release = () => {
      for (const id of ids) backends.release(id);
    };
    try {
      for (const backend of tier.slots) ids.push(backends.acquire(backend));
      const same = unchanged(old, ids, tier);
      if (same !== undefined) {
        release();
        return same;
      }
      const taken = tables.take(ids);
      const table = taken instanceof Promise ? await taken : taken;
      undo.push(() => freeTable(table));
      return { table, word: tierWord(table, tier.tries, tier.cluster) };
    } catch (thrown) {
      release();
      throw thrown;
    }
  }

  async function planService(name: FrontendName, wanted: DesiredService): Promise<void> {
    const undo: (() => void)[] = [];
    const isNew = !services.entries.has(name);
    try {
      const entry = services.ensure(name);
      if (isNew) undo.push(() => void services.free(services.remove(name) ?? entry));
      const tiers: Tier[] = [];
      for (let i = 0; i < TIERS; i++) {
        const tier = wanted[i];
        tiers.push(tier === undefined ? EMPTY_TIER : await planTier(entry.tiers[i], tier, undo));
      }
      const kept = new Set(tiers.map((tier) => tier.table));
      for (const { table } of entry.tiers) if (table !== undefined && !kept.has(table)) deadTables.push(table);
      services.set(entry, tiers);
      tracker.setDesired(name, frontendValue(name, entry.index));
    } catch (thrown) {
      for (const step of undo.reverse()) step();
      throw thrown;
    }
  }

  async function plan(name: FrontendName, wanted: DesiredFrontend | undefined): Promise<void> {
    if (wanted === undefined) tracker.deleteDesired(name);
    else if (wanted.kind === "reject") tracker.setDesired(name, frontendValue(name, 0));
    else await planService(name, wanted.tiers);
  }

  async function planAll(): Promise<Set<FrontendName>> {
    for (const key of status.due(now())) {
      if (!key.startsWith("node ")) dirty.add(key);
      else nodes.set(key.slice(5) as NodeName, nodes.nodes.get(key.slice(5) as NodeName));
    }
    for (const cluster of sweeps) nodes.sweep(cluster);
    sweeps.clear();
    for (const name of nodes.write(now())) backends.moveNode(name);
    const batch = new Set(dirty);
    dirty.clear();
    for (const name of batch) {
      try {
        await plan(name, desired.get(name));
      } catch (thrown) {
        if (!(thrown instanceof MeshError)) throw thrown;
        status.failed(name, thrown, now());
        batch.delete(name);
      }
    }
    return batch;
  }

  /** Port rows stand before the row that refuses the rest, and go before it. */
  function* inOrder(names: ReadonlySet<FrontendName>): Generator<readonly FrontendName[]> {
    const reject = [...names].filter(isRejectName);
    yield [...names].filter((name) => !isRejectName(name));
    yield reject;
  }

  function retire(name: FrontendName): void {
    const entry = services.remove(name);
    if (entry === undefined) return;
    for (const { table } of entry.tiers) if (table !== undefined) deadTables.push(table);
    deadServices.push(entry);
  }

  async function writeFrontends(batch: ReadonlySet<FrontendName>): Promise<void> {
    const failed = new Map<string, Error>();
    const note = (failures: ReadonlyMap<string, Error>) => {
      for (const [name, error] of failures) failed.set(name, error);
    };
    const wanted = new Set([...batch].filter((name) => tracker.toInsert.has(name)));
    for (const names of inOrder(wanted)) note(await insertMissing(port.frontends, tracker, names));
    const gone = new Set([...batch].filter((name) => tracker.toRemove.has(name) && !tracker.toInsert.has(name)));
    for (const names of inOrder(gone)) note(await removeExtra(port.frontends, tracker, names));
    for (const name of batch) {
      const error = failed.get(name);
      if (error !== undefined) status.failed(name, error, now());
      else if (tracker.desired.has(name)) status.done(name, now());
      else {
        status.forget(name);
        retire(name);
      }
    }
  }

  return {
    found,
    status,
    touch(names) {
      for (const name of names) {
        dirty.add(name);
        status.pending(name, now());
      }
    },
    setNode: nodes.set,
    sweepFrontends() {
      for (const name of tracker.actual.keys()) if (desired.get(name) === undefined) dirty.add(name);
    },
    sweepNodes: (cluster) => void sweeps.add(cluster),
    async apply() {
      collector.pause();
      try {
        const batch = await planAll();
        backends.write();
        tables.write();
        services.write();
        await writeFrontends(batch);
      } finally {
        collector.resume();
      }
      collector.kick();
    },
    settled: () => collector.settled(),
    get nextRetry() {
      return status.nextDue;
    },
    fill() {
      const { frontends } = port;
      return [
        { map: frontends.name, used: tracker.actual.size, capacity: frontends.maxEntries },
        { map: port.services.name, used: services.used, capacity: services.capacity },
        { map: port.backends.name, used: backends.used, capacity: backends.capacity },
        { map: port.nodes.name, used: nodes.used, capacity: nodes.capacity },
        { map: "mesh_tables_v1", used: tables.used, capacity: tables.capacity },
      ];
    },
  };
}
