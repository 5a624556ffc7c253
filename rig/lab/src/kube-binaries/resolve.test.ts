import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cpSync, existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { MeshError } from "@isthmus/model";
import { cacheRoot } from "../plan/paths.js";
import { checksumOf } from "./download.js";
import { missingFrom, resolveE2ePrograms, resolveKubeBinaries, resolveKubeProxy } from "./resolve.js";
import { KUBE_MODULE, KUBE_PROGRAMS, readE2eVersion, readKubeVersions } from "./versions.js";

const ARCH = process.arch === "x64" ? "amd64" : process.arch;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "isthmus-lab-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A mirror of the releases with small files; `spoil` changes a response body. */
async function mirror(t: TestContext, spoil: (path: string, body: Buffer) => Buffer = (_, body) => body) {
  const work = await folder(t);
  const { kubernetes, etcd } = await readKubeVersions();
  const files = new Map<string, Buffer>();
  for (const { name, from } of KUBE_PROGRAMS) {
    if (from !== "kubernetes") continue;
    const body = Buffer.from(`program ${name}`);
    files.set(`/${kubernetes}/bin/linux/${ARCH}/${name}`, body);
    files.set(`/${kubernetes}/bin/linux/${ARCH}/${name}.sha256`, Buffer.from(sha256(body)));
  }
  const release = `etcd-${etcd}-linux-${ARCH}`;
  await mkdir(join(work, release));
  for (const name of ["etcd", "etcdctl"]) await writeFile(join(work, release, name), `program ${name}`);
  execFileSync("tar", ["-czf", "e.tar.gz", release], { cwd: work });
  const archive = await readFile(join(work, "e.tar.gz"));
  files.set(`/${etcd}/${release}.tar.gz`, archive);
  files.set(`/${etcd}/SHA256SUMS`, Buffer.from(`0000  other.tar.gz\n${sha256(archive)}  ${release}.tar.gz\n`));
  const server = createServer((request, response) => {
    const body = files.get(request.url ?? "");
    response.writeHead(body === undefined ? 404 : 200).end(body && spoil(request.url ?? "", body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  const base = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  return { MESH_KUBE_DOWNLOAD: base, MESH_ETCD_DOWNLOAD: base };
}

/** An environment without go and with an empty cache. */
async function without(t: TestContext, more: NodeJS.ProcessEnv = {}) {
  const cache = await folder(t);
  return { XDG_CACHE_HOME: cache, PATH: "/nonexistent", HOME: cache, MESH_GO: "/nonexistent/go", ...more };
}

const sha256 = (body: Buffer) => createHash("sha256").update(body).digest("hex");

test("MESH_KUBE_BIN has precedence and must be complete", async (t) => {
  const given = await folder(t);
  const env = await without(t, { MESH_KUBE_BIN: given });
  await assert.rejects(resolveKubeBinaries({ env }), (error) => MeshError.from(error).code === "UNFIT");
  for (const { name } of KUBE_PROGRAMS) await writeFile(join(given, name), "");
  assert.deepEqual(await resolveKubeBinaries({ env }), { directory: given, source: "MESH_KUBE_BIN" });
});

test("without go the release is downloaded, then found in the cache", async (t) => {
  const env = await without(t, await mirror(t));
  const first = await resolveKubeBinaries({ env });
  assert.equal(first.source, "download");
  assert.deepEqual(missingFrom(first.directory), []);
  assert.equal(await readFile(join(first.directory, "etcdctl"), "utf8"), "program etcdctl");
  const offline = { ...env, MESH_KUBE_DOWNLOAD: "http://127.0.0.1:9", MESH_ETCD_DOWNLOAD: "http://127.0.0.1:9" };
  assert.deepEqual(await resolveKubeBinaries({ env: offline }), { directory: first.directory, source: "cache" });
});

test("the cache is valid for one go.sum", async (t) => {
  const env = await without(t, await mirror(t));
  const { directory } = await resolveKubeBinaries({ env });
  const module = await folder(t);
  cpSync(join(KUBE_MODULE, "go.mod"), join(module, "go.mod"));
  await writeFile(join(module, "go.sum"), "other\n");
  const second = await resolveKubeBinaries({ env, module });
  assert.equal(second.source, "download");
  assert.notEqual(second.directory, directory);
});

test("a corrupt download is refused and leaves no partial cache", async (t) => {
  const env = await without(
    t,
    await mirror(t, (path, body) => (path.endsWith("/kubelet") ? Buffer.from("evil") : body)),
  );
  await assert.rejects(resolveKubeBinaries({ env }), /Checksum .*kubelet/);
  const { key } = await readKubeVersions();
  assert.ok(!existsSync(join(env.XDG_CACHE_HOME, "isthmus", key)));
});

test("without any way to get the binaries, the error names the ways", async (t) => {
  const env = await without(t, { MESH_KUBE_DOWNLOAD: "http://127.0.0.1:9", MESH_ETCD_DOWNLOAD: "http://127.0.0.1:9" });
  await assert.rejects(resolveKubeBinaries({ env }), (thrown) => {
    const error = MeshError.from(thrown);
    assert.equal(error.code, "UNFIT");
    for (const word of ["MESH_KUBE_BIN", "go 1.21", "MESH_KUBE_DOWNLOAD"])
      assert.ok(error.message.includes(word), word);
    return !error.message.includes("\n");
  });
});

test("the checksum is that of the line with exactly that name", () => {
  assert.equal(checksumOf("aa  x.tar.gz\nbb *y.tar.gz\n", "y.tar.gz"), "bb");
  assert.throws(() => checksumOf("aa  x.tar.gz.asc\n", "x.tar.gz"), /Cannot find/);
});

test("kube-proxy is taken from the cache, and without it and without go the error says what to install", async (t) => {
  const env = await without(t);
  await assert.rejects(resolveKubeProxy({ env }), /^MeshError: Cannot build kube-proxy: install go 1\.21 or newer/);
  const { key } = await readKubeVersions();
  const at = join(cacheRoot(env), `${key}-kube-proxy`);
  await mkdir(at, { recursive: true });
  await writeFile(join(at, "kube-proxy"), "program");
  assert.equal(await resolveKubeProxy({ env }), join(at, "kube-proxy"));
});

test("the end-to-end tests are taken from the cache when both programs are there", async (t) => {
  const env = await without(t);
  const { key, kubernetes } = await readE2eVersion();
  const at = join(cacheRoot(env), key);
  await mkdir(at, { recursive: true });
  await writeFile(join(at, "agnhost"), "program");
  await assert.rejects(resolveE2ePrograms({ env }), /^MeshError: Cannot build e2e\.test: install go 1\.21 or newer/);
  await writeFile(join(at, "e2e.test"), "program");
  const programs = { e2e: join(at, "e2e.test"), agnhost: join(at, "agnhost"), version: kubernetes };
  assert.deepEqual(await resolveE2ePrograms({ env }), programs);
});
