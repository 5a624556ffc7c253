/** A wire between two network namespaces that delays every frame (bpf/tests/delay.py). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { makeNetns, type TestNetns } from "./netns.js";

const SCRIPT = fileURLToPath(new URL("../../../../bpf/tests/delay.py", import.meta.url));

export interface DelayLine {
  /** By how much a frame was late since the last call, at most; 0 when none was by more than 50 ms: the machine was busy. */
  takeLateMs(): number;
}

/** Makes a device `up0` in both; a frame of one is in the other after `delayMs`. */
export async function joinByDelayLine(
  t: TestContext,
  one: TestNetns,
  other: TestNetns,
  delayMs: number,
): Promise<DelayLine> {
  const line = makeNetns(t);
  const ends = ["one", "other"] as const;
  for (const [end, netns] of [
    ["one", one],
    ["other", other],
  ] as const) {
    line.ip("link", "add", end, "type", "veth", "peer", "name", "up0", "netns", netns.name);
    line.ip("link", "set", end, "up");
    // A frame that a packet socket sends on must be whole: no checksum is left to the device, no segment is larger than its MTU.
    netns.offload("up0", ["tx", "tso", "gso", "gro"], false);
  }
  const argv = [`--net=${line.path}`, "python3", SCRIPT, ...ends, `${delayMs}`];
  const child = spawn("nsenter", argv, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill();
    const [code] = await ended;
    if (code !== null && code !== 0) throw new Error(`The delay line failed: exit ${code}`);
  });
  const lines = createInterface({ input: child.stdout });
  await Promise.race([once(lines, "line"), ended]);
  let lateMs = 0;
  lines.on("line", (line) => {
    lateMs = Math.max(lateMs, Number(line));
  });
  return {
    takeLateMs() {
      const taken = lateMs;
      lateMs = 0;
      return taken;
    },
  };
}
