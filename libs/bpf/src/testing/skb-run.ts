/**
 * Runs a tc program on a packet with a context: device, mark, control block and what else `struct __sk_buff` has that a
 * test run can set or read.
 */
import { type Fd, native } from "../native.js";

/** Fields of `struct __sk_buff` (linux/bpf.h) by their byte offsets. The kernel refuses all others in a test run. */
const FIELDS = {
  mark: 8,
  priority: 32,
  ingressIfindex: 36,
  ifindex: 40,
  /** 8 bytes, in nanoseconds. */
  tstamp: 152,
  /** Bytes on the wire; 0 = the length of the packet. */
  wireLength: 160,
  gsoSegments: 164,
  gsoSize: 176,
} as const;
/** `cb[5]`: 32-bit words. */
const CONTROL_BLOCK = 48;
const CONTROL_WORDS = 5;
const SIZE = 192;

/** What a tc program returns: TC_ACT_… of linux/pkt_cls.h. */
export const TcAction = { Unspecified: -1, Ok: 0, Drop: 2, Redirect: 7 } as const;

export interface SkbContext {
  readonly mark: number;
  readonly priority: number;
  /** The device that the packet arrived on; 0 = none. */
  readonly ingressIfindex: number;
  /** The device that the program runs on. The kernel takes loopback when a run does not name one. */
  readonly ifindex: number;
  /** The five words that tc programs of one packet share. */
  readonly cb: readonly number[];
  /** Nanoseconds. */
  readonly tstamp: bigint;
  /** Bytes on the wire of what is sent as one packet. */
  readonly wireLength: number;
  readonly gsoSegments: number;
  readonly gsoSize: number;
}

export interface SkbRunOptions {
  /** A whole frame, at least 14 bytes. */
  readonly packet: Uint8Array;
  /** Absent fields are 0. */
  readonly context?: Partial<SkbContext>;
  /** Number of runs, each on what the one before left; 1 by default. */
  readonly repeat?: number;
  /** Path of the network namespace of the devices; that of the process by default. */
  readonly netns?: string;
}

export interface SkbRun {
  /** What the program returned in the last run, a `TcAction` as a rule. */
  readonly action: number;
  /** The packet after the last run. */
  readonly packet: Uint8Array;
  readonly context: SkbContext;
  /** Mean duration of one run. */
  readonly durationNs: number;
}

/** Rejects with the addon's error: ENODEV for an unknown device, EINVAL for a packet or context that cannot be. */
export async function runOnSkb(program: Fd, options: SkbRunOptions): Promise<SkbRun> {
  const { packet, context = {}, repeat = 1, netns } = options;
  const run = await native().testRun(program, packet, repeat, encode(context), netns);
  return { action: run.retval | 0, packet: run.data, context: decode(run.context), durationNs: run.durationNs };
}

function encode({ cb = [], tstamp = 0n, ...fields }: Partial<SkbContext>): Uint8Array {
  if (cb.length > CONTROL_WORDS) throw new RangeError(`Cannot set ${cb.length} words of cb: it has ${CONTROL_WORDS}`);
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(fields)) view.setUint32(FIELDS[name as keyof typeof fields], value, true);
  view.setBigUint64(FIELDS.tstamp, tstamp, true);
  for (const [i, word] of cb.entries()) view.setUint32(CONTROL_BLOCK + 4 * i, word, true);
  return bytes;
}

function decode(bytes: Uint8Array): SkbContext {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = (name: keyof typeof FIELDS) => view.getUint32(FIELDS[name], true);
  return {
    mark: read("mark"),
    priority: read("priority"),
    ingressIfindex: read("ingressIfindex"),
    ifindex: read("ifindex"),
    cb: Array.from({ length: CONTROL_WORDS }, (_, i) => view.getUint32(CONTROL_BLOCK + 4 * i, true)),
    tstamp: view.getBigUint64(FIELDS.tstamp, true),
    wireLength: read("wireLength"),
    gsoSegments: read("gsoSegments"),
    gsoSize: read("gsoSize"),
  };
}
