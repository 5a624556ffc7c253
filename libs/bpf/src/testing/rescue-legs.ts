/** The backends that a connect was sent to in the model of its rescue, by what mesh_nat says; and which may come next. */
import assert from "node:assert/strict";
import { Limit, NatFlag } from "../gen/index.js";
import { type Arrival, CLIENT, PORT, type ServiceRuns, type TestBackendPod } from "./service-runs.js";

/** A backend that the connect went to. */
export interface Leg {
  readonly backend: TestBackendPod;
  /** The port that the pod has there; 0: not known, since the connect left the backend at once. */
  readonly port: number;
  /** Sequence number of what it sends. */
  readonly seq: number;
  answered: boolean;
}

/** Connects from this port of the client, one after another. */
export function createLegs(runs: ServiceRuns, backends: readonly TestBackendPod[], port: number) {
  let legs: Leg[] = [];
  let [isn, silent, isPinned] = [port * 7, 0, false];

  const first = (): Leg => legs[0] ?? assert.fail("no connect");
  const last = (): Leg => legs.at(-1) ?? assert.fail("no connect");
  const tuple = (leg: Leg) => `${CLIENT}:${leg.port} ${leg.backend.address}:${PORT}`;

  /** The backends of which one must be chosen next; none: the connect stays where it is. */
  function choices(isSilent: boolean): readonly TestBackendPod[] {
    const moves = legs.length - 1;
    if (isPinned || moves >= Limit.Moves || (isSilent && silent >= Limit.SilentMoves)) return [];
    const untried = backends.filter((each) => legs.every(({ backend }) => backend !== each));
    const { cluster, tier } = last().backend;
    let preferred: readonly TestBackendPod[] = [];
    if (isSilent && silent + 1 === Limit.SilentMoves) preferred = untried.filter((each) => each.cluster !== cluster);
    else if (moves + 1 === Limit.Moves) preferred = untried.filter((each) => each.tier > tier);
    return ofFirstTier(preferred.length > 0 ? preferred : untried);
  }

  /** Takes the moves that mesh_nat tells of, the first by a SYN or a refusal; returns their number. */
  async function takeMoves(cause: "syn" | "refusal" | undefined): Promise<number> {
    const rows = await runs.natTuples();
    const pairs = new Map(rows.map(({ key, other }) => [key, other]));
    for (const { key, other } of rows) assert.equal(pairs.get(other), key, "every row of mesh_nat has its other one");
    const front = rows.find(({ key, row }) => key === tuple(first()) && (row.flags & NatFlag.Front) !== 0);
    const count = (front?.row.moves ?? 0) - (legs.length - 1);
    if (front === undefined || count === 0) return 0;
    assert.ok(cause !== undefined, "nothing but a refusal moves a connect");
    const { backend, before, clientPort } = front.row;
    const ids = [...before.filter((id) => id !== 0).reverse(), backend].slice(-count);
    const isSilence = cause === "syn" && front.row.silent > silent;
    for (const [i, id] of ids.entries()) {
      const isRefused = i === 0 ? cause === "refusal" || isSilence || last().backend.isGone : last().backend.isGone;
      assert.ok(isRefused, "a backend that has the SYN is left without a refusal");
      const chosen = choices(isSilence && i === 0).find((each) => runs.idOf(each) === id);
      assert.ok(chosen, `backend ${id} is none of those to choose`);
      const isLast = i === count - 1;
      legs.push({ backend: chosen, port: isLast ? clientPort : 0, seq: 1000 * legs.length, answered: false });
    }
    if (isSilence) silent++;
    assert.equal(front.row.silent, silent);
    return count;
  }

  return {
    first,
    last,
    tuple,
    choices,
    takeMoves,
    /** 0 = the last one, 1 = that before, …, modulo their number. */
    fromLast: (place: number): Leg => legs[legs.length - 1 - (place % legs.length)] ?? assert.fail("no connect"),
    isMoved: () => legs.length > 1,
    /** Sequence number of the SYN. */
    isn: () => isn,
    /** From now on it stays at the last backend; or what kept it there was lost. */
    pin(is: boolean): void {
      isPinned = is;
    },
    begin(backend: TestBackendPod): void {
      runs.dial(backend);
      [isn, silent, isPinned] = [(isn * 5 + 12_345) >>> 0, 0, false];
      legs = [{ backend, port, seq: 500, answered: false }];
    },
    /** True for what the pod's socket gets: the flow as the pod sees it. */
    isAtSocket(arrival: Arrival): boolean {
      if (arrival?.address !== CLIENT) return false;
      const { isQuoted, source, target } = arrival.segment;
      return (isQuoted ? `${source} ${target}` : `${target} ${source}`) === tuple(first());
    },
  };
}

function ofFirstTier(backends: readonly TestBackendPod[]): readonly TestBackendPod[] {
  const tier = Math.min(...backends.map((each) => each.tier));
  return backends.filter((each) => each.tier === tier);
}
