/** Fetches kernels of other Debian releases from this machine's mirror into the cache. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { debianMirror } from "../setup/mirror.mjs";
import { runStep, Unfit } from "../setup/step.mjs";

/** Debian releases, oldest first, by the kernel that each has: 6.1 (the oldest that Isthmus supports), 6.12, the newest. */
export const KERNELS = ["bookworm", "trixie", "sid"];
/** Kernels below the supported floor (5.10), run only when named. */
export const OLDER_KERNELS = ["bullseye"];
const META_PACKAGE = "linux-image-cloud-amd64";

/** -> {suite, version: "6.1.0-50-cloud-amd64", image, modules: the folder above lib/modules} */
export async function fetchKernel(suite) {
  if (process.arch !== "x64") throw new Unfit("Other kernels are run on x86-64 machines only");
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "isthmus/kernels");
  const folder = join(cache, suite);
  if (!existsSync(folder)) {
    const work = `${folder}.new`;
    rmSync(work, { recursive: true, force: true });
    mkdirSync(join(work, "lists/partial"), { recursive: true });
    await download(suite, work);
    renameSync(work, folder);
  }
  const root = join(folder, "root");
  const modules = existsSync(join(root, "lib/modules")) ? root : join(root, "usr");
  const [version] = readdirSync(join(modules, "lib/modules"));
  const images = [join(root, "boot", `vmlinuz-${version}`), join(modules, "lib/modules", version, "vmlinuz")];
  const image = images.find((path) => existsSync(path));
  if (image === undefined)
    throw new Unfit(`Cannot find the kernel of Debian ${suite}: looked for ${images.join(", ")}`);
  return { suite, version, image, modules };
}

/** Downloads with separate package lists, so that those of the machine stay unchanged. */
async function download(suite, work) {
  writeFileSync(join(work, "sources.list"), `deb ${debianMirror()} ${suite} main\n`);
  const own = [
    `Dir::Etc::sourcelist=${work}/sources.list`,
    "Dir::Etc::sourceparts=-",
    `Dir::State::lists=${work}/lists`,
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
  await runStep(`lists of Debian ${suite}`, ["apt-get", ...own, "-q", "update"]);
  const names = kernelPackages(own);
  if (names.length === 0) throw new Unfit(`Debian ${suite} has no ${META_PACKAGE}`);
  const text = names.join(" ");
  await runStep(`get ${text}`, ["sh", "-c", 'cd "$0" && apt-get "$@"', work, ...own, "-q", "download", ...names]);
  for (const file of readdirSync(work).filter((entry) => entry.endsWith(".deb"))) {
    await runStep(`unpack ${file}`, ["dpkg-deb", "-x", join(work, file), join(work, "root")]);
    rmSync(join(work, file));
  }
}

/** Packages that the meta-package depends on: one of image and modules, or (from 7.x on) one of each. */
function kernelPackages(own) {
  const found = new Set();
  const queue = [META_PACKAGE];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const depends = execFileSync("apt-cache", [...own, "depends", name], { encoding: "utf8" });
    for (const [, dependency] of depends.matchAll(/Depends: (linux-(?:image|binary|modules)-\d\S+)/g)) {
      if (found.has(dependency)) continue;
      found.add(dependency);
      queue.push(dependency);
    }
  }
  return [...found];
}
