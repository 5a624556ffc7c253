/** What a command needs from the program around it. Results go to `out`, messages go to `err`. */
export interface LabIo {
  out(text: string): void;
  err(text: string): void;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted by Ctrl-C. */
  readonly signal?: AbortSignal;
}
