/** Errors of the lab, each with its exit code: 1 finding, 2 usage or an unfit machine, 3 time-out. */
import { MeshError } from "@isthmus/model";

export type LabErrorCode = "USAGE" | "UNFIT" | "NOT_RUNNING" | "STEP_FAILED" | "NOT_FOUND" | "LEFT_OVER" | "TIMEOUT";

export function labError(code: LabErrorCode, sentence: string, cause?: unknown): MeshError<{ code: LabErrorCode }> {
  return new MeshError({ code }, sentence, cause === undefined ? undefined : { cause });
}

export function exitCodeOf(error: MeshError): 1 | 2 | 3 {
  if (error.code === "USAGE" || error.code === "UNFIT") return 2;
  return error.code === "TIMEOUT" ? 3 : 1;
}
