/** A node of program tests, whose pods have identities and get policies. */

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { FlowFlag, FlowWord, KnownIdentity } from "../gen/index.js";
import { makeNetns, makeVeth } from "./netns.js";
import { ICMP, makePacket, type PacketFields, readPacket, TcpFlag } from "./packets.js";
import { loadPodPrograms, type PodProgram } from "./pod-programs.js";
import { createPolicyWriter } from "./policy-rows.js";
import { type SkbContext, TcAction } from "./skb-run.js";

export const A = { address: "10.1.0.1", ifindex: 11, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02", row: 1 };
export const B = { address: "10.1.0.2", ifindex: 12, mac: "02:00:00:00:0b:01", hostMac: "02:00:00:00:0b:02", row: 2 };
export const UPLINK = 13;
export const FAR = "10.2.0.9";
export const WORLD = "192.0.2.1";
export const NODE = "192.168.9.1";
export const OTHER_NODE = "192.168.9.2";
const REMOTE_NODE = 6;
export const [ID_A, ID_B, ID_FAR] = [(1 << 20) | 101, (1 << 20) | 102, (2 << 20) | 103];
export const UNMANAGED = (2 << 20) | KnownIdentity.Unmanaged;
const SYN_ACK = TcpFlag.Syn | TcpFlag.Ack;

/** A node with the pods A and B, whose identities are known, and no policy. */
export function makePolicyNode(t: TestContext) {
  const netns = makeNetns(t);
  for (const [i, name] of ["a", "b", "up"].entries()) makeVeth(netns, `${name}0`, `${name}1`, A.ifindex + i);
  netns.ip("addr", "add", `${NODE}/24`, "dev", "up0");
  netns.ip("route", "add", "10.2.0.0/16", "via", OTHER_NODE);
  netns.ip("neigh", "add", OTHER_NODE, "lladdr", "02:00:00:00:0c:02", "dev", "up0");
  netns.sysctl("net.ipv4.ip_forward=1");
  const programs = loadPodPrograms(t);
  programs.addPod(A);
  programs.addPod(B);
  programs.addRange("10.1.0.0/16", 1);
  programs.addRange("10.2.0.0/16", 2);
  const policy = createPolicyWriter(programs.loaded);
  for (const [address, identity] of [
    [A.address, ID_A],
    [B.address, ID_B],
    [FAR, ID_FAR],
    [NODE, KnownIdentity.Host],
    [OTHER_NODE, REMOTE_NODE],
  ] as const)
    policy.identity(address, identity);
  policy.prefix("10.2.0.0/16", UNMANAGED, true);

  const runFrame = (program: PodProgram, frame: Uint8Array, ifindex: number) =>
    programs.run(program, frame, { ifindex }, netns.path);

  /** What a program makes of a packet from A to B, as far as `fields` say nothing else. */
  const runOn = (
    program: PodProgram,
    fields: Partial<PacketFields> = {},
    ifindex = A.ifindex,
    context: Partial<SkbContext> = {},
  ) =>
    programs.run(
      program,
      makePacket({ source: A.address, target: B.address, sourceMac: A.mac, ...fields }),
      { ifindex, ...context },
      netns.path,
    );

  /** Its action; `TcAction.Drop` also for a packet that is dropped and answered. */
  async function run(...given: Parameters<typeof runOn>): Promise<number> {
    const { action, packet } = await runOn(...given);
    return isRefusal(packet) ? TcAction.Drop : action;
  }

  /** `run` of the answer: from B to A. */
  const answer = (program: PodProgram, fields: Partial<PacketFields> = {}) =>
    run(
      program,
      {
        ...{ source: B.address, target: A.address, sourcePort: 80, targetPort: 40_000, sourceMac: B.mac },
        ...{ flags: SYN_ACK, ...fields },
      },
      B.ifindex,
    );

  /** Whether the ends of the only flow were allowed, and at which revision: of A, then of the other end. */
  function allowed(): readonly (number | undefined)[] {
    const [flow, ...more] = programs.flows();
    assert.deepEqual(more, []);
    const words = flow?.row.word.map((word) => FlowWord.fromWord(word)) ?? [];
    const revisions = words.map(({ flags, rev }) => ((flags & FlowFlag.Allowed) === 0 ? undefined : rev));
    const [first] = [...(flow?.flags.keys() ?? [])];
    return first?.startsWith(A.address) ? revisions : revisions.reverse();
  }

  /** Counters that are not 0, but for that of answers to what is denied. */
  function counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(Object.entries(programs.counts()).filter(([name]) => name !== "prohibited"));
  }

  return {
    ...programs,
    policy,
    runOn,
    runFrame,
    run,
    answer,
    allowed,
    counts,
    icmpErrors: () => programs.counts()["prohibited"] ?? 0,
  };
}

/** True for the ICMP error that says that a filter dropped a packet. */
export function isRefusal(packet: Uint8Array): boolean {
  const { protocol, sourcePort } = readPacket(packet);
  return protocol === ICMP && sourcePort === 0x030d;
}
