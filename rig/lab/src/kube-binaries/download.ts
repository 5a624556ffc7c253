/**
 * Downloads the official release and checks it against the checksums published beside it.
 *
 *   Kubernetes  <base>/v1.34.4/bin/linux/amd64/<program>, with <program>.sha256
 *   etcd        <base>/v3.6.4/etcd-v3.6.4-linux-amd64.tar.gz, listed in SHA256SUMS
 */
import { createHash } from "node:crypto";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../host/run.js";
import { labError } from "../plan/errors.js";
import { KUBE_PROGRAMS, type KubeVersions } from "./versions.js";

const KUBERNETES_RELEASES = "https://dl.k8s.io";
const ETCD_RELEASES = "https://github.com/etcd-io/etcd/releases/download";

export interface DownloadOptions {
  /** MESH_KUBE_DOWNLOAD and MESH_ETCD_DOWNLOAD replace the official base URLs. */
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  readonly onProgress?: (sentence: string) => void;
}

export async function downloadKubeBinaries(
  into: string,
  versions: KubeVersions,
  options: DownloadOptions,
): Promise<void> {
  const say = options.onProgress ?? (() => undefined);
  const base = options.env["MESH_KUBE_DOWNLOAD"] || KUBERNETES_RELEASES;
  const folder = `${base}/${versions.kubernetes}/bin/linux/${architecture()}`;
  for (const { name, from } of KUBE_PROGRAMS) {
    if (from !== "kubernetes") continue;
    say(`Downloading ${name} ${versions.kubernetes}`);
    const sum =
      (await fetchBytes(`${folder}/${name}.sha256`, options.signal)).toString("utf8").trim().split(/\s+/)[0] ?? "";
    const program = await fetchChecked(`${folder}/${name}`, sum, options.signal);
    await writeFile(join(into, name), program, { mode: 0o755 });
  }
  await downloadEtcd(into, versions.etcd, options);
}

async function downloadEtcd(into: string, version: string, options: DownloadOptions): Promise<void> {
  options.onProgress?.(`Downloading etcd ${version}`);
  const base = options.env["MESH_ETCD_DOWNLOAD"] || ETCD_RELEASES;
  const name = `etcd-${version}-linux-${architecture()}`;
  const sums = (await fetchBytes(`${base}/${version}/SHA256SUMS`, options.signal)).toString("utf8");
  const archive = await fetchChecked(
    `${base}/${version}/${name}.tar.gz`,
    checksumOf(sums, `${name}.tar.gz`),
    options.signal,
  );
  const folder = join(into, "etcd-release");
  await mkdir(folder, { recursive: true });
  await run(["tar", "-xzf", "-", "-C", folder], { input: archive });
  for (const program of ["etcd", "etcdctl"]) {
    await rename(join(folder, name, program), join(into, program));
    await chmod(join(into, program), 0o755);
  }
  await rm(folder, { recursive: true });
}

/** The checksum of one file name in a SHA256SUMS file. */
export function checksumOf(sums: string, name: string): string {
  const line = sums.split("\n").find((each) => each.trim().split(/\s+\*?/)[1] === name);
  if (line === undefined) throw labError("STEP_FAILED", `Cannot find "${name}" in SHA256SUMS`);
  return line.trim().split(/\s+/)[0] ?? "";
}

async function fetchChecked(url: string, sha256: string, signal?: AbortSignal): Promise<Buffer> {
  const bytes = await fetchBytes(url, signal);
  const have = createHash("sha256").update(bytes).digest("hex");
  if (have === sha256) return bytes;
  throw labError("STEP_FAILED", `Checksum of "${url}" is ${have}, not ${sha256}`);
}

async function fetchBytes(url: string, signal?: AbortSignal): Promise<Buffer> {
  const response = await fetch(url, signal === undefined ? {} : { signal }).catch((cause: unknown) => {
    throw labError("STEP_FAILED", `Cannot reach "${url}"`, cause);
  });
  if (!response.ok) throw labError("STEP_FAILED", `Cannot download "${url}": status ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

function architecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}
