/**
 * Saves last good annotation values across restarts: ConfigMap mesh-system/mesh-last-good, one line of JSON per Service uid.
 *
 * It holds only the values of Services whose present ones are invalid, so it is empty when all annotations are understood.
 */
import { CONFIG_MAPS, hasStatus, isRefusal, type KubeClient, type KubeConfigMap } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { retry } from "@isthmus/runtime";
import type { Leadership } from "../leader/leadership.js";
import { createPeriodicTask, type PeriodicTask } from "../process/periodic-task.js";
import type { SavedLastGood } from "./feed/last-good.js";
import type { MeshAnnotations } from "./services/annotations.js";

const NAME = "mesh-last-good";

type Kept = Record<string, Partial<MeshAnnotations>>;

/** Waits for the Kubernetes API; a refusal or unreadable content counts as nothing saved. */
export async function readLastGood(
  client: KubeClient,
  namespace: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<Kept> {
  async function read(): Promise<Kept> {
    try {
      const map = await client.get<KubeConfigMap>(CONFIG_MAPS, NAME, { namespace, signal, timeoutMs: 5000 });
      return parseSaved(map?.data ?? {});
    } catch (thrown) {
      if (isRefusal(thrown)) return {};
      throw thrown;
    }
  }
  return retry(read, { minMs: 100, maxMs: 2000 }, { clock, signal });
}

export function createLastGoodWriter(
  namespace: string,
  lastGood: SavedLastGood,
  modules: {
    readonly client: KubeClient;
    readonly clock: Clock;
    readonly log: Logger;
    readonly leadership: Leadership;
  },
): PeriodicTask {
  const { leadership } = modules;
  /** The content written last; undefined: another instance may have written since. */
  let written: string | undefined = JSON.stringify(lastGood.needed());

  async function write(signal: AbortSignal): Promise<void> {
    if (!leadership.writes) return;
    const needed = lastGood.needed();
    const text = JSON.stringify(needed);
    if (text === written) return;
    const data = Object.fromEntries(Object.entries(needed).map(([uid, good]) => [uid, JSON.stringify(good)]));
    const object: KubeConfigMap = { metadata: { namespace, name: NAME }, data };
    try {
      await modules.client.replace(CONFIG_MAPS, object, { signal });
    } catch (thrown) {
      if (!hasStatus(thrown, 404)) throw thrown;
      await modules.client.create(CONFIG_MAPS, object, { signal });
    }
    written = text;
  }

  const task = createPeriodicTask({ name: NAME, everyMs: 60_000, task: write }, modules);
  lastGood.onChange(() => task.trigger());
  leadership.onChange(() => {
    if (!leadership.publishes) written = undefined;
    task.trigger();
  });
  return task;
}

export function parseSaved(data: Readonly<Record<string, string>>): Kept {
  const saved: Kept = {};
  for (const [uid, text] of Object.entries(data)) {
    try {
      const { global, shared, affinity } = JSON.parse(text) as Record<string, unknown>;
      saved[uid] = {
        ...(typeof global === "boolean" ? { global } : {}),
        ...(typeof shared === "boolean" ? { shared } : {}),
        ...(affinity === 0 || affinity === 1 || affinity === 2 ? { affinity } : {}),
      };
    } catch {
      // Not written by this program: the default stays in force.
    }
  }
  return saved;
}
