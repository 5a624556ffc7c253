/** All processes of a lab by id: look-ups for processes that depend on others, and selection by role for users. */
import { waitFor } from "../host/wait.js";
import { labError } from "../plan/errors.js";
import type { ManagedProcess } from "./managed-process.js";
import { NAMESPACE_ROLES } from "./spec.js";

export interface Selector {
  readonly role: string;
  readonly cluster?: string;
  readonly node?: string;
}

/** True when both name the same process: a cluster or node that is absent is "" in a row. */
export function sameProcess(a: Selector, b: Selector): boolean {
  return a.role === b.role && (a.cluster ?? "") === (b.cluster ?? "") && (a.node ?? "") === (b.node ?? "");
}

/** One line of `ps`. */
export interface ProcessRow {
  readonly role: string;
  readonly cluster: string;
  readonly node: string;
  /** 0 when it does not run. */
  readonly pid: number;
  readonly startTicks: number;
  readonly status: "Held" | "Starting" | "Running" | "Waiting";
  readonly restarts: number;
  /** Milliseconds since the epoch; 0 when it does not run. */
  readonly sinceMs: number;
  readonly reason: string;
  /** Keeps a namespace alive; `ps` shows it only with --all. */
  readonly holder: boolean;
}

export interface ProcessTable {
  add(process: ManagedProcess): void;
  all(): readonly ManagedProcess[];
  get(id: string): ManagedProcess;
  /** Returns the processes that match; throws `NOT_FOUND` when none does. */
  select(selector: Selector): readonly ManagedProcess[];
  /** Resolves with the pid once the process runs and its `started` hook has completed. */
  whenReady(id: string, signal: AbortSignal): Promise<number>;
  /** Returns the pid of a running process; throws when it does not run. */
  pidOf(id: string): number;
  rows(): ProcessRow[];
}

export function createProcessTable(): ProcessTable {
  const processes = new Map<string, ManagedProcess>();
  const get = (id: string): ManagedProcess => {
    const found = processes.get(id);
    if (found === undefined) throw labError("NOT_FOUND", `No process "${id}" in this lab`);
    return found;
  };
  const pid = (id: string): number | undefined => {
    const state = processes.get(id)?.state();
    return state?.status === "Running" ? state.identity.pid : undefined;
  };
  return {
    add: (process) => void processes.set(process.id, process),
    all: () => [...processes.values()],
    get,
    select: (selector) => select([...processes.values()], selector),
    whenReady: (id, signal) =>
      waitFor(`"${id}" to run`, () => processes.get(id)?.ready() === true && pid(id), {
        timeoutMs: 60_000,
        everyMs: 10,
        signal,
      }),
    pidOf(id) {
      const found = pid(id);
      if (found === undefined) throw labError("STEP_FAILED", `"${id}" does not run`);
      return found;
    },
    rows: () => [...processes.values()].sort(byPlace).map(rowOf),
  };
}

function select(all: readonly ManagedProcess[], selector: Selector): ManagedProcess[] {
  const chosen = all.filter(
    ({ spec }) =>
      spec.role === selector.role &&
      (selector.cluster === undefined || spec.cluster === selector.cluster) &&
      (selector.node === undefined || spec.node === selector.node),
  );
  if (chosen.length > 0) return chosen;
  const where = [selector.cluster, selector.node].filter(Boolean).join("/");
  throw labError(
    "NOT_FOUND",
    `No process with role "${selector.role}"${where === "" ? "" : ` in "${where}"`} in this lab`,
  );
}

/** Sort order: processes of the whole lab, then for each cluster its control plane and its nodes. */
function byPlace(a: ManagedProcess, b: ManagedProcess): number {
  const place = ({ spec, id }: ManagedProcess) => [spec.cluster ?? "", spec.node ?? "", id].join("\0");
  return place(a) < place(b) ? -1 : 1;
}

export function rowOf(process: ManagedProcess): ProcessRow {
  const { spec } = process;
  const state = process.state();
  const running = state.status === "Running" ? state : undefined;
  return {
    role: spec.role,
    cluster: spec.cluster ?? "",
    node: spec.node ?? "",
    pid: running?.identity.pid ?? 0,
    startTicks: running?.identity.startTicks ?? 0,
    status: state.status,
    restarts: process.restarts,
    sinceMs: running?.sinceMs ?? 0,
    reason: state.status === "Waiting" ? state.reason : "",
    holder: NAMESPACE_ROLES.some((role) => role === spec.role),
  };
}
