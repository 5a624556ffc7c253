/**
 * Builds images without a registry: Debian root file systems, a kind node on one of them, and the mesh's images by their Dockerfile.
 *
 *   debootstrap ──► kind's node (bookworm)
 *              └──► debian (trixie) ──► node (Node and npm) ──► Dockerfile: mesh, demo, etcd
 *
 * Each is built once for its inputs, and kept in the engine's storage.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { buildArchive } from "../../rig/lab/dist/images/build-image.js";
import { pauseImage } from "../../rig/lab/dist/images/pause.js";
import { debianMirror } from "../setup/mirror.mjs";
import { ROOT, runStep } from "../setup/step.mjs";
import { checkImages } from "./check-images.mjs";
import { CACHE, engineEnv } from "./engine.mjs";

/** Debian release of the mesh's images: the etcd of Debian 13 is new enough. */
const SUITE = "trixie";
/** Debian release of the nodes, that of kind's own images. */
const NODE_SUITE = "bookworm";
const NODE_PACKAGES = [
  ...["systemd", "containerd", "runc", "containernetworking-plugins", "conntrack", "iptables", "nftables", "iproute2"],
  ...["ethtool", "socat", "util-linux", "mount", "kmod", "libseccomp2", "jq", "procps", "ca-certificates"],
];
const MESH_IMAGES = [
  { target: "runtime", tag: "lab.isthmus.io/mesh:dev" },
  { target: "demo", tag: "lab.isthmus.io/demo:1" },
  { target: "etcd", tag: "lab.isthmus.io/etcd:dev" },
];

/** Returns the tag of the node image. `programs`: the result of getPrograms. */
export async function makeImages(programs) {
  const node = await makeNodeImage(programs);
  await makeMeshImages();
  return node;
}

async function makeNodeImage({ kind, kubernetes, kubeBinaries, kubeadm, nodeFiles }) {
  const script = join(ROOT, "tools/kind/node-image.sh");
  const key = digest(kind, kubernetes, NODE_PACKAGES.join(), readFileSync(script));
  const tag = `lab.isthmus.io/kind-node:${kubernetes}-${key}`;
  if (exists(tag)) return tag;
  await inFolder(async (work) => {
    const [root, archives] = [join(work, "root"), join(work, "archives")];
    mkdirSync(archives);
    await makeRoot(NODE_SUITE, root, NODE_PACKAGES);
    await archive([await pauseImage()], join(archives, "pause.tar"));
    await archive(controlPlane(kubeadm, kubernetes, kubeBinaries), join(archives, "control-plane.tar"));
    const argv = ["bash", script, root, nodeFiles, kubeBinaries, kubeadm, archives, kubernetes];
    await runStep("prepare the node's file system", argv);
    const changes = [
      'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]',
      "STOPSIGNAL SIGRTMIN+3",
      "ENV container=docker",
    ];
    await importRoot(root, tag, changes);
    removeOthers("lab.isthmus.io/kind-node", tag);
  });
  return tag;
}

/** Images of the control plane with kubeadm's names; each contains only its program. */
function controlPlane(kubeadm, kubernetes, kubeBinaries) {
  const argv = ["config", "images", "list", "--kubernetes-version", kubernetes];
  const tags = execFileSync(kubeadm, argv, { encoding: "utf8" }).trim().split("\n");
  return ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"].map((name) => ({
    tag: tags.find((tag) => tag.includes(`/${name}:`)),
    files: [{ path: `/usr/local/bin/${name}`, source: join(kubeBinaries, name), mode: 0o755 }],
    env: ["PATH=/usr/local/bin"],
  }));
}

async function archive(specs, into) {
  const folder = dirname(into);
  copyFileSync(await buildArchive(specs, join(folder, "..")), into);
}

async function makeMeshImages() {
  const version = /^const VERSION = "(.+)";$/m.exec(readFileSync(join(ROOT, "tools/setup/node24.mjs"), "utf8"))[1];
  const bases = { debian: `lab.isthmus.io/debian:${SUITE}`, node: `lab.isthmus.io/node:${version}-${SUITE}` };
  if (!exists(bases.debian) || !exists(bases.node)) await makeBases(bases);
  const stamp = join(CACHE, "mesh-images");
  const content = checkout();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === content && MESH_IMAGES.every(({ tag }) => exists(tag)))
    return;
  for (const { target, tag } of MESH_IMAGES) {
    const args = [`NODE_IMAGE=${bases.node}`, `NODE_SLIM_IMAGE=${bases.node}`, `DEBIAN_IMAGE=${bases.debian}`];
    const argv = [
      ...["podman", "build", "--network", "host", "--pull-never", "--layers", ...npmSettings()],
      ...args.flatMap((each) => ["--build-arg", each]),
      ...["--ignorefile", join(ROOT, "deploy/kind/Dockerfile.dockerignore")],
      ...["--file", join(ROOT, "deploy/kind/Dockerfile"), "--target", target, "--tag", tag, ROOT],
    ];
    await runStep(`build ${tag}`, argv, { env: engineEnv({ HTTP_PROXY: process.env.HTTP_PROXY ?? "" }) });
  }
  console.error("setup: check the images");
  checkImages();
  writeFileSync(stamp, content);
  // Removes stages of builds that are older than two days.
  podman("image", "prune", "--force", "--filter", "until=48h");
}

async function makeBases(bases) {
  await inFolder(async (work) => {
    const root = join(work, "root");
    await makeRoot(SUITE, root, ["ca-certificates"]);
    await importRoot(root, bases.debian, []);
    const node = execFileSync(process.execPath, [join(ROOT, "tools/setup/node24.mjs")], { encoding: "utf8" }).trim();
    const prefix = dirname(dirname(node));
    const npm = execFileSync("npm", ["root", "--global"], { encoding: "utf8" }).trim();
    const script = `cp -R "$1/bin" "$1/include" "$0/usr/local/" && mkdir -p "$0/usr/local/lib/node_modules" && cp -RL "$2/npm" "$0/usr/local/lib/node_modules/" && ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$0/usr/local/bin/npm"`;
    await runStep("add Node and npm", ["sh", "-ec", script, root, prefix, npm]);
    await importRoot(root, bases.node, []);
  });
}

/** The registry and the certificates that npm uses on this machine; only for the build, not in the images. */
function npmSettings() {
  const files = [join(homedir(), ".npmrc"), "/etc/npmrc"].filter((path) => existsSync(path));
  const lines = files.flatMap((path) => readFileSync(path, "utf8").split("\n"));
  const registry = execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim();
  const extra = process.env.NODE_EXTRA_CA_CERTS;
  const settings = [
    // Excludes settings of this machine only, such as the path of Node's headers.
    ...lines.filter((line) => /^@[^=]*:registry *=|_auth|_password|username|email/.test(line)),
    `registry=${registry}`,
    ...(extra ? ["cafile=/run/npm/ca.crt"] : []),
  ];
  const folder = join(CACHE, "npm");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, "npmrc"), `${settings.join("\n")}\n`, { mode: 0o600 });
  if (extra) copyFileSync(extra, join(folder, "ca.crt"));
  return ["--volume", `${folder}:/run/npm:ro`, "--volume", `${join(folder, "npmrc")}:/root/.npmrc:ro`];
}

async function makeRoot(suite, root, packages) {
  const argv = ["debootstrap", "--variant=minbase", `--include=${packages.join()}`, suite, root, debianMirror()];
  await runStep(`Debian ${suite} with ${packages.length} packages`, argv);
}

async function importRoot(root, tag, changes) {
  const script = 'tar -C "$0" -c . | podman import "$@"';
  const options = changes.flatMap((change) => ["--change", change]);
  await runStep(`import ${tag}`, ["bash", "-o", "pipefail", "-ec", script, root, ...options, "-", tag], {
    env: engineEnv(),
  });
}

/** Removes images of `repository` with other tags, which are of other versions. */
function removeOthers(repository, tag) {
  const tags = podman("images", "--format", "{{.Repository}}:{{.Tag}}", repository).stdout.trim().split("\n");
  for (const other of tags.filter((each) => each !== "" && each !== tag)) podman("rmi", other);
}

function exists(tag) {
  return podman("image", "exists", tag).status === 0;
}

function podman(...args) {
  return spawnSync("podman", args, { env: engineEnv(), encoding: "utf8" });
}

/** Digest of the files that a build of the mesh's images sees. */
function checkout() {
  const git = (...args) => execFileSync("git", ["-C", ROOT, ...args], { maxBuffer: 1 << 28 });
  const others = git("ls-files", "--others", "--exclude-standard", "-z").toString().split("\0").filter(Boolean);
  return digest(
    git("rev-parse", "HEAD:"),
    git("diff", "HEAD"),
    ...others.map((path) => readFileSync(join(ROOT, path))),
  );
}

function digest(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 12);
}

async function inFolder(work) {
  mkdirSync(CACHE, { recursive: true });
  for (const left of readdirSync(CACHE).filter((name) => name.startsWith("work-"))) {
    rmSync(join(CACHE, left), { recursive: true, force: true });
  }
  const folder = mkdtempSync(join(CACHE, "work-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
