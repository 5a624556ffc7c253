/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type ModelErrorCode =
  /**
   * A text or a number of bytes is no IP address, or no address with a port. Fix: correct the value that the sentence quotes:
   * "10.0.0.1", "fd00::1", and with a port "10.0.0.1:7443", "[fd00::1]:7443".
   */
  | "ADDRESS"
  /**
   * A cluster id is not a whole number from 1 to 4094. Fix: correct "cluster-id" in mesh-config of that cluster, or `spec.id` of
   * the MeshPeer that the sentence names.
   */
  | "CLUSTER_ID"
  /**
   * A cluster name is no DNS label of at most 32 characters, or it is "root", the name of the store's owner. Fix: choose another
   * "cluster-name" in mesh-config; MeshPeers in other clusters have the same name.
   */
  | "CLUSTER_NAME"
  /**
   * A text is no address range, or has bits set beyond its length. Fix: write the range by its first address, such as
   * "10.1.0.0/16": in "pod-cidrs" or "service-cidrs" of mesh-config, or in the spec of the MeshPeer.
   */
  | "PREFIX"
  /**
   * Something failed that has no code of its own: an error of the operating system, of a library, or a mistake in this program.
   * Fix: read the sentence and its `cause` in the log; one with a stack is a mistake in this program and worth an issue.
   */
  | "UNKNOWN";

/**
 * The one error type: a code with its data, and a sentence about the action.
 *
 * Sentences start with a capital, name the action first, quote values, and end without a full stop.
 */
export class MeshError<Data extends { readonly code: string } = { readonly code: string }> extends Error {
  override readonly name = "MeshError";
  readonly code: Data["code"];
  readonly data: Data;

  constructor(data: Data, sentence: string, options?: { readonly cause?: unknown }) {
    super(sentence, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = data.code;
    this.data = data;
  }

  /** The only catch-all: returns a MeshError unchanged, wraps anything else as `UNKNOWN` with its cause. */
  static from(thrown: unknown, action?: string): MeshError {
    if (thrown instanceof MeshError) return thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    return new MeshError({ code: "UNKNOWN" }, action === undefined ? reason : `${action}: ${reason}`, {
      cause: thrown,
    });
  }
}
