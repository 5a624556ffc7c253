/**
 * Errors as CNI defines them: a code and a sentence. Codes below 100 are those of the specification, the others are
 * Isthmus codes.
 */
import { MeshError } from "@isthmus/model";

export const CNI_INVALID_ENVIRONMENT = 4;
export const CNI_IO = 5;
export const CNI_DECODE = 6;
export const CNI_INCOMPATIBLE_VERSION = 1;
export const CNI_TRY_AGAIN = 11;
/** No address of the node's pod CIDR is free. */
export const CNI_ADDRESSES_EXHAUSTED = 101;
/** CHECK found that the pod's network differs from what ADD made. */
export const CNI_CHECK_FAILED = 102;
/** ADD for a container whose network is in another namespace. */
export const CNI_OTHER_NAMESPACE = 103;

export class CniError extends MeshError<{ readonly code: "CNI"; readonly cniCode: number }> {
  constructor(cniCode: number, sentence: string, options?: { readonly cause?: unknown }) {
    super({ code: "CNI", cniCode }, sentence, options);
  }
}

/** The JSON that a runtime reads. An error that is no CniError gets the code of an I/O error. */
export function errorJson(thrown: unknown): string {
  const error = MeshError.from(thrown, "Cannot set up the network of the pod");
  const code = thrown instanceof CniError ? thrown.data.cniCode : CNI_IO;
  return JSON.stringify({ cniVersion: "1.0.0", code, msg: error.message, details: detailsOf(error) });
}

function detailsOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : "";
}
