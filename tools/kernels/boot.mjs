/** Runs one virtual machine with this machine's files, another kernel and no network; ended when it is silent for too long. */
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
/** The guest prints a line per test file; on a busy machine the slowest file takes some minutes. */
const SILENCE_MS = 30 * 60_000;
/** The first line of the guest's script; the firmware and the kernel print before it. */
const START = "kernels: guest is up";

/**
 * Runs guest.sh with the test files; resolves when the machine is off. `onLine` gets the output of the script. The signal
 * turns the machine off.
 */
export async function boot(kernel, tests, { onLine, signal }) {
  const work = mkdtempSync(join(tmpdir(), "isthmus-kernel-"));
  const socket = join(work, "files");
  const script = [GUEST, join(kernel.modules, "lib/modules"), process.execPath, ...tests].join(" ");
  const initramfs = makeInitramfs(work, kernel, script);
  // Otherwise the guest reads each file, and translates each program, anew whenever it is opened.
  const options = ["source=/", "sandbox=chroot", "cache=always"].flatMap((option) => ["-o", option]);
  const files = spawn(fileServer(), [`--socket-path=${socket}`, ...options], { stdio: "ignore" });
  try {
    await listening(socket, files);
    await run(qemu(kernel, initramfs, socket), onLine, signal);
  } finally {
    files.kill();
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * One processor, since the emulator's compare-and-exchange of 16 bytes is not atomic between two (observed as a double fault).
 * The instruction is needed: without it, Linux 6.19 and newer has no socket storage, whose allocator uses it.
 *
 * The guest's clock advances by a nanosecond an instruction, so that its time limits are those of a processor of that speed,
 * however slow the emulation is; while the guest is idle, the clock is the machine's.
 *
 * An old processor, without AVX and without fast string instructions (ERMS): with the newest one, programs take about half again
 * as long to emulate.
 */
function qemu({ image }, initramfs, socket) {
  return [
    ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"],
    ["-accel", "tcg", "-icount", "shift=0", "-cpu", "Nehalem", "-smp", "1", "-m", "4G"],
    ["-nic", "none", "-nographic", "-no-reboot"],
    ["-object", "memory-backend-memfd,id=memory,size=4G,share=on", "-numa", "node,memdev=memory"],
    ["-chardev", `socket,id=files,path=${socket}`, "-device", "vhost-user-fs-pci,chardev=files,tag=root"],
    ["-kernel", image, "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1 rdinit=/init"],
  ].flat();
}

async function run([program, ...argv], onLine, signal) {
  const machine = spawn(program, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const turnOff = () => machine.kill("SIGKILL");
  const silence = setTimeout(() => {
    onLine(`no output for ${SILENCE_MS / 60_000} minutes`);
    turnOff();
  }, SILENCE_MS);
  signal.addEventListener("abort", turnOff, { once: true });
  let started = false;
  for await (const raw of createInterface({ input: machine.stdout })) {
    silence.refresh();
    const line = raw.replace(/\r$/, "");
    if (started) onLine(line);
    started ||= line.endsWith(START);
  }
  clearTimeout(silence);
  signal.removeEventListener("abort", turnOff);
}

async function listening(socket, server) {
  for (let i = 0; i < 100 && !existsSync(socket); i++) {
    if (server.exitCode !== null) throw new StepFailed(`${server.spawnfile} ended with ${server.exitCode}`);
    await delay(100);
  }
}
