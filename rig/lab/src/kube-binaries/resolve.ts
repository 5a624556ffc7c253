/**
 * Finds the Kubernetes and etcd binaries, or gets them, in the first way that works:
 *
 *   MESH_KUBE_BIN ──► the lab's cache ──► a build through Go modules ──► the official release
 *
 * Out: a folder with every program of `KUBE_PROGRAMS`. Built or downloaded programs are stored in the cache.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { labError } from "../plan/errors.js";
import { cacheRoot } from "../plan/paths.js";
import { build, buildKubeBinaries, usableGo } from "./build.js";
import { downloadKubeBinaries } from "./download.js";
import {
  E2E_MODULE,
  E2E_PROGRAMS,
  KUBE_MODULE,
  KUBE_PROGRAMS,
  KUBE_PROXY,
  type KubeProgram,
  type KubeVersions,
  type ModuleVersion,
  readE2eVersion,
  readKubeVersions,
} from "./versions.js";

export interface KubeBinaries {
  readonly directory: string;
  readonly source: "MESH_KUBE_BIN" | "cache" | "build" | "download";
}

export interface ResolveOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Folder of go.mod and go.sum. */
  readonly module?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (sentence: string) => void;
}

export async function resolveKubeBinaries(options: ResolveOptions = {}): Promise<KubeBinaries> {
  const env = options.env ?? process.env;
  const given = env["MESH_KUBE_BIN"];
  if (given) return { directory: checkGiven(given), source: "MESH_KUBE_BIN" };
  const module = options.module ?? KUBE_MODULE;
  const versions = await readKubeVersions(module);
  const cached = join(cacheRoot(env), versions.key);
  if (missingFrom(cached).length === 0) return { directory: cached, source: "cache" };
  return await make(cached, versions, { ...options, env, module });
}

/** Path of kube-proxy, of the lab's version and in the lab's cache; built through Go modules when it is not there. */
export async function resolveKubeProxy(options: ResolveOptions = {}): Promise<string> {
  const module = options.module ?? KUBE_MODULE;
  const versions = await readKubeVersions(module);
  const folder = await buildOnce(`${versions.key}-kube-proxy`, [KUBE_PROXY], versions, { ...options, module });
  return join(folder, KUBE_PROXY.name);
}

/** Paths of programs of Kubernetes' end-to-end tests. */
export interface E2ePrograms {
  readonly e2e: string;
  readonly agnhost: string;
  /** "v1.34.4" */
  readonly version: string;
}

/** The end-to-end tests of the lab's version of Kubernetes, in the lab's cache; built through Go modules when they are not there. */
export async function resolveE2ePrograms(options: ResolveOptions = {}): Promise<E2ePrograms> {
  const module = options.module ?? E2E_MODULE;
  const version = await readE2eVersion(module);
  const { e2e, agnhost } = E2E_PROGRAMS;
  const folder = await buildOnce(version.key, [agnhost, e2e], version, { ...options, module });
  return { e2e: join(folder, e2e.name), agnhost: join(folder, agnhost.name), version: version.kubernetes };
}

/** A folder of the cache with these programs. `name`: of the folder. */
async function buildOnce(
  name: string,
  programs: readonly KubeProgram[],
  version: ModuleVersion,
  options: ResolveOptions & { readonly module: string },
): Promise<string> {
  const env = options.env ?? process.env;
  const target = join(cacheRoot(env), name);
  const missing = missingFrom(target, programs);
  if (missing.length === 0) return target;
  const list = missing.join(", ");
  const go = await usableGo(env);
  if (go === undefined)
    throw labError("UNFIT", `Cannot build ${list}: install go 1.21 or newer, or set MESH_GO to one`);
  options.onProgress?.(`Building ${list} ${version.kubernetes} through Go modules, once`);
  await intoPlace(target, programs, async (into) => {
    for (const program of programs) await build(go, into, program, version, { ...options, env });
  });
  return target;
}

/** Programs that the folder lacks. */
export function missingFrom(directory: string, programs: readonly KubeProgram[] = KUBE_PROGRAMS): string[] {
  return programs.map(({ name }) => name).filter((name) => !existsSync(join(directory, name)));
}

function checkGiven(directory: string): string {
  const missing = missingFrom(directory);
  if (missing.length === 0) return directory;
  throw labError(
    "UNFIT",
    `MESH_KUBE_BIN is "${directory}", which lacks ${missing.join(", ")}: complete it, or unset MESH_KUBE_BIN`,
  );
}

type MakeOptions = ResolveOptions & { readonly env: NodeJS.ProcessEnv; readonly module: string };

async function make(target: string, versions: KubeVersions, options: MakeOptions): Promise<KubeBinaries> {
  const reasons: string[] = [];
  const go = await usableGo(options.env);
  const ways: [KubeBinaries["source"], (into: string) => Promise<void>][] = [
    ["download", (into) => downloadKubeBinaries(into, versions, options)],
  ];
  if (go === undefined) reasons.push("no go of version 1.21 or newer");
  else ways.unshift(["build", (into) => buildKubeBinaries(go, into, versions, options)]);
  for (const [source, way] of ways) {
    try {
      await intoPlace(target, KUBE_PROGRAMS, way);
      return { directory: target, source };
    } catch (error) {
      options.signal?.throwIfAborted();
      reasons.push(`${source}: ${MeshError.from(error).message}`);
      options.onProgress?.(`Kubernetes ${versions.kubernetes}: ${source} failed`);
    }
  }
  throw labError(
    "UNFIT",
    `Cannot get Kubernetes ${versions.kubernetes} (${reasons.join("; ")}): set MESH_KUBE_BIN to a folder with ${KUBE_PROGRAMS.map(({ name }) => name).join(", ")}, or install go 1.21 or newer, or set MESH_KUBE_DOWNLOAD and MESH_ETCD_DOWNLOAD to a reachable mirror of the releases`,
  );
}

/** Works in a folder beside the target and renames it at the end, so that a partial cache is never visible. */
async function intoPlace(
  target: string,
  programs: readonly KubeProgram[],
  work: (into: string) => Promise<void>,
): Promise<void> {
  await mkdir(join(target, ".."), { recursive: true });
  const temporary = await mkdtemp(`${target}.`);
  try {
    await work(temporary);
    const missing = missingFrom(temporary, programs);
    if (missing.length > 0) throw labError("STEP_FAILED", `${missing.join(", ")} did not come out of it`);
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
