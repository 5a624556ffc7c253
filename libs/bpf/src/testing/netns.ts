/** Network namespaces with a veth for tests, and frames that device_test.bpf.c counts. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const FRAMES = fileURLToPath(new URL("../../../../bpf/tests/frames.py", import.meta.url));
const OFFLOAD = fileURLToPath(new URL("../../../../bpf/tests/offload.py", import.meta.url));
const FOLDER = "/run/netns";
const PREFIX = "mbpf";
const NAME = new RegExp(`^${PREFIX}(\\d+)-\\d+$`);
let counter = 0;

export type Offload = "tso" | "gso" | "gro" | "tx";

export interface TestNetns {
  readonly name: string;
  readonly path: string;
  /** Runs ip(8) in it; returns its output. */
  ip(...args: readonly string[]): string;
  /** Runs commands of ip(8) in it, one after another in one process; returns its output, as JSON. */
  ipAll(commands: readonly string[]): string;
  /** Runs tc(8) in it, with the same bpffs; returns its output. */
  tc(...args: readonly string[]): string;
  /** The index of a device. */
  index(device: string): number;
  /** Its MAC. */
  mac(device: string): string;
  /** Sets a sysctl of the namespace: `net.ipv4.ip_forward=1`. */
  sysctl(setting: string): void;
  /** Switches what the device does for the stack on or off: segments of TCP, their like, checksums. */
  offload(device: string, features: readonly Offload[], on: boolean): void;
  /** Sends frames through a device; resolves when all are sent. */
  sendFrames(device: string, count: number): Promise<void>;
}

/** Makes a network namespace, which is removed after the test. The first call removes those of tests that were killed. */
export function makeNetns(t: TestContext): TestNetns {
  if (counter === 0) removeAbandoned();
  const name = `${PREFIX}${process.pid}-${counter++}`;
  execFileSync("ip", ["netns", "add", name]);
  t.after(() => execFileSync("ip", ["netns", "del", name]));
  const path = `/run/netns/${name}`;
  const ip = (...args: readonly string[]) => execFileSync("ip", ["-n", name, ...args]).toString();
  return {
    name,
    path,
    ip,
    ipAll: (commands) =>
      execFileSync("ip", ["-n", name, "-j", "-batch", "-"], { input: commands.join("\n") }).toString(),
    tc: (...args) => execFileSync("nsenter", [`--net=${path}`, "tc", ...args]).toString(),
    index: (device) => Number(ip("-o", "link", "show", device).split(":")[0]),
    mac: (device) => /link\/ether (\S+)/.exec(ip("link", "show", device))?.[1] ?? "",
    sysctl: (setting) => void execFileSync("nsenter", [`--net=${path}`, "sysctl", "-qw", setting]),
    offload: (device, features, on) =>
      void execFileSync("nsenter", [`--net=${path}`, "python3", OFFLOAD, device, on ? "1" : "0", ...features]),
    sendFrames: async (device, count) => {
      const child = spawn("nsenter", [`--net=${path}`, "python3", FRAMES, device, `${count}`], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      const [code] = await once(child, "exit");
      if (code !== 0) throw new Error(`Cannot send frames through "${device}": exit ${code}`);
    },
  };
}

function removeAbandoned(): void {
  if (!existsSync(FOLDER)) return;
  for (const name of readdirSync(FOLDER)) {
    const [, pid] = NAME.exec(name) ?? [];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    // Another test may be faster.
    spawnSync("ip", ["netns", "del", name], { stdio: "ignore" });
  }
}

/** Makes a veth whose both ends are up; the index of the first may be given. */
export function makeVeth(netns: TestNetns, one: string, two: string, index?: number): void {
  const given = index === undefined ? "" : `index ${index}`;
  netns.ipAll([`link add ${one} ${given} type veth peer name ${two}`, `link set ${one} up`, `link set ${two} up`]);
}
