/**
 * Netlink messages, to bytes and back: requests with their sequence numbers, and what answers them.
 *
 * ```
 *   message = u32 length | u16 type | u16 flags | u32 sequence number | u32 port | body | padding to 4
 * ```
 */
import { align, parseAttributes, textOf } from "./attributes.js";

/** One request to the kernel. `action` and `object` are words for its error: "Cannot <action> <object>: …". */
export interface NetlinkRequest {
  /** For example `add route`. */
  readonly action: string;
  /** For example `10.11.0.0/24 via 172.18.0.2`. */
  readonly object: string;
  /** RTM_… */
  readonly type: number;
  /** NLM_F_… beside NLM_F_REQUEST and NLM_F_ACK. */
  readonly flags: number;
  /** The fixed struct of this type, then attributes. */
  readonly body: Uint8Array;
}

/** A message of the kernel. */
export interface NetlinkMessage {
  /** RTM_…, or NLMSG_ERROR or NLMSG_DONE. */
  readonly type: number;
  /** NLM_F_… */
  readonly flags: number;
  /** That of the request which it answers; 0 for a notification. */
  readonly sequence: number;
  /** Without the header and the padding: a view into the received bytes. */
  readonly body: Uint8Array;
}

/** How a request ended: 0 or an errno, and the kernel's text about it ("" = none). */
export interface NetlinkEnd {
  /** Positive; 0 = executed. */
  readonly errno: number;
  /** The kernel's explanation, of an extended acknowledgement. */
  readonly text: string;
}

export const NetlinkFlag = {
  Request: 0x1,
  Ack: 0x4,
  Replace: 0x100,
  Exclusive: 0x200,
  Create: 0x400,
  Dump: 0x300,
} as const;

/** Flags of the kernel's messages. */
const INTERRUPTED = 0x10;
const CAPPED = 0x100;
const HAS_TEXT = 0x200;

const HEADER = 16;
const ERROR = 2;
const DONE = 3;
/** NLMSGERR_ATTR_MSG */
const TEXT = 1;

/** Bytes of these requests, in order, with sequence numbers from `first` on. Each is acknowledged by the kernel. */
export function encodeRequests(requests: readonly NetlinkRequest[], first: number): Uint8Array {
  const bytes = new Uint8Array(requests.reduce((sum, { body }) => sum + align(HEADER + body.length), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [i, { type, flags, body }] of requests.entries()) {
    view.setUint32(at, HEADER + body.length, true);
    view.setUint16(at + 4, type, true);
    view.setUint16(at + 6, NetlinkFlag.Request | NetlinkFlag.Ack | flags, true);
    view.setUint32(at + 8, first + i, true);
    bytes.set(body, at + HEADER);
    at += align(HEADER + body.length);
  }
  return bytes;
}

/** The messages in these bytes; undefined when a length does not fit. Bodies are views into `bytes`. */
export function parseMessages(bytes: Uint8Array): readonly NetlinkMessage[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER || at + length > bytes.length) return undefined;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.subarray(at + HEADER, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** The end of a request, if the message is one: an acknowledgement, an error, or the last message of a dump. */
export function parseEnd({ type, flags, body }: NetlinkMessage): NetlinkEnd | undefined {
  if (type !== ERROR && type !== DONE) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const errno = body.length < 4 ? 0 : Math.abs(view.getInt32(0, true));
  if ((flags & HAS_TEXT) === 0) return { errno, text: "" };
  // An error repeats the header of the request, and unless it is capped also its body.
  const requestBytes = type === DONE ? 0 : (flags & CAPPED) !== 0 ? HEADER : view.getUint32(4, true);
  return { errno, text: textOf(parseAttributes(body, align(4 + requestBytes))?.get(TEXT)) ?? "" };
}

/** True when objects changed during the dump, which may have missed some: it must be repeated. */
export function isInterrupted({ flags }: NetlinkMessage): boolean {
  return (flags & INTERRUPTED) !== 0;
}
