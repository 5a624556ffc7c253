/** Gathers facts about the store with the owner's credential. Never throws: a failure is recorded as a fact. */
import { authEnabled, createStore, type Store } from "@isthmus/kvstore";
import { MeshError } from "@isthmus/model";
import { readClaim } from "@isthmus/records";
import { plainWords } from "../../access/plain-words.js";
import type { Unknown } from "./cluster-facts.js";
import type { StoreFile } from "./store-file.js";

export interface StoreFacts {
  /** `problem`: why the endpoint does not answer from here. */
  readonly endpoints: readonly { readonly endpoint: string; readonly problem?: string }[];
  /** Whether the store authenticates writers. */
  readonly auth: { readonly enabled: boolean } | Unknown;
  /** Names of raised alarms, such as `Nospace`. */
  readonly alarms: readonly string[] | Unknown;
  /** Cluster id → the cluster that claimed it; undefined when the claim is unreadable. */
  readonly claims: ReadonlyMap<number, Claim | undefined> | Unknown;
}

export interface Claim {
  /** Cluster name. */
  readonly name: string;
  /** Uid of that cluster's namespace kube-system. */
  readonly uid: string;
}

const CLAIMS = "/mesh/v1/ids/";

/** Opens the store with the owner's credential. */
export function openStore(file: StoreFile, signal: AbortSignal, endpoints = file.endpoints): Store {
  const { certificate, key, authority } = file;
  return createStore({ endpoints, ca: authority.certificate, certificate, key, signal });
}

/** Dials each endpoint alone, then reads through those that answer. */
export async function gatherStore(file: StoreFile, signal: AbortSignal): Promise<StoreFacts> {
  const endpoints = await Promise.all(file.endpoints.map((endpoint) => reach(file, endpoint, signal)));
  const alive = endpoints.filter(({ problem }) => problem === undefined).map(({ endpoint }) => endpoint);
  if (alive.length === 0) {
    const nobody = { unknown: "no endpoint of the store answers" };
    return { endpoints, auth: nobody, alarms: nobody, claims: nobody };
  }
  return using(openStore(file, signal, alive), async (store) => ({
    endpoints,
    auth: await authEnabled(store).then((enabled) => ({ enabled }), unknown),
    alarms: await readAlarms(store).catch(unknown),
    claims: await readClaims(store).catch(unknown),
  }));
}

async function reach(file: StoreFile, endpoint: string, signal: AbortSignal): Promise<StoreFacts["endpoints"][number]> {
  const answer = await using(openStore(file, signal, [endpoint]), (store) => store.get(CLAIMS).catch(unknown));
  return "unknown" in answer ? { endpoint, problem: answer.unknown } : { endpoint };
}

async function readAlarms(store: Store): Promise<string[]> {
  const answer = await store.transport.maintenance.alarm({ action: "Get" });
  return (answer.alarms ?? []).map(({ alarm }) => alarm);
}

/** Reads the claims. They are untrusted: each member writes its own and can write anything. */
export async function readClaims(store: Store): Promise<Map<number, Claim | undefined>> {
  const claims = new Map<number, Claim | undefined>();
  for await (const page of store.list(CLAIMS))
    for (const { key, value } of page.entries) claims.set(Number(key.slice(CLAIMS.length)), readClaim(value));
  return claims;
}

async function using<T>(store: Store, work: (store: Store) => Promise<T>): Promise<T> {
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

function unknown(thrown: unknown): Unknown {
  return { unknown: plainWords(MeshError.from(thrown).message) };
}
