/** The exit codes of `mesh`. */
import { MeshError } from "@isthmus/model";

/** docs/reference/cli.md is made of these comments. */
export type ExitCode =
  /** Done as asked, and nothing is wrong. */
  | 0
  /**
   * A finding, or an error: stderr says which, and `-o json` has it as `findings` or `error`. Of `mesh policy diff`: a difference.
   */
  | 1
  /** The command line, the kubeconfig, the store file or a manifest cannot be used. Of `mesh policy diff`: any error. */
  | 2
  /** Time is up: see --timeout. */
  | 3
  /** Ended by Ctrl-C. */
  | 130
  /** Ended by SIGTERM. */
  | 143;

/** The sentence says what to write instead. */
export function usageError(sentence: string): MeshError<{ code: "USAGE" }> {
  return new MeshError({ code: "USAGE" }, sentence);
}

/** `otherwise`: of every code that is not named here. */
export function exitCodeOf(error: MeshError, otherwise: ExitCode = 1): ExitCode {
  if (error.code === "USAGE" || error.code === "KUBE_CONFIG" || error.code === "STORE_FILE") return 2;
  if (error.code === "INTERRUPTED") return (error.data as { exit?: unknown }).exit === 143 ? 143 : 130;
  return error.code === "TIMEOUT" ? 3 : otherwise;
}
