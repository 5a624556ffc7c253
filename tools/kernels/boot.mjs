/** Runs one virtual machine with this machine's files, another kernel and no network; always ended after a time limit. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { StepFailed } from "../setup/step.mjs";
import { makeInitramfs } from "./initramfs.mjs";
import { fileServer } from "./packages.mjs";

const GUEST = fileURLToPath(new URL("guest.sh", import.meta.url));
const LIMIT_S = 1800;
/** The first line of the guest's script; the firmware and the kernel print before it. */
const START = "kernels: guest is up";

/** Resolves when the machine is off. `onLine` gets the output of the guest's script. */
export async function boot(kernel, onLine) {
  const work = mkdtempSync(join(tmpdir(), "isthmus-kernel-"));
  const socket = join(work, "files");
  const script = `${GUEST} ${join(kernel.modules, "lib/modules")} ${process.execPath}`;
  const initramfs = makeInitramfs(work, kernel, script);
  const files = spawn(fileServer(), [`--socket-path=${socket}`, "-o", "source=/", "-o", "sandbox=chroot"], {
    stdio: "ignore",
  });
  try {
    await listening(socket, files);
    await run(qemu(kernel, initramfs, socket), onLine);
  } finally {
    files.kill();
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * One processor, since the emulator's compare-and-exchange of 16 bytes is not atomic between two (observed as a double fault).
 * The instruction is needed: without it, Linux 6.19 and newer has no socket storage, whose allocator uses it.
 */
function qemu({ image }, initramfs, socket) {
  return [
    ["timeout", String(LIMIT_S), "qemu-system-x86_64"],
    ["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "4G", "-nic", "none", "-nographic", "-no-reboot"],
    ["-object", "memory-backend-memfd,id=memory,size=4G,share=on", "-numa", "node,memdev=memory"],
    ["-chardev", `socket,id=files,path=${socket}`, "-device", "vhost-user-fs-pci,chardev=files,tag=root"],
    ["-kernel", image, "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1 rdinit=/init"],
  ].flat();
}

async function run([program, ...argv], onLine) {
  const machine = spawn(program, argv, { stdio: ["ignore", "pipe", "inherit"] });
  let started = false;
  for await (const raw of createInterface({ input: machine.stdout })) {
    const line = raw.replace(/\r$/, "");
    if (started) onLine(line);
    started ||= line.endsWith(START);
  }
}

async function listening(socket, server) {
  for (let i = 0; i < 100 && !existsSync(socket); i++) {
    if (server.exitCode !== null) throw new StepFailed(`${server.spawnfile} ended with ${server.exitCode}`);
    await delay(100);
  }
}
