/** The initramfs of a guest: busybox, the modules that the real root needs, and an init that switches to it. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const MODULES = ["virtio_pci", "virtiofs", "overlay"];

/** The guest's root: this machine's root, read-only, under a tmpfs for the guest's writes. */
const init = (script) => `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
mount -t virtiofs -o ro root /lower
mount -t tmpfs -o size=2g tmpfs /upper
mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /new
for each in proc sys dev; do mount --move /$each /new/$each; done
exec switch_root /new /bin/bash ${script}
`;

/** Writes the archive and returns its path. `script` becomes process 1 of the guest. */
export function makeInitramfs(work, kernel, script) {
  const root = join(work, "initramfs");
  for (const name of ["bin", "modules", "proc", "sys", "dev", "lower", "upper", "new"]) {
    mkdirSync(join(root, name), { recursive: true });
  }
  copyFileSync("/usr/bin/busybox", join(root, "bin/busybox"));
  moduleFiles(kernel).forEach((file, i) => {
    const target = join(root, "modules", `${String(i).padStart(2, "0")}-${basename(file).replace(/\.xz$/, "")}`);
    if (file.endsWith(".xz")) writeFileSync(target, execFileSync("xz", ["-dc", file], { maxBuffer: 1 << 28 }));
    else copyFileSync(file, target);
  });
  writeFileSync(join(root, "init"), init(script));
  chmodSync(join(root, "init"), 0o755);
  const archive = join(work, "initramfs.gz");
  execFileSync("sh", ["-c", 'cd "$0" && find . | cpio -o -H newc --quiet | gzip -1 >"$1"', root, archive]);
  return archive;
}

/** Module files in load order; built-in modules have none. */
function moduleFiles({ modules, version }) {
  // Once: a guest that runs loads no module any more when the lists are written anew.
  const isListed = existsSync(join(modules, "lib/modules", version, "modules.dep.bin"));
  if (!isListed) execFileSync("depmod", ["-b", modules, version]);
  const files = MODULES.flatMap((name) => {
    const argv = ["-d", modules, "-S", version, "--show-depends", name];
    const { stdout } = spawnSync("modprobe", argv, { encoding: "utf8" });
    return [...stdout.matchAll(/^insmod (\S+)/gm)].map(([, file]) => file);
  });
  return [...new Set(files)];
}
