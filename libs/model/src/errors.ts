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
