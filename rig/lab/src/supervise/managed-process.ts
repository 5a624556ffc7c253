/**
 * One supervised process.
 *
 *   Held ──start──► Starting ──► Running ──exit──► Waiting ──back-off──► Starting
 *     ▲                                                │
 *     └───────────────────stop (from any)──────────────┘
 *
 * Invariant: at most one instance runs; only `start` starts a held process.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { MeshError, systemClock } from "@isthmus/model";
import type { Backoff } from "@isthmus/runtime";
import { childrenOf, identify, isAlive, type ProcessIdentity, signalProcess } from "../host/process.js";
import { waitFor } from "../host/wait.js";
import { labError } from "../plan/errors.js";
import { endWrapper } from "./end-wrapper.js";
import { type ProcessSpec, processId } from "./spec.js";

export type ProcessState =
  | { readonly status: "Held" }
  | { readonly status: "Starting" }
  | { readonly status: "Running"; readonly identity: ProcessIdentity; readonly sinceMs: number }
  | { readonly status: "Waiting"; readonly reason: string };

export interface ManagedProcess {
  readonly id: string;
  readonly spec: ProcessSpec;
  readonly restarts: number;
  /** Consecutive starts that failed or ran for only seconds. */
  readonly earlyDeaths: number;
  state(): ProcessState;
  /** True when it runs and its `started` hook has completed. */
  ready(): boolean;
  /** Held → Starting. Resolves when it first runs; rejects when the first try fails. No effect in other states. */
  start(): Promise<void>;
  /** Any → Held. Resolves when the process has exited. */
  stop(): Promise<void>;
  /** Running → Waiting by SIGKILL; returns false when it does not run. */
  kill(): boolean;
}

export interface ManagedProcessModules {
  /** Creates the back-off of one process. */
  readonly newBackoff: () => Backoff;
  /** Wraps a command so that it joins the control group first. */
  readonly joinCgroup: (cgroup: string, argv: readonly string[]) => readonly string[];
  readonly onChange: () => void;
  readonly signal: AbortSignal;
}

/** A process that ran this long has recovered: its back-off starts again at the minimum. */
const STEADY_MS = 10_000;
const EARLY_MS = 5_000;
const MAX_LOG_BYTES = 16 * 1024 * 1024;

export function createManagedProcess(spec: ProcessSpec, modules: ManagedProcessModules): ManagedProcess {
  return new Managed(spec, modules);
}

class Managed implements ManagedProcess {
  readonly id: string;
  restarts = 0;
  earlyDeaths = 0;
  #state: ProcessState = { status: "Held" };
  #ready = false;
  readonly #backoff: Backoff;
  #run: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;

  constructor(
    readonly spec: ProcessSpec,
    readonly modules: ManagedProcessModules,
  ) {
    this.id = processId(spec);
    this.#backoff = modules.newBackoff();
  }

  state(): ProcessState {
    return this.#state;
  }

  ready(): boolean {
    return this.#ready;
  }

  start(): Promise<void> {
    if (this.#run !== undefined) return Promise.resolve();
    const abort = new AbortController();
    return new Promise((resolve, reject) => {
      const done = this.#loop(AbortSignal.any([abort.signal, this.modules.signal]), resolve, reject);
      this.#run = { abort, done };
    });
  }

  async stop(): Promise<void> {
    const current = this.#run;
    if (current === undefined) return;
    current.abort.abort(labError("STEP_FAILED", `"${this.id}" was stopped`));
    await current.done;
  }

  kill(): boolean {
    return this.#state.status === "Running" && signalProcess(this.#state.identity, "SIGKILL");
  }

  async #loop(signal: AbortSignal, first: () => void, failed: (error: MeshError) => void): Promise<void> {
    while (!signal.aborted) {
      let reason: string;
      try {
        this.#become({ status: "Starting" });
        await this.spec.prepare?.(signal);
        reason = await this.#runOnce(signal, first);
      } catch (error) {
        const mesh = MeshError.from(error);
        failed(mesh);
        reason = mesh.message;
      }
      if (signal.aborted) break;
      this.restarts++;
      this.earlyDeaths++;
      this.#become({ status: "Waiting", reason });
      await systemClock.delay(this.#backoff.nextMs(), signal).catch(() => undefined);
    }
    this.#run = undefined;
    this.#become({ status: "Held" });
    failed(labError("STEP_FAILED", `"${this.id}" was stopped before it ran`));
  }

  /** Starts one instance and waits for its end. */
  async #runOnce(signal: AbortSignal, running: () => void): Promise<string> {
    const child = this.#spawn();
    const exit = exitOf(child);
    const identity = await this.#identityOf(child, exit);
    const onAbort = () => void this.#terminate(identity, exit.promise);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const startedMs = systemClock.now();
    const rest = this.spec.forks === true ? endWrapper(child, identity) : () => undefined;
    void exit.promise.then(rest);
    try {
      this.#become({ status: "Running", identity, sinceMs: Date.now() });
      await this.spec.started?.(identity.pid);
      this.#ready = !exit.gone();
      running();
    } catch (error) {
      signalProcess(identity, "SIGKILL");
      await exit.promise;
      throw error;
    } finally {
      if (exit.gone()) signal.removeEventListener("abort", onAbort);
    }
    const reason = await exit.promise;
    this.#ready = false;
    signal.removeEventListener("abort", onAbort);
    if (signalProcess(identity, "SIGKILL")) await waitFor("its end", () => !isAlive(identity), { timeoutMs: 5_000 });
    const livedMs = systemClock.now() - startedMs;
    if (livedMs > STEADY_MS) this.#backoff.reset();
    // The loop adds one for this exit.
    if (livedMs > EARLY_MS) this.earlyDeaths = -1;
    return reason;
  }

  #spawn(): ChildProcess {
    const argv = this.modules.joinCgroup(this.spec.cgroup, this.spec.command());
    const log = openLog(this.spec.log);
    try {
      const env = { ...process.env, ...this.spec.env };
      return spawn(argv[0] ?? "false", argv.slice(1), { stdio: ["ignore", log, log], env, detached: true, cwd: "/" });
    } finally {
      closeSync(log);
    }
  }

  async #identityOf(child: ChildProcess, exit: Exit): Promise<ProcessIdentity> {
    const wrapper = child.pid;
    if (wrapper === undefined) throw labError("STEP_FAILED", `Cannot start "${this.id}"`);
    const find = async () => {
      if (exit.gone()) throw labError("STEP_FAILED", `"${this.id}" ended at once: ${await exit.promise}`);
      const pid = this.spec.forks === true ? (await childrenOf(wrapper))[0] : wrapper;
      return pid === undefined ? undefined : identify(pid);
    };
    return await waitFor(`the process of "${this.id}"`, find, { timeoutMs: 10_000, everyMs: 5 });
  }

  async #terminate(identity: ProcessIdentity, exit: Promise<string>): Promise<void> {
    if (this.spec.graceMs > 0) {
      signalProcess(identity, "SIGTERM");
      await Promise.race([exit, systemClock.delay(this.spec.graceMs)]);
    }
    signalProcess(identity, "SIGKILL");
  }

  #become(state: ProcessState): void {
    this.#state = state;
    this.modules.onChange();
  }
}

interface Exit {
  /** Resolves with "exit 7" or the signal's name. */
  readonly promise: Promise<string>;
  readonly gone: () => boolean;
}

function exitOf(child: ChildProcess): Exit {
  let gone = false;
  const promise = new Promise<string>((resolve) => {
    const end = (reason: string) => {
      gone = true;
      resolve(reason);
    };
    child.once("error", (error) => end(error.message));
    child.once("exit", (code, signal) => end(signal === null ? `exit ${code}` : signal));
  });
  return { promise, gone: () => gone };
}

function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true });
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_LOG_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, "a", 0o640);
}
