/** Errors of etcd and of the connection to it, as codes for callers to act on. */
import { MeshError } from "@isthmus/model";

export type StoreErrorCode =
  | "STORE_UNAVAILABLE" // no endpoint answered, or the answer was lost: a write may have happened
  | "STORE_TIMEOUT" // the deadline passed: a write may have happened
  | "STORE_DENIED" // the user lacks the permission
  | "STORE_UNAUTHENTICATED" // the store does not know the user
  | "STORE_COMPACTED" // the revision is compacted
  | "STORE_FULL" // the quota is used up
  | "STORE_ERROR"; // anything else: the request itself was refused

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
