/** A wire between two network namespaces that delays every frame (bpf/tests/delay.py). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { makeNetns, type TestNetns } from "./netns.js";

const SCRIPT = fileURLToPath(new URL("../../../../bpf/tests/delay.py", import.meta.url));

/** Makes a device `up0` in both; a frame of one is in the other after `delayMs`. */
export async function joinByDelayLine(
  t: TestContext,
  one: TestNetns,
  other: TestNetns,
  delayMs: number,
): Promise<void> {
  const line = makeNetns(t);
  const ends = ["one", "other"] as const;
  for (const [end, netns] of [
    ["one", one],
    ["other", other],
  ] as const) {
    line.ip("link", "add", end, "type", "veth", "peer", "name", "up0", "netns", netns.name);
    line.ip("link", "set", end, "up");
    // A frame that a packet socket sends on must be whole: no checksum is left to the device, no segment is larger than its MTU.
    for (const feature of ["tx", "tso", "gso", "gro"] as const) netns.offload("up0", feature, false);
  }
  const argv = [`--net=${line.path}`, "python3", SCRIPT, ...ends, `${delayMs}`];
  const child = spawn("nsenter", argv, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill();
    const [code] = await ended;
    if (code !== null && code !== 0) throw new Error(`The delay line failed: exit ${code}`);
  });
  await Promise.race([once(child.stdout, "data"), ended]);
}
