/**
 * Builds container images from files, without a registry or a daemon: a docker-archive that `ctr images import` reads.
 *
 * In: images, each of one layer. Out: one tar file; the same input gives the same bytes, so archives can be cached by digest.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheRoot } from "../plan/paths.js";
import { type TarEntry, writeTar } from "./tar.js";

/** One file of an image. `path` is absolute in the image; its parent folders are created. */
export type ImageFile =
  | { readonly path: string; readonly content: Uint8Array | string; readonly mode?: number }
  /** `source`: a file on this machine. */
  | { readonly path: string; readonly source: string; readonly mode?: number }
  | { readonly path: string; readonly target: string };

export interface ImageSpec {
  /** Repository and tag, "lab.isthmus.io/pause:1". */
  readonly tag: string;
  readonly files: readonly ImageFile[];
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  /** "NAME=value" */
  readonly env?: readonly string[];
}

/** Builds an archive of one image; returns the path of the tar file. Unchanged input returns the cached file. */
export function buildImage(spec: ImageSpec, directory?: string): Promise<string> {
  return buildArchive([spec], directory);
}

/** The same for several images in one archive. `directory`: the folder of the file, the lab's cache when absent. */
export async function buildArchive(
  specs: readonly ImageSpec[],
  directory = join(cacheRoot(), "images"),
): Promise<string> {
  const archive = await archiveBytes(specs);
  const file = join(directory, `${createHash("sha256").update(archive).digest("hex").slice(0, 24)}.tar`);
  if ((await stat(file).catch(() => undefined))?.size === archive.length) return file;
  await mkdir(directory, { recursive: true });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, archive);
  await rename(temporary, file);
  return file;
}

/** The archive's bytes: a configuration and a layer for each image, then the manifest that names them. */
export async function archiveBytes(specs: readonly ImageSpec[]): Promise<Buffer> {
  const entries = new Map<string, TarEntry>();
  const manifest = [];
  for (const spec of specs) {
    const layer = writeTar(await layerEntries(spec.files));
    const diffId = sha256(layer);
    const config = Buffer.from(JSON.stringify(imageConfig(spec, diffId)));
    const names = { config: `${sha256(config)}.json`, layer: `${diffId}.tar` };
    entries.set(names.layer, { path: names.layer, type: "file", mode: 0o644, content: layer });
    entries.set(names.config, { path: names.config, type: "file", mode: 0o644, content: config });
    manifest.push({ Config: names.config, RepoTags: [spec.tag], Layers: [names.layer] });
  }
  const content = Buffer.from(JSON.stringify(manifest));
  return writeTar([...entries.values(), { path: "manifest.json", type: "file", mode: 0o644, content }]);
}

function imageConfig(spec: ImageSpec, diffId: string): unknown {
  const architecture = { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch;
  return {
    architecture,
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: { Entrypoint: spec.entrypoint, Cmd: spec.cmd, Env: spec.env ?? ["PATH=/usr/bin:/bin"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${diffId}`] },
    history: [{ created_by: "isthmus lab", created: "1970-01-01T00:00:00Z" }],
  };
}

/** Files in path order, each after its parent folders. */
async function layerEntries(files: readonly ImageFile[]): Promise<TarEntry[]> {
  const entries = new Map<string, TarEntry>();
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const path = file.path.replace(/^\/+/, "");
    const parts = path.split("/").slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const folder = parts.slice(0, depth).join("/");
      if (!entries.has(folder))
        entries.set(folder, { path: folder, type: "directory", mode: folder === "tmp" ? 0o1777 : 0o755 });
    }
    entries.set(path, await layerEntry(path, file));
  }
  return [...entries.values()];
}

async function layerEntry(path: string, file: ImageFile): Promise<TarEntry> {
  if ("target" in file) return { path, type: "symlink", target: file.target };
  if ("source" in file) {
    const mode = file.mode ?? (await stat(file.source)).mode & 0o777;
    return { path, type: "file", mode, content: await readFile(file.source) };
  }
  const content = typeof file.content === "string" ? Buffer.from(file.content) : file.content;
  return { path, type: "file", mode: file.mode ?? 0o644, content };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
