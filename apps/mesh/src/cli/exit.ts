/** Exit codes: 0 success, 1 a finding, 2 bad command line or machine, 3 time-out, 130 and 143 ended by its user. */
import { MeshError } from "@isthmus/model";

export type ExitCode = 0 | 1 | 2 | 3 | 130 | 143;

export function usageError(sentence: string): MeshError<{ code: "USAGE" }> {
  return new MeshError({ code: "USAGE" }, sentence);
}

export function exitCodeOf(error: MeshError): ExitCode {
  if (error.code === "USAGE" || error.code === "KUBE_CONFIG" || error.code === "STORE_FILE") return 2;
  if (error.code === "INTERRUPTED") return (error.data as { exit?: unknown }).exit === 143 ? 143 : 130;
  return error.code === "TIMEOUT" ? 3 : 1;
}
