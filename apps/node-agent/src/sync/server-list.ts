import { splitHostPort } from "@isthmus/observe";

/**
 * Chooses the server to try next: first the configured ones, then those that a Welcome listed, both in an order that is
 * random per agent, so that many agents spread over the servers.
 */
export interface ServerList {
  /** The next server to try; the first one follows the last. */
  next(): string;
  /** Every server was tried since the last success. */
  readonly exhausted: boolean;
  /** Takes the list of a Welcome; ignores what is no `host:port`, and everything after `MOST_LEARNED` servers. */
  learn(servers: readonly string[]): void;
  /** The list that was learned last. */
  readonly learned: readonly string[];
  /** The server in use works: a new round begins after it. */
  reportSuccess(): void;
}

const MOST_LEARNED = 64;

/** `fixed`: configured, at least one. `before`: learned by an earlier process, checked again. `random`: in [0, 1). */
export function createServerList(
  fixed: readonly string[],
  before: readonly string[],
  random: () => number = Math.random,
): ServerList {
  const first = shuffle(fixed, random);
  let learned = before.filter(isAddress).slice(0, MOST_LEARNED);
  let all = combine(learned);
  let at = -1;
  let tried = 0;

  function combine(more: readonly string[]): readonly string[] {
    return [...new Set([...first, ...shuffle(more, random)])];
  }

  return {
    next() {
      at = (at + 1) % all.length;
      tried++;
      return all[at] ?? "";
    },
    get exhausted() {
      return tried >= all.length;
    },
    get learned() {
      return learned;
    },
    learn(servers) {
      learned = servers.filter(isAddress).slice(0, MOST_LEARNED);
      const current = all[at];
      const known = new Set(all);
      if (learned.every((server) => known.has(server)) && all.length === new Set([...first, ...learned]).size) return;
      all = combine(learned);
      at = current === undefined ? -1 : all.indexOf(current);
    },
    reportSuccess() {
      tried = 0;
    },
  };
}

function isAddress(text: string): boolean {
  try {
    return splitHostPort(text).port > 0;
  } catch {
    return false;
  }
}

function shuffle(items: readonly string[], random: () => number): readonly string[] {
  const keyed = items.map((item) => ({ item, key: random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
