/** A cache of answers that expire; when it is full the oldest are evicted. */
import type { Clock } from "@isthmus/model";

export interface RecentAnswers<T> {
  /** Undefined when there is none, or it is expired or evicted. */
  get(id: string): T | undefined;
  /** Valid for `forMs` from now; replaces an earlier answer. */
  set(id: string, answer: T, forMs: number): void;
  /** Nothing happens for an unknown id. */
  delete(id: string): void;
}

/** `most`: answers that are kept at once. */
export function createRecentAnswers<T>(most: number, clock: Clock): RecentAnswers<T> {
  const answers = new Map<string, { readonly answer: T; readonly until: number }>();
  return {
    get(id) {
      const entry = answers.get(id);
      if (entry === undefined || entry.until > clock.now()) return entry?.answer;
      answers.delete(id);
      return undefined;
    },
    set(id, answer, forMs) {
      answers.delete(id);
      answers.set(id, { answer, until: clock.now() + forMs });
      const [oldest] = answers.keys();
      if (answers.size > most && oldest !== undefined) answers.delete(oldest);
    },
    delete: (id) => void answers.delete(id),
  };
}
