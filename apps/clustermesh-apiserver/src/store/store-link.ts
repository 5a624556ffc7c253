/**
 * Connects this cluster to the store with MeshCluster.spec.store and the cluster's key, again whenever the spec changes.
 *
 * The certificate comes from the operator, the key from the Secret; a pair that does not match is reported as a problem.
 */
import { createSecureContext } from "node:tls";
import type { KubeClient, StoreSpec } from "@isthmus/kube";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createRequest, requestName, requestPublicKey } from "@isthmus/pki";
import { createPeriodicTask } from "../process/periodic-task.js";
import { createReloadableStore, type ReloadableStore } from "./reloadable-store.js";
import { storeKey } from "./store-key.js";

export interface StoreConnection {
  /** Always the same object; without a store until `run` has made the first connection. */
  readonly store: ReloadableStore;
  /** The spec in use; undefined without a store. */
  readonly spec: StoreSpec | undefined;
  /** Why the spec cannot be used; undefined when it can. */
  readonly problem: string | undefined;
  /** As the MeshCluster has it, undefined: no store. `run` connects; a failure becomes the `problem`. */
  setSpec(spec: StoreSpec | undefined): void;
  /** Returns the existing request when it is for this cluster's key and name, else a new one. */
  request(existing: string | undefined, signal: AbortSignal): Promise<string>;
  /** Follows the spec until the signal aborts, then closes `store`. */
  run(signal: AbortSignal): Promise<void>;
}

export interface StoreLinkModules {
  /** For the Secret with the cluster's key. */
  readonly client: KubeClient;
  /** For waits between attempts. */
  readonly clock: Clock;
  /** Gets changes of the store, and failed attempts. */
  readonly log: Logger;
}

/** `namespace`: of the Secret with the key. `cluster`: the name in the certificate request. */
export function createStoreLink(
  options: { readonly cluster: string; readonly namespace: string },
  modules: StoreLinkModules,
): StoreConnection {
  const { clock, log } = modules;
  const store = createReloadableStore();
  let wanted: StoreSpec | undefined;
  let open = "";
  let used: StoreSpec | undefined;
  let key: string | undefined;
  let created: { readonly request: string; readonly publicKey: Uint8Array } | undefined;
  const task = createPeriodicTask({ name: "store", everyMs: 60_000, task: connect }, { clock, log });

  async function clusterKey(signal: AbortSignal): Promise<string> {
    key ??= await storeKey(modules.client, options.namespace, signal);
    return key;
  }

  async function connect(signal: AbortSignal): Promise<void> {
    const spec = wanted;
    const text = JSON.stringify(spec ?? null);
    if (text === open || (spec === undefined && open === "")) return;
    if (spec === undefined) store.swap(undefined);
    else store.swap(optionsOf(spec, await clusterKey(signal)));
    open = text;
    used = spec;
    log.info(spec === undefined ? "Store removed" : "Store configured", { endpoints: spec?.endpoints });
  }

  return {
    store,
    get spec() {
      return used;
    },
    get problem() {
      return task.problem;
    },
    setSpec(spec) {
      wanted = spec;
      task.trigger();
    },
    async request(existing, signal) {
      created ??= await createStoreRequest(await clusterKey(signal), options.cluster);
      return existing !== undefined && isFor(existing, options.cluster, created.publicKey) ? existing : created.request;
    },
    async run(signal) {
      await task.run(signal);
      store.close();
    },
  };
}

async function createStoreRequest(key: string, cluster: string): Promise<{ request: string; publicKey: Uint8Array }> {
  const request = await createRequest({ key, cn: cluster });
  return { request, publicKey: requestPublicKey(request) };
}

function isFor(existing: string, cluster: string, publicKey: Uint8Array): boolean {
  try {
    return requestName(existing) === cluster && Buffer.from(requestPublicKey(existing)).equals(publicKey);
  } catch {
    return false;
  }
}

function optionsOf(spec: StoreSpec, key: string) {
  try {
    createSecureContext({ ca: spec.ca, cert: spec.certificate, key });
  } catch (cause) {
    const why = (cause as Error).message;
    const sentence = `Cannot use the store's certificate of this cluster's MeshCluster: ${why}; run "mesh connect" again`;
    throw new MeshError({ code: "STORE_CERTIFICATE" }, sentence, { cause });
  }
  return { endpoints: spec.endpoints, ca: spec.ca, certificate: spec.certificate, key };
}
