/**
 * Decides when the records of the local cluster are applied, and when its store id gets a new epoch (pure).
 *
 *             uid known and all types listed: apply                     changed: apply
 *   Syncing ───────────────────────────────────────────► Following ──┐  confirmed: other epoch, apply
 *      │                                                  │     ▲ ◄──┘
 *      │ restored              restored, or another uid:  │     │ relisted: new epoch, save it,
 *      │                                          relist  ▼     │ apply, report
 *      └─────────────────────────────────────────────► Relisting ┘
 *
 * In Relisting nothing is applied: what is known of some types is older than what is known of others.
 */
export interface LocalState {
  /** Changes of records are applied in Following only. */
  readonly phase: "Syncing" | "Following" | "Relisting";
  /** uid of the kube-system namespace; undefined before the first answer of the API. */
  readonly uid: string | undefined;
  /** "" until the first restore is detected. */
  readonly epoch: string;
}

/** `inSync`: every type has been listed. */
export type LocalEvent =
  /** Objects or ranges changed. */
  | { readonly type: "changed"; readonly inSync: boolean }
  | { readonly type: "identified"; readonly uid: string; readonly inSync: boolean }
  /** A list-watch detected a restore of Kubernetes, or an agent's floor proves one. */
  | { readonly type: "restored" }
  /** Every type has been listed again by quorum. `epoch`: a new random one. */
  | { readonly type: "relisted"; readonly epoch: string }
  /** The saved epoch, read by quorum. */
  | { readonly type: "confirmed"; readonly epoch: string };

/** `report`: tell listeners that the state changed, even if the status is the same. */
export type LocalEffect = "apply" | "relist" | "save" | "report";

export interface LocalStep {
  /** The next state; the given one is not modified. */
  readonly state: LocalState;
  /** To perform in order. */
  readonly effects: readonly LocalEffect[];
}

/** The state after an event, and what to do. */
export function localStep(state: LocalState, event: LocalEvent): LocalStep {
  switch (event.type) {
    case "changed":
      return apply(state, event.inSync);
    case "identified":
      return state.phase === "Following"
        ? relist({ ...state, uid: event.uid })
        : apply({ ...state, uid: event.uid }, event.inSync);
    case "restored":
      return relist(state);
    case "relisted":
      return relisted({ ...state, epoch: event.epoch });
    case "confirmed":
      return event.epoch === state.epoch ? stay(state) : apply({ ...state, epoch: event.epoch }, false);
  }
}

/** Syncing -> Following when everything is known; Following -> Following. */
function apply(state: LocalState, inSync: boolean): LocalStep {
  if (state.phase === "Following") return { state, effects: ["apply"] };
  if (state.phase === "Relisting" || state.uid === undefined || !inSync) return stay(state);
  return { state: { ...state, phase: "Following" }, effects: ["apply"] };
}

/** Syncing, Following -> Relisting. */
function relist(state: LocalState): LocalStep {
  return state.phase === "Relisting" ? stay(state) : { state: { ...state, phase: "Relisting" }, effects: ["relist"] };
}

/** Relisting -> Following, or Syncing while the uid is unknown. */
function relisted(state: LocalState): LocalStep {
  if (state.uid === undefined) return { state: { ...state, phase: "Syncing" }, effects: ["save", "report"] };
  return { state: { ...state, phase: "Following" }, effects: ["save", "apply", "report"] };
}

function stay(state: LocalState): LocalStep {
  return { state, effects: [] };
}
