/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type RuntimeErrorCode =
  /** What was waited for did not come about in time; the sentence says what, and why not as far as that is known. Fix: check that. */
  "TIMEOUT";
