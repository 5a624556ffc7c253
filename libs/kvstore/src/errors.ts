/** Errors of etcd and of the connection to it, as codes for callers to act on. */
import { MeshError } from "@isthmus/model";

/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type StoreErrorCode =
  /**
   * No endpoint of the store answered, or the answer was lost: a write may have happened. Fix: check that etcd runs and that its
   * endpoints (`spec.store.endpoints` of the MeshCluster) can be reached. Local Services go on; programs retry by themselves.
   */
  | "STORE_UNAVAILABLE"
  /**
   * The store did not answer in time: a write may have happened. Fix: check etcd's load, its disk (`etcdctl endpoint status`) and
   * the network to it. Programs retry by themselves.
   */
  | "STORE_TIMEOUT"
  /**
   * The store's user of this cluster lacks the permission. Fix: run `mesh connect` with the store file: it writes the permissions
   * anew.
   */
  | "STORE_DENIED"
  /**
   * The store does not know the user: its users were removed, or the store is new. Fix: run `mesh connect` with the store file: it
   * creates the users anew.
   */
  | "STORE_UNAUTHENTICATED"
  /**
   * The revision that was asked for is compacted. Fix: nothing to do, the reader lists the store again; when it happens often,
   * keep more of etcd's history (--auto-compaction-retention).
   */
  | "STORE_COMPACTED"
  /**
   * The store's quota is used up: it accepts no writes, so other clusters receive no changes of this one. Fix: compact and defragment
   * etcd, or raise --quota-backend-bytes; then clear the alarm: `etcdctl alarm disarm`.
   */
  | "STORE_FULL"
  /**
   * The store refused the request itself, or what it holds cannot be used. Fix: do what the sentence says; without advice it is a
   * mistake in this program and worth an issue.
   */
  | "STORE_ERROR";

/** An error of the store or of the way to it; `action` is what failed, as in "read the head of cluster west". */
export class StoreError extends MeshError<{ readonly code: StoreErrorCode; readonly action: string }> {}

const TEXTS: readonly (readonly [RegExp, StoreErrorCode])[] = [
  [/permission denied/i, "STORE_DENIED"],
  [/has been compacted/i, "STORE_COMPACTED"],
  [/database space exceeded/i, "STORE_FULL"],
  [/invalid auth token|user name is empty|authentication failed|unauthenticated/i, "STORE_UNAUTHENTICATED"],
  [/deadline exceeded|request timed out/i, "STORE_TIMEOUT"],
  [/duplicate key|too many operations|too large|larger than max|is not found|already exists/i, "STORE_ERROR"],
];

/** `action` as in "read the head of cluster west". */
export function storeError(thrown: unknown, action: string): StoreError {
  if (thrown instanceof StoreError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const code = TEXTS.find(([text]) => text.test(reason))?.[1] ?? codeByType(thrown);
  const short = reason
    .replace(/^\w*Error: /, "")
    .replace(/^\d+ [A-Z_]+: /, "")
    .replace(/\.? (Last error: null\. )?Resolution note: *$/, "");
  return new StoreError({ code, action }, `Cannot ${action}: ${short}`, { cause: thrown });
}

/** False when the store certainly did not execute the request. */
export function mayHaveHappened(error: StoreError): boolean {
  return error.code === "STORE_UNAVAILABLE" || error.code === "STORE_TIMEOUT";
}

/** True when the answer arrived and was larger than a message may be (transport.ts). */
export function isAnswerTooLarge(error: StoreError): boolean {
  return /received message larger than max/i.test(error.message);
}

function codeByType(thrown: unknown): StoreErrorCode {
  const name = thrown instanceof Error ? thrown.constructor.name : "";
  return /^GRPC(InvalidArgument|NotFound|AlreadyExists|FailedPrecondition|OutOfRange|NotImplemented)/.test(name)
    ? "STORE_ERROR"
    : "STORE_UNAVAILABLE";
}
