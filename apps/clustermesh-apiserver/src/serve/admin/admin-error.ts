/** The error of a refused admin call: a gRPC status and a sentence that the caller may see. */
import type { status } from "@grpc/grpc-js";
import { MeshError } from "@isthmus/model";

export type AdminError = MeshError<{ code: "ADMIN"; status: status }>;

/** `cause` is only logged. */
export function adminError(code: status, why: string, cause?: unknown): AdminError {
  return new MeshError({ code: "ADMIN", status: code }, `Cannot answer: ${why}`, { cause });
}

/** True for errors of `adminError`: their message is for the caller. */
export function isAdminError(thrown: unknown): thrown is AdminError {
  return thrown instanceof MeshError && thrown.code === "ADMIN";
}
