/**
 * Two networks of one shape, one with the programs as they are, the other with those that move no connect. Each network has
 * either in turn, so that what differs between the networks themselves cancels out.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OBJECTS } from "@isthmus/bpf/testing";
import { makeNetwork, type Network, type NetworkNode } from "../packets/network.js";
import { attachPrograms, type Programs } from "../packets/programs.js";
import { type Later, undoing } from "../undoing.js";

export interface RescueSide {
  readonly client: NetworkNode["pods"][number];
  /** Of the client. */
  readonly cgroup: string;
  readonly programs: Programs;
}

export interface RescueRig {
  /** The load generator. */
  readonly load: string;
  /** Runs `work` with the programs of rescue in the one network and without in the other, and then the other way round. */
  bothWays(work: (on: RescueSide, without: RescueSide) => Promise<void>): Promise<void>;
}

const SOURCE = (name: string) => fileURLToPath(new URL(`../../src/${name}`, import.meta.url));

export async function makeRescueRig(later: Later): Promise<RescueRig> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-rescue-"));
  later(() => rmSync(folder, { recursive: true }));
  const [net, load] = [join(folder, "net"), join(folder, "load")];
  execFileSync("cc", ["-O2", "-static", "-o", net, SOURCE("packets/net.c")], { stdio: "inherit" });
  execFileSync("cc", ["-O2", "-static", "-o", load, SOURCE("datapath/load.c")], { stdio: "inherit" });
  const objects = join(folder, "objects");
  linkObjects(objects);
  const network = (letter: string) => makeNetwork(`mr${process.pid % 100000}${letter}`, net, later);
  const [one, other] = [await network("a"), await network("b")];
  return {
    load,
    async bothWays(work) {
      for (const [on, without] of [
        [one, other],
        [other, one],
      ] as const)
        await undoing(async (then) => work(await sideOf(on, OBJECTS, then), await sideOf(without, objects, then)));
    },
  };
}

/** The objects of this checkout in a folder, with programs at devices that move no connect. */
function linkObjects(folder: string): void {
  execFileSync("mkdir", [folder]);
  for (const name of readdirSync(OBJECTS).filter((each) => each.endsWith(".bpf.o") && each !== "pod.bpf.o"))
    symlinkSync(join(OBJECTS, name), join(folder, name));
  symlinkSync(join(OBJECTS, "no_rescue_test.bpf.o"), join(folder, "pod.bpf.o"));
}

async function sideOf(network: Network, objectDir: string, later: Later): Promise<RescueSide> {
  const programs = await attachPrograms(network, later, { objectDir });
  const [node] = network.nodes;
  if (objectDir !== OBJECTS) for (const each of network.nodes) detachTimeouts(each);
  const [client] = node.pods;
  if (client === undefined) throw new Error("Cannot measure without a client");
  return { client, cgroup: node.cgroup, programs };
}

/** A link ends with its pin. */
function detachTimeouts({ netns }: NetworkNode): void {
  const folder = join("/sys/fs/bpf", netns);
  const pins = readdirSync(folder).filter((name) => name.startsWith("link_tcp_timeouts@"));
  if (pins.length === 0) throw new Error(`Cannot find the program of timeouts in "${folder}"`);
  for (const pin of pins) rmSync(join(folder, pin));
}
