/**
 * Compiles what a fault drops into a classic BPF program for `tc … bpf direct-action bytecode`. Pure.
 *
 * Frames are told apart by hardware address, so that the packets of pods count as those of their node, whatever their addresses
 * are. Only IPv4 and IPv6 are dropped, except what resolves neighbours: a sender sees silence, as when a machine behind a router
 * dies, and not "no route to host".
 */

/** One direction of dropped frames. A list of hardware addresses that is absent stands for every machine. */
export interface DropRule {
  readonly from?: readonly string[];
  readonly to?: readonly string[];
  /** Part of the frames that is dropped, each drawn at random: above 0, at most 1. */
  readonly share: number;
}

/** Verdicts of a tc program: the next filter decides, or the frame is dropped. */
export const TC_ACT_UNSPEC = 0xffff_ffff;
export const TC_ACT_SHOT = 2;

// linux/bpf_common.h, linux/filter.h
const LOAD_WORD = 0x20;
const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
const IF_EQUAL = 0x15;
const IF_GREATER = 0x25;
const IF_AT_LEAST = 0x35;
const RETURN = 0x06;
/** SKF_AD_OFF + SKF_AD_RANDOM: a load from there gives 32 random bits. */
export const RANDOM = 0xffff_f000 + 56;

/** Offsets in an Ethernet frame. The last four bytes of hardware addresses differ between all machines of a lab. */
const AT = { to: 2, from: 8, type: 12, ipv6NextHeader: 20, icmpv6Type: 54 };
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const ICMPV6 = 58;
const NEIGHBOR_SOLICITATION = 135;
const NEIGHBOR_ADVERTISEMENT = 136;

/** One instruction; a jump goes to labels, or to the next instruction where there is none. */
interface Instruction {
  readonly label?: string;
  readonly code: number;
  readonly k: number;
  readonly yes?: string;
  readonly no?: string;
}

/** "6,40 0 0 12,…": the number of instructions, then "code jt jf k" of each. */
export function dropProgram({ from, to, share }: DropRule): string {
  return assemble([
    { code: LOAD_HALF, k: AT.type },
    { code: IF_EQUAL, k: IPV4, yes: "from" },
    { code: IF_EQUAL, k: IPV6, no: "pass" },
    { code: LOAD_BYTE, k: AT.ipv6NextHeader },
    { code: IF_EQUAL, k: ICMPV6, no: "from" },
    { code: LOAD_BYTE, k: AT.icmpv6Type },
    { code: IF_AT_LEAST, k: NEIGHBOR_SOLICITATION, no: "from" },
    { code: IF_GREATER, k: NEIGHBOR_ADVERTISEMENT, no: "pass" },
    ...isOneOf("from", AT.from, from, "to"),
    ...isOneOf("to", AT.to, to, "draw"),
    ...drawn(share),
    { label: "drop", code: RETURN, k: TC_ACT_SHOT },
    { label: "pass", code: RETURN, k: TC_ACT_UNSPEC },
  ]);
}

/** Goes to `next` when the address at the offset is one of these, else to "pass". */
function isOneOf(label: string, offset: number, macs: readonly string[] | undefined, next: string): Instruction[] {
  const load = { label, code: LOAD_WORD, k: offset };
  if (macs === undefined) return [load];
  const compare = macs.map((mac) => ({ code: IF_EQUAL, k: lastWord(mac), yes: next }));
  return [load, ...compare.slice(0, -1), ...compare.slice(-1).map((last) => ({ ...last, no: "pass" }))];
}

function drawn(share: number): Instruction[] {
  const draw = { label: "draw", code: LOAD_WORD, k: RANDOM };
  const threshold = Math.round(share * 2 ** 32);
  return threshold >= 2 ** 32 ? [draw] : [draw, { code: IF_AT_LEAST, k: threshold, yes: "pass" }];
}

/** The last four bytes of a hardware address. */
function lastWord(mac: string): number {
  return Number.parseInt(mac.split(":").slice(2).join(""), 16);
}

function assemble(program: readonly Instruction[]): string {
  const distance = (from: number, label: string | undefined) =>
    label === undefined ? 0 : program.findIndex((instruction) => instruction.label === label) - from - 1;
  const lines = program.map(({ code, k, yes, no }, at) => `${code} ${distance(at, yes)} ${distance(at, no)} ${k}`);
  return [program.length, ...lines].join(",");
}
