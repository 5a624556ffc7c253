/**
 * Saves last good values across restarts: a ConfigMap in mesh-system with one line of JSON per object uid.
 *
 * It holds only the values of objects whose present ones are invalid, so it is empty when all are understood. What does not fit
 * in a ConfigMap is not saved, the longest lines first.
 */
import { CONFIG_MAPS, hasStatus, isRefusal, type KubeClient, type KubeConfigMap } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { retry } from "@isthmus/runtime";
import type { Leadership } from "../leader/leadership.js";
import { createPeriodicTask, type PeriodicTask } from "../process/periodic-task.js";
import type { SavedLastGood } from "./feed/last-good.js";

/** The ConfigMaps. */
export const LAST_GOOD = { annotations: "mesh-last-good", policies: "mesh-last-good-policies" } as const;

/** Of all keys and values: the API takes a ConfigMap of 1 MiB. */
const MAX_BYTES = 1_000_000;

/**
 * Waits for the Kubernetes API; a refusal or unreadable content counts as nothing saved. `parse`: the usable values of a saved
 * line.
 */
export async function readLastGood<Values>(
  {
    client,
    namespace,
    name,
    parse,
  }: {
    readonly client: KubeClient;
    readonly namespace: string;
    readonly name: string;
    readonly parse: (line: Readonly<Record<string, unknown>>) => Partial<Values>;
  },
  clock: Clock,
  signal: AbortSignal,
): Promise<Readonly<Record<string, Partial<Values>>>> {
  async function read(): Promise<Readonly<Record<string, Partial<Values>>>> {
    try {
      const map = await client.get<KubeConfigMap>(CONFIG_MAPS, name, { namespace, signal, timeoutMs: 5000 });
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
  { namespace, name }: { readonly namespace: string; readonly name: string },
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
    const { data, left } = fitting(needed);
    if (left.length > 0) modules.log.warn("Last good values do not fit in a ConfigMap", { name, objects: left });
    const object: KubeConfigMap = { metadata: { namespace, name }, data };
    try {
      await modules.client.replace(CONFIG_MAPS, object, { signal });
    } catch (thrown) {
      if (!hasStatus(thrown, 404)) throw thrown;
      await modules.client.create(CONFIG_MAPS, object, { signal });
    }
    written = text;
  }

  const task = createPeriodicTask({ name, everyMs: 60_000, task: write }, modules);
  lastGood.onChange(() => task.trigger());
  leadership.onChange(() => {
    if (!leadership.publishes) written = undefined;
    task.trigger();
  });
  return task;
}

/** The lines that fit together, and the uids of the others. */
function fitting(needed: Readonly<Record<string, unknown>>): {
  readonly data: Record<string, string>;
  readonly left: readonly string[];
} {
  const lines = Object.entries(needed).map(([uid, good]) => [uid, JSON.stringify(good)] as const);
  const size = ([uid, line]: readonly [string, string]) => uid.length + Buffer.byteLength(line);
  const bySize = [...lines].sort((a, b) => size(a) - size(b));
  let bytes = 0;
  const fits = bySize.filter((line) => {
    bytes += size(line);
    return bytes <= MAX_BYTES;
  });
  return { data: Object.fromEntries(fits), left: bySize.slice(fits.length).map(([uid]) => uid) };
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
