/** Builds the binaries through Go modules, from the pinned module in tools/kube. Takes 5 to 6 minutes on two cores, once. */
import { join } from "node:path";
import { systemClock } from "@isthmus/model";
import { run } from "../host/run.js";
import { KUBE_PROGRAMS, type KubeProgram, type KubeVersions, type ModuleVersion } from "./versions.js";

export interface BuildOptions {
  readonly module: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  readonly onProgress?: (sentence: string) => void;
}

/** Path of a `go` that can fetch the toolchain it needs (1.21 or newer), or undefined. If MESH_GO is set, only that one is tried. */
export async function usableGo(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const places = ["go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go"];
  for (const go of env["MESH_GO"] ? [env["MESH_GO"]] : places) {
    const answer = await run([go, "version"], { env, cwd: "/" }).catch(() => "");
    if (isUsableGo(answer)) return go;
  }
  return undefined;
}

/** `answer`: output of `go version`. */
export function isUsableGo(answer: string): boolean {
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(answer) ?? [];
  return Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 21);
}

export async function buildKubeBinaries(
  go: string,
  into: string,
  versions: KubeVersions,
  options: BuildOptions,
): Promise<void> {
  const say = options.onProgress ?? (() => undefined);
  say(
    `Building Kubernetes ${versions.kubernetes} and etcd ${versions.etcd} through Go modules: 5 to 6 minutes on two cores, once`,
  );
  const startMs = systemClock.now();
  for (const [index, program] of KUBE_PROGRAMS.entries()) {
    say(`  ${index + 1}/${KUBE_PROGRAMS.length} ${program.name}`);
    await build(go, into, program, versions, options);
    say(`      built after ${Math.round((systemClock.now() - startMs) / 1000)} s`);
  }
}

/** Builds one program into a folder. */
export async function build(
  go: string,
  into: string,
  program: KubeProgram,
  versions: ModuleVersion,
  options: BuildOptions,
): Promise<void> {
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const ldflags = program.from === "kubernetes" ? kubernetesLdflags(versions.kubernetes) : "-s -w";
  await run(
    [
      go,
      ...(program.isTest === true ? ["test", "-c"] : ["build"]),
      "-trimpath",
      "-buildvcs=false",
      "-mod=readonly",
      "-ldflags",
      ldflags,
      "-o",
      join(into, program.name),
      program.package,
    ],
    {
      cwd: options.module,
      env: { ...options.env, CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" },
      ...signal,
    },
  );
}

/** The version that the binaries report; constant, so that two builds give the same bytes. */
export function kubernetesLdflags(version: string): string {
  const [major = "", minor = ""] = version.replace(/^v/, "").split(".");
  const values = {
    gitVersion: version,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: "clean",
    gitCommit: "0".repeat(40),
    buildDate: "1970-01-01T00:00:00Z",
  };
  const set = Object.entries(values).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  return ["-s", "-w", ...set].join(" ");
}
