/**
 * What a list-watch knows about versions, and what it does next (pure).
 *
 *                 adopted                       events, bookmarks: newest, position, resume
 *   ──► Listing ────────────► Watching from `resume` ──┐
 *         ▲  │                  │       ▲   └──────────┤ ends: watch again
 *         │  │ from the API's   │       └──────────────┘
 *         │  │ cache, below     │ a caller waits for a list; 410 or 504: `resume` is of no use
 *         │  │ `newest`         ├──────────────────────────────────────► Listing
 *         │  ▼                  │ quorum version below `newest`
 *         │ Doubted ◄───────────┘
 *         └────┘ quorum list: adopted; below `newest`, Kubernetes was restored
 *
 * `newest` falls only with a quorum list, which alone is evidence that Kubernetes is older than it was.
 */
export interface ListWatchState {
  /** Version of the last list adopted, or of the newest event since. 0 until in sync. */
  readonly position: bigint;
  /** The newest version that the API reported for this collection, in lists, events and bookmarks. */
  readonly newest: bigint;
  /** The version after which the next watch begins; undefined: list first. */
  readonly resume: bigint | undefined;
  /** A list from the cache, or a read of the version, was below `newest`: a quorum list must show why. */
  readonly doubted: boolean;
  /** Number of lists adopted since the start: in sync from the first one on. */
  readonly adopted: number;
  /** The API may be asked for streaming lists. */
  readonly streaming: boolean;
}

/** Callers that wait for a list: their number, and the version that satisfies all of them, if a list from the cache can. */
export interface Waiting {
  /** Any number above 0 makes the next attempt a list. */
  readonly size: number;
  /** Undefined: only a quorum list will do, or there is no caller. */
  readonly floor: bigint | undefined;
}

export type Attempt =
  | { readonly is: "watch"; readonly from: bigint }
  | { readonly is: "streaming list" }
  /** `floor` undefined: by quorum. Otherwise from the API's cache if it is at least there, else by quorum. */
  | { readonly is: "paged list"; readonly floor: bigint | undefined };

/** An attempt that lasted this long resets the back-off. An answer alone does not: an error may follow each one. */
export const SETTLED_MS = 5_000;
/** In doubt, an attempt that lasted this long is followed by the quorum list at once: only tight loops are slowed. */
const DOUBTED_MS = 100;

/** Nothing is known. `streaming`: lists may be streamed. */
export function initialState(streaming: boolean): ListWatchState {
  return { position: 0n, newest: 0n, resume: undefined, doubted: false, adopted: 0, streaming };
}

/** What to do next, when no attempt runs. */
export function nextAttempt({ resume, doubted, streaming }: ListWatchState, waiting: Waiting): Attempt {
  const undisturbed = waiting.size === 0 && !doubted;
  if (undisturbed && resume !== undefined) return { is: "watch", from: resume };
  if (undisturbed && streaming) return { is: "streaming list" };
  return { is: "paged list", floor: doubted ? undefined : waiting.floor };
}

/**
 * Listing, Doubted -> Watching, or "discarded": Listing -> Doubted.
 * "restored": Kubernetes was restored from an older state, and the list is adopted.
 */
export function takeList(
  state: ListWatchState,
  version: bigint,
  quorum: boolean,
): { readonly state: ListWatchState; readonly outcome: "adopted" | "restored" | "discarded" } {
  const setBack = version < state.newest;
  if (setBack && !quorum) return { state: { ...state, doubted: true }, outcome: "discarded" };
  const { streaming } = state;
  const adopted = state.adopted + 1;
  return {
    state: { position: version, newest: version, resume: version, doubted: false, adopted, streaming },
    outcome: setBack ? "restored" : "adopted",
  };
}

/** Watching -> Watching. A bookmark is no event: the position stays. */
export function takeEvents(
  state: ListWatchState,
  events: readonly { readonly version: bigint; readonly isBookmark: boolean }[],
): ListWatchState {
  let { position, newest, resume } = state;
  for (const { version, isBookmark } of events) {
    if (resume === undefined || version > resume) resume = version;
    if (version > newest) newest = version;
    if (!isBookmark && version > position) position = version;
  }
  return { ...state, position, newest, resume };
}

/** The current version by quorum. Watching -> Watching | Doubted */
export function takeQuorumVersion(state: ListWatchState, version: bigint): ListWatchState {
  return { ...state, doubted: version < state.newest };
}

/** The API has no events after `resume`: compacted, or ahead of the server. Watching -> Listing */
export function forgetResume(state: ListWatchState): ListWatchState {
  return { ...state, resume: undefined };
}

/** The API cannot stream lists. */
export function withoutStreaming(state: ListWatchState): ListWatchState {
  return { ...state, streaming: false };
}

/**
 * True when a pause must follow an attempt that ended by itself: a server or proxy that ends lists or watches within seconds
 * must not be retried in a tight loop. No pause precedes the watch that follows an adopted list, or a list that is waited for.
 */
export function endedTooSoon(
  { doubted, adopted }: ListWatchState,
  attempt: { readonly lastedMs: number; readonly adoptedBefore: number; readonly waiting: number },
): boolean {
  const minMs = doubted ? DOUBTED_MS : SETTLED_MS;
  return attempt.lastedMs < minMs && adopted === attempt.adoptedBefore && attempt.waiting === 0;
}
