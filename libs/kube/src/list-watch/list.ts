/**
 * Reads a whole collection page by page, keeping only projections.
 *
 * Not older than a floor (`NotOlderThan`) or, without one, by quorum.
 */
import type { KubeObject } from "../objects.js";
import { resourcePath } from "../resources.js";
import type { Transport } from "../transport.js";
import type { Item, ListWatchOptions } from "./types.js";
import { selection } from "./watch.js";

export interface ListResult<T> {
  /** By `Item.key`. */
  readonly items: ReadonlyMap<string, Item<T>>;
  /** The resource version at which all of the list was read. */
  readonly version: bigint;
}

/** The current version of Kubernetes, read by quorum, without the collection. */
export async function quorumVersion<T>(
  options: ListWatchOptions<T>,
  transport: Transport,
  signal: AbortSignal,
): Promise<bigint> {
  const path = resourcePath(options.resource, options.namespace);
  const query = { ...selection(options), limit: "1" };
  const page = await transport.json<Page>({ method: "GET", path, query, signal });
  return BigInt(page.metadata?.resourceVersion ?? "0");
}

interface Page {
  readonly items?: readonly KubeObject[] | null;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

const PAGE_SIZE = 500;
const PAGE_DEADLINE_MS = 60_000;

/** `floor` undefined: by quorum. Objects whose `toItem` is undefined are left out. Rejects with a KubeError. */
export async function listPages<T>(
  options: ListWatchOptions<T>,
  transport: Transport,
  toItem: (object: KubeObject) => Item<T> | undefined,
  floor: bigint | undefined,
  signal: AbortSignal,
): Promise<ListResult<T>> {
  const items = new Map<string, Item<T>>();
  const path = resourcePath(options.resource, options.namespace);
  const start: Record<string, string> =
    floor === undefined ? {} : { resourceVersion: String(floor), resourceVersionMatch: "NotOlderThan" };
  let next = "";
  let version = 0n;
  do {
    const query = {
      ...selection(options),
      limit: String(options.pageSize ?? PAGE_SIZE),
      ...(next === "" ? start : { continue: next }),
    };
    const page = await transport.json<Page>({ method: "GET", path, query, signal, timeoutMs: PAGE_DEADLINE_MS });
    for (const object of page.items ?? []) {
      const item = toItem(object);
      if (item !== undefined) items.set(item.key, item);
    }
    version = BigInt(page.metadata?.resourceVersion ?? "0");
    next = page.metadata?.continue ?? "";
  } while (next !== "");
  return { items, version };
}
