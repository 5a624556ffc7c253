/**
 * Saves last good values across restarts: ConfigMap mesh-system/mesh-last-good, one line of JSON per object uid.
 *
 * It holds only the values of objects whose present ones are invalid, so it is empty when all are understood.
 */
import { CONFIG_MAPS, hasStatus, isRefusal, type KubeClient, type KubeConfigMap } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { retry } from "@isthmus/runtime";
import type { Leadership } from "../leader/leadership.js";
import { createPeriodicTask, type PeriodicTask } from "../process/periodic-task.js";
import type { SavedLastGood } from "./feed/last-good.js";

const NAME = "mesh-last-good";

/**
 * Waits for the Kubernetes API; a refusal or unreadable content counts as nothing saved. `parse`: the usable values of a saved
 * line.
 */
export async function readLastGood<Values>(
  {
    client,
    namespace,
    parse,
  }: {
    readonly client: KubeClient;
    readonly namespace: string;
    readonly parse: (line: Readonly<Record<string, unknown>>) => Partial<Values>;
  },
  clock: Clock,
  signal: AbortSignal,
): Promise<Readonly<Record<string, Partial<Values>>>> {
  async function read(): Promise<Readonly<Record<string, Partial<Values>>>> {
    try {
      const map = await client.get<KubeConfigMap>(CONFIG_MAPS, NAME, { namespace, signal, timeoutMs: 5000 });
      return parseLines(map?.data ?? {}, parse);
    } catch (thrown) {
      if (isRefusal(thrown)) return {};
      throw thrown;
    }
  }
  return retry(read, { minMs: 100, maxMs: 2000 }, { clock, signal });
}

/** The task writes only while this instance holds the Lease, and only what has changed; the caller runs it. */
export function createLastGoodWriter(
  namespace: string,
  lastGood: SavedLastGood<unknown>,
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

function parseLines<Values>(
  data: Readonly<Record<string, string>>,
  parse: (line: Readonly<Record<string, unknown>>) => Partial<Values>,
): Record<string, Partial<Values>> {
  const saved: Record<string, Partial<Values>> = {};
  for (const [uid, text] of Object.entries(data)) {
    try {
      saved[uid] = parse(JSON.parse(text) as Record<string, unknown>);
    } catch {
      // Not written by this program: the default stays in force.
    }
  }
  return saved;
}
