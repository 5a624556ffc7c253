/** The steps of bringing a lab up, as events: for the person who waits, and for the sentence when one fails. */
import { MeshError, systemClock } from "@isthmus/model";

export type ProgressEvent =
  | { readonly type: "begin"; readonly step: string; readonly atMs: number }
  | { readonly type: "done"; readonly step: string; readonly atMs: number }
  /** What a step still waits for; only in the supervisor's own log. */
  | { readonly type: "note"; readonly step: string; readonly atMs: number; readonly text: string }
  /** `log`: end of the log of the process at fault; "" when there is none. */
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
  /** Runs one step; a failure is recorded once and thrown on. `processId`: whose log to show when it fails. */
  step<T>(name: string, work: () => Promise<T>, processId?: string): Promise<T>;
  note(step: string, text: string): void;
  ready(): void;
  /** The lab is being taken down: what fails from now on does so because of that, and is not told. */
  close(): void;
  /** All events so far, then each new one; returns how to stop. */
  follow(listener: (event: ProgressEvent) => void): () => void;
}

/** Finds the end of a log that says more about an error; "" when there is none. */
export type Explain = (error: MeshError, processId: string | undefined) => Promise<string>;

export function createProgress(explain: Explain): Progress {
  const startMs = systemClock.now();
  const events: ProgressEvent[] = [];
  const listeners = new Set<(event: ProgressEvent) => void>();
  let over = false;
  const emit = (event: ProgressEvent) => {
    if (over) return;
    over = event.type === "failed" || event.type === "ready";
    events.push(event);
    for (const listener of listeners) listener(event);
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
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
