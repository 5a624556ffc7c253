/**
 * Follows mesh-config: the first good one starts the process, later ones change what may change.
 *
 * Name and id of a cluster cannot change while it runs; such a config is refused and the one in use stays.
 */
import { CONFIG_MAPS, createListWatch, type KubeConfigMap, type Transport } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import { MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { type MeshConfig, parseMeshConfig } from "./mesh-config.js";

export interface ConfigSource {
  /** In use; undefined before the first good one. */
  readonly current: MeshConfig | undefined;
  /** Why the newest one is not in use; undefined when it is. */
  readonly problem: string | undefined;
  /** The first good one. Rejects when aborted. */
  first(signal: AbortSignal): Promise<MeshConfig>;
  onChange(listener: (config: MeshConfig) => void): void;
  run(signal: AbortSignal): Promise<void>;
}

const NAME = "mesh-config";

export function createConfigSource(
  options: { readonly namespace: string },
  modules: { readonly transport: Transport; readonly clock: Clock; readonly log: Logger },
): ConfigSource {
  const { namespace } = options;
  const listeners = new Set<(config: MeshConfig) => void>();
  let current: MeshConfig | undefined;
  let problem: string | undefined = `Waiting for ConfigMap "${namespace}/${NAME}"`;

  const watch = createListWatch(
    {
      resource: CONFIG_MAPS,
      namespace,
      fieldSelector: `metadata.name=${NAME}`,
      project: (object) => (object as KubeConfigMap).data ?? {},
    },
    {
      ...modules,
      onChange({ sets, deletes, relist }) {
        for (const { value } of sets) take(value);
        const gone = sets.length === 0 && (deletes.length > 0 || (relist && watch.items.size === 0));
        if (gone) say(`ConfigMap "${namespace}/${NAME}" does not exist: create it`);
      },
    },
  );

  function take(data: Readonly<Record<string, string>>): void {
    try {
      const next = parseMeshConfig(data);
      if (current !== undefined) refuseRename(current, next);
      current = next;
      problem = undefined;
      for (const listener of [...listeners]) listener(next);
    } catch (thrown) {
      say(MeshError.from(thrown).message);
    }
  }

  function say(sentence: string): void {
    if (problem !== sentence) modules.log.warn("Settings not in use", { problem: sentence });
    problem = sentence;
  }

  return {
    get current() {
      return current;
    },
    get problem() {
      // Before the first answer, what matters is why there is none.
      return (watch.inSync ? undefined : watch.problem) ?? problem;
    },
    first(signal) {
      if (current !== undefined) return Promise.resolve(current);
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const found = (config: MeshConfig) => {
          listeners.delete(found);
          resolve(config);
        };
        listeners.add(found);
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    },
    onChange: (listener) => void listeners.add(listener),
    run: (signal) => watch.run(signal),
  };
}

function refuseRename(current: MeshConfig, next: MeshConfig): void {
  for (const [field, was, is] of [
    ["cluster-name", current.cluster, next.cluster],
    ["cluster-id", current.id, next.id],
  ] as const) {
    if (was === is) continue;
    const sentence = `Cannot use mesh-config: "${field}" changed from "${was}" to "${is}" while running, restart to change it`;
    throw new MeshError({ code: "MESH_CONFIG", field }, sentence);
  }
}
