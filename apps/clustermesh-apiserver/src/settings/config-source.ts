/**
 * Watches mesh-config. Usable values take effect; unusable ones leave the last good values in force, also after a restart.
 *
 *   mesh-config ─► judge-config ─► current, problem
 *   MeshCluster's annotation, ranges of peers and Services ──┘
 */
import { CONFIG_MAPS, createListWatch, type KubeClient, type KubeConfigMap } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createEmitter, waitFor } from "@isthmus/runtime";
import { judgeConfig, type ReservedRanges } from "./judge-config.js";
import { type ConfigData, type MeshConfig, savedText } from "./mesh-config.js";
import { lastGoodConfig, readConfigStart } from "./saved-config.js";

export interface ConfigSource {
  /** The settings in force; undefined before the first ones that have at least the cluster's name and id. */
  readonly current: MeshConfig | undefined;
  /** Why the newest mesh-config is not in force; undefined when it is. */
  readonly problem: string | undefined;
  /** The newest mesh-config was checked. */
  readonly judged: boolean;
  /** The text to save for the next start; undefined: the saved one is not changed. */
  readonly lastGood: string | undefined;
  /** Undefined while there is no ConfigMap. */
  readonly uid: string | undefined;
  /** Sets the ranges that a changed mesh-config must not overlap. */
  setTaken(by: "peers" | "services", ranges: readonly ReservedRanges[]): void;
  /** Calls the listener when the settings in force or the problem have changed. */
  onChange(listener: () => void): () => void;
  /** Waits for Kubernetes, then watches. Resolves when aborted. Rejects only for an internal error. */
  run(signal: AbortSignal): Promise<void>;
}

export interface ConfigSourceModules {
  /** Reads mesh-config, MeshClusters, MeshPeers and ServiceCIDRs; its transport carries the watch. */
  readonly client: KubeClient;
  /** Paces retries. */
  readonly clock: Clock;
  /** Gets each new problem of mesh-config, and its end. */
  readonly log: Logger;
}

export const CONFIG_NAME = "mesh-config";

/** `namespace` is that of the ConfigMap. Nothing is read before `run`; until then there is a problem. */
export function createConfigSource(
  { namespace }: { readonly namespace: string },
  modules: ConfigSourceModules,
): ConfigSource {
  const { client, clock, log } = modules;
  const absent = `ConfigMap "${namespace}/${CONFIG_NAME}" does not exist: create it`;
  const changes = createEmitter();
  const taken = { peers: [] as readonly ReservedRanges[], services: [] as readonly ReservedRanges[] };
  let data: ConfigData | string | undefined;
  let before: MeshConfig | undefined;
  let current: MeshConfig | undefined;
  let problem: string | undefined = `Waiting for ConfigMap "${namespace}/${CONFIG_NAME}"`;
  let lastGood: string | undefined;
  let uid: string | undefined;

  const watch = createListWatch<KubeConfigMap>(
    { resource: CONFIG_MAPS, namespace, fieldSelector: `metadata.name=${CONFIG_NAME}`, project: (object) => object },
    {
      ...{ transport: client.transport, clock, log },
      onChange({ sets, deletes, relist }) {
        const isDeleted = sets.length === 0 && (deletes.length > 0 || (relist && watch.items.size === 0));
        for (const { value } of sets) take(value);
        if (isDeleted) take(undefined);
      },
    },
  );

  function take(map: KubeConfigMap | string | undefined): void {
    uid = typeof map === "object" ? map.metadata.uid : undefined;
    data = typeof map === "object" ? (map.data ?? {}) : (map ?? absent);
    judge();
  }

  function judge(): void {
    if (data === undefined) return;
    const now = judgeConfig(data, current ?? before, [...taken.peers, ...taken.services]);
    if (now.problem === undefined && typeof data === "object") lastGood = savedText(data);
    if (now.problem !== problem && now.problem !== undefined)
      log.warn("mesh-config is not in force", { problem: now.problem });
    if (now.problem === undefined && problem !== undefined) log.info("mesh-config is in force");
    current = now.config;
    problem = now.problem;
    changes.emit();
  }

  return {
    get current() {
      return current;
    },
    get problem() {
      return problem;
    },
    get judged() {
      return data !== undefined;
    },
    get lastGood() {
      return lastGood;
    },
    get uid() {
      return uid;
    },
    setTaken(by, ranges) {
      taken[by] = ranges;
      judge();
    },
    onChange: changes.subscribe,
    async run(signal) {
      const at = { client, namespace, name: CONFIG_NAME };
      const start = await readConfigStart(at, clock, signal, (sentence) => {
        problem = sentence;
      }).catch((thrown: unknown) => {
        if (!signal.aborted) throw thrown;
      });
      if (start === undefined) return;
      taken.peers = start.peers;
      taken.services = start.services;
      const initial = typeof start.map === "object" ? (start.map.data ?? {}) : (start.map ?? absent);
      before = lastGoodConfig(initial, start.clusters);
      take(start.map);
      await watch.run(signal);
    },
  };
}

/** Resolves with the first value other than undefined that `look` returns. Rejects when aborted. */
export function whenConfig<T>(settings: ConfigSource, look: () => T | undefined, signal: AbortSignal): Promise<T> {
  return waitFor("mesh-config", look, { changes: settings.onChange, signal });
}
