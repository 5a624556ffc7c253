/** The steps of bringing a lab up, as events: for the output of `up`, and for the sentence of a failed step. */
import { MeshError, systemClock } from "@isthmus/model";
import { createEmitter } from "@isthmus/runtime";

export type ProgressEvent =
  | { readonly type: "begin"; readonly step: string; readonly atMs: number }
  | { readonly type: "done"; readonly step: string; readonly atMs: number }
  /** "note": what a step still waits for; only in the supervisor's own log. */
  | { readonly type: "note"; readonly step: string; readonly atMs: number; readonly text: string }
  /** `log`: end of the log of the process that failed; "" when there is none. */
  | {
      readonly type: "failed";
      readonly step: string;
      readonly atMs: number;
      readonly code: string;
      readonly sentence: string;
      readonly log: string;
    }
  | { readonly type: "ready"; readonly atMs: number };

export interface Progress {
  /** Runs one step; a failure is recorded once and rethrown. `processId`: the process whose log is shown then. */
  step<T>(name: string, work: () => Promise<T>, processId?: string): Promise<T>;
  note(step: string, text: string): void;
  ready(): void;
  /** Called when the lab is taken down, which makes steps fail: failures from now on are not reported. */
  close(): void;
  /** Calls `listener` with all events so far, then with each new one; returns the function that stops it. */
  follow(listener: (event: ProgressEvent) => void): () => void;
}

/** Returns the end of the log that explains an error; "" when there is none. */
export type Explain = (error: MeshError, processId: string | undefined) => Promise<string>;

export function createProgress(explain: Explain): Progress {
  const startMs = systemClock.now();
  const events: ProgressEvent[] = [];
  const emitter = createEmitter<ProgressEvent>();
  let over = false;
  const emit = (event: ProgressEvent) => {
    if (over) return;
    over = event.type === "failed" || event.type === "ready";
    events.push(event);
    emitter.emit(event);
  };
  const now = () => Math.round(systemClock.now() - startMs);
  return {
    async step(name, work, processId) {
      emit({ type: "begin", step: name, atMs: now() });
      try {
        const result = await work();
        emit({ type: "done", step: name, atMs: now() });
        return result;
      } catch (thrown) {
        const error = MeshError.from(thrown);
        emit({
          type: "failed",
          step: name,
          atMs: now(),
          code: error.code,
          sentence: error.message,
          log: await explain(error, processId),
        });
        throw error;
      }
    },
    note: (step, text) => emit({ type: "note", step, atMs: now(), text }),
    ready: () => emit({ type: "ready", atMs: now() }),
    close() {
      over = true;
    },
    follow(listener) {
      for (const event of events) listener(event);
      return emitter.subscribe(listener);
    },
  };
}
