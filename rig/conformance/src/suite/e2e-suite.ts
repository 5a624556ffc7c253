/**
 * Kubernetes' end-to-end suite as a program: lists its specs and runs one of them at a time on a cluster.
 *
 * Each spec has a process of its own, which starts in a second: a crash costs one spec, and its output is in a file of its own.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { type FileHandle, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { focusPattern, parseSpecNames, shortName } from "./spec-names.js";
import { parseSpecRun, type SpecRun } from "./spec-run.js";

/** The suite, for the run of a focus. */
export interface Suite {
  specNames(): Promise<readonly string[]>;
  /** Runs one spec. Rejects when it cannot be run. An abort kills it. */
  run(name: string, signal: AbortSignal): Promise<SpecRun>;
  /** Deletes the namespaces of specs that were killed; does not wait until they are gone. */
  cleanUp(): Promise<void>;
}

export interface SuiteOptions {
  /** Path of the suite's program. */
  readonly program: string;
  /** Path of kubectl. */
  readonly kubectl: string;
  readonly kubeconfig: string;
  readonly context: string;
  /** Folder for the output of each spec. */
  readonly out: string;
}

/** Of one spec. They take half a minute when they pass; those that fail retry every connection for ten seconds, twice. */
const SPEC_TIMEOUT = "15m";
/** The suite puts it on each namespace that it creates. */
const RUN_LABEL = "e2e-run";
/** More than a listing has. */
const LISTING_BYTES = 64 << 20;

export function createE2eSuite(options: SuiteOptions): Suite {
  const { program, kubectl, kubeconfig, context, out } = options;
  return {
    specNames: async () => parseSpecNames(await output([program, "--list-tests"])),
    async run(name, signal) {
      await mkdir(out, { recursive: true });
      const report = join(out, "report.json");
      await rm(report, { force: true });
      const flags = {
        provider: "skeleton",
        kubeconfig,
        context,
        "kubectl-path": kubectl,
        "disable-log-dump": "true",
        "ginkgo.v": "true",
        "ginkgo.no-color": "true",
        "ginkgo.timeout": SPEC_TIMEOUT,
        "ginkgo.focus": focusPattern(name),
        "ginkgo.json-report": report,
      };
      const argv = [program, ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)];
      const log = await open(join(out, logName(name)), "w");
      const code = await runInto(log, argv, signal).finally(() => log.close());
      signal.throwIfAborted();
      const json = await readFile(report, "utf8").catch(() => undefined);
      await rm(report, { force: true });
      if (json === undefined) throw new Error(`The suite ended without a report (exit ${code}): see ${logName(name)}`);
      return parseSpecRun(json, name);
    },
    async cleanUp() {
      const cluster = [`--kubeconfig=${kubeconfig}`, `--context=${context}`];
      await output([kubectl, ...cluster, "delete", "namespaces", "--selector", RUN_LABEL, "--wait=false"]);
    },
  };
}

/** Full names of the images that the suite uses. */
export async function suiteImages(program: string): Promise<readonly string[]> {
  return (await output([program, "--list-images"])).split("\n").filter((line) => line !== "");
}

export function logName(name: string): string {
  const words = shortName(name).toLowerCase();
  return `${words.replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "")}.log`;
}

/** Returns the exit code; null after a signal. */
async function runInto({ fd }: FileHandle, argv: readonly string[], signal: AbortSignal): Promise<number | null> {
  // With this process, however it ends, the suite ends.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", ...argv], { stdio: ["ignore", fd, fd] });
  // Its own clean-up waits for connections that it is trying, half a minute and more.
  const end = () => void child.kill("SIGKILL");
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  try {
    const [code] = await once(child, "exit");
    return code;
  } finally {
    signal.removeEventListener("abort", end);
  }
}

async function output([command, ...args]: readonly [string, ...string[]]): Promise<string> {
  return (await promisify(execFile)(command, args, { maxBuffer: LISTING_BYTES })).stdout;
}
