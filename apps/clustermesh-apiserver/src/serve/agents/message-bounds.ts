/**
 * Bounds of an agent's messages, checked on the bytes of a message before it is decoded.
 *
 * In: one encoded `ToServer`. Out: the first field that has more entries or bytes than an agent's message can have. Unknown
 * fields are skipped here as by the decoder. The whole message is at most `MAX_MESSAGE_BYTES`: gRPC refuses a longer one by
 * its length prefix.
 */
import { MAX_CLUSTER_ID } from "@isthmus/model";
import { BOUNDS, BUCKETS, MAX_REFUSAL_REASON, MAX_REFUSED_POLICIES, POSITION_TYPES } from "@isthmus/records";

/** Maximum number of clusters, the local one (0) included. */
const CLUSTERS = MAX_CLUSTER_ID + 1;
/**
 * A remote position takes 2 + 16 and 1 + 10 bytes, 31 with its own tag. In Hello a source has two positions, its number and
 * a tag: 67 bytes. In Ack it has one position, its number, two times and a tag: 58 bytes.
 */
const SOURCE_BYTES = 72;
/** Names, the local cluster's versions, the fill of 256 maps of at most 83 bytes each, eight conditions, and refused policies. */
const OTHER_BYTES = 64 << 10;
export const MAX_MESSAGE_BYTES = CLUSTERS * SOURCE_BYTES + OTHER_BYTES;

/** Of one identity in a batch of events: an agent sends 64. */
const MAX_EVENT_LABELS = 64;
/** Maps of one node: an agent has about twenty. */
const MAX_MAPS = 256;
/** Conditions of one node at one time. */
export const MAX_CONDITIONS = 8;
const VARINT_BYTES = 10;

interface Bound {
  readonly name: string;
  /** Entries of the field in its message. */
  readonly most: number;
  /** Bytes of one entry that has a length. */
  readonly bytes?: number;
  readonly fields?: Bounds;
}
type Bounds = ReadonlyMap<number, Bound>;

const bounds = (fields: Readonly<Record<number, Bound>>): Bounds =>
  new Map(Object.entries(fields).map(([number, bound]) => [Number(number), bound]));
const once = (name: string, bytes: number): Bound => ({ name, most: 1, bytes });
const message = (name: string, most: number, fields: Bounds): Bound => ({ name, most, fields });

const POSITION = bounds({
  1: once("store_id", 16),
  2: once("revision", 0),
  3: { name: "versions", most: POSITION_TYPES.versions, bytes: POSITION_TYPES.versions * VARINT_BYTES },
  4: { name: "added", most: POSITION_TYPES.added, bytes: POSITION_TYPES.added * VARINT_BYTES },
});
const HELLO = bounds({
  2: once("node", 253),
  5: { name: "capabilities", most: 32, bytes: 64 },
  6: message("sources", CLUSTERS, bounds({ 2: message("floor", 1, POSITION), 3: message("have", 1, POSITION) })),
  7: once("version", 128),
});
const POLICIES = bounds({
  1: message("position", 1, POSITION),
  3: message(
    "refused",
    MAX_REFUSED_POLICIES,
    bounds({ 1: once("key", 512), 2: once("reason", 4 * MAX_REFUSAL_REASON) }),
  ),
});
const ACK = bounds({
  1: message("applied", CLUSTERS, bounds({ 2: message("position", 1, POSITION) })),
  2: message("views", CLUSTERS, bounds({ 3: once("evidence", 256) })),
  4: message("maps", MAX_MAPS, bounds({ 1: once("map", 64) })),
  6: message("policies", 1, POLICIES),
  5: message("conditions", MAX_CONDITIONS, bounds({ 1: once("type", 64), 2: once("message", 1024) })),
});
const REPORT = bounds({
  2: once("namespace", 253),
  3: once("pod", 253),
  4: once("pod_uid", 64),
  5: once("address", 16),
  6: { name: "host_ports", most: 64, bytes: 24 },
});
const BUCKET_SUMS = bounds({ 3: { name: "sums", most: BUCKETS, bytes: 16 } });
const TO_SERVER = bounds({
  1: message("hello", 1, HELLO),
  2: message("ack", 1, ACK),
  3: message("report", 1, REPORT),
  4: message("buckets", 1, BUCKET_SUMS),
  5: message("node_report", 1, bounds({ 1: once("health", 16) })),
});

const FLOW_END = bounds({ 1: once("address", 16), 3: once("namespace", 253), 4: once("pod", 253) });
const POLICY_NAME = bounds({ 1: once("kind", 64), 2: once("namespace", 253), 3: once("name", 253) });
const POLICY_RULE = bounds({ 1: message("policy", 1, POLICY_NAME), 2: once("path", 256) });
const FLOW_POLICY = bounds({
  3: message("rules", 8, POLICY_RULE),
  4: message("isolating", 16, POLICY_NAME),
});
const FLOW_EVENT = bounds({
  5: once("drop_reason", 64),
  8: message("source", 1, FLOW_END),
  9: message("destination", 1, FLOW_END),
  16: once("drop_meaning", 256),
  18: message("move", 1, bounds({ 1: once("reason", 64), 2: message("backend", 1, FLOW_END) })),
  17: message("service", 1, bounds({ 1: once("address", 16), 3: once("namespace", 253), 4: once("name", 253) })),
  19: message("policy", 1, FLOW_POLICY),
});
/** An agent puts 500 events into a batch, whose ends have at most 1,000 identities. */
const MAX_EVENTS = 1000;
const EVENT_IDENTITY = bounds({
  2: message(
    "labels",
    MAX_EVENT_LABELS,
    bounds({ 1: once("key", BOUNDS.labelKey), 2: once("value", BOUNDS.identityLabelValue) }),
  ),
  4: once("prefix", 64),
});
const EVENTS = bounds({
  1: message("events", MAX_EVENTS, FLOW_EVENT),
  3: message("identities", 2 * MAX_EVENTS, EVENT_IDENTITY),
});
/** An agent puts 200 rows into a part; the longest cell is that of a floor, with sixteen numbers. */
export const MAX_PART_ROWS = 256;
const MAX_COLUMNS = 32;
const MAP_ROWS = bounds({
  1: message("columns", MAX_COLUMNS, bounds({ 1: once("name", 64) })),
  2: message("rows", MAX_PART_ROWS, bounds({ 1: { name: "cells", most: MAX_COLUMNS, bytes: 512 } })),
});
/** Counters of one node: an agent has about twenty. */
const MAX_COUNTERS = 256;
const FIGURES = bounds({
  1: once("datapath_mode", 16),
  2: message("maps", MAX_MAPS, bounds({ 1: once("map", 64) })),
  3: message("counters", MAX_COUNTERS, bounds({ 1: once("name", 64) })),
});
const POLICY_ENTRIES = bounds({
  5: message("other", 1, bounds({ 3: once("prefix", 64) })),
  6: message("peer", 1, bounds({})),
  7: message("port", 1, bounds({})),
  10: message("rules", 8, POLICY_RULE),
  11: message("other_identity", 1, EVENT_IDENTITY),
});
/** Backends of one answer: an agent has 1,000 of all frontends. */
const MAX_LOOKED_UP = 1000;
const TIER_ROWS = bounds({
  7: message("backends", MAX_LOOKED_UP, bounds({ 4: once("address", 16), 14: once("rank_name", 16) })),
});
const FRONTEND_ROWS = bounds({
  6: once("planned_for", 512),
  7: message("tiers", 4, TIER_ROWS),
  9: { name: "problems", most: 8, bytes: 1024 },
});
const NODE_FRONTENDS = bounds({ 1: message("frontends", 16, FRONTEND_ROWS) });
const AGENT_MESSAGE = bounds({
  1: message("hello", 1, bounds({ 1: once("node", 253), 2: once("version", 128) })),
  2: message(
    "answer",
    1,
    bounds({
      3: once("problem", 1024),
      4: message("events", 1, EVENTS),
      5: message("rows", 1, MAP_ROWS),
      6: message("figures", 1, FIGURES),
      7: message("policy", 1, POLICY_ENTRIES),
      8: message("frontends", 1, NODE_FRONTENDS),
    }),
  ),
});

/** The same as `messageProblem`, of one encoded `AgentMessage`. */
export function answerProblem(bytes: Uint8Array): string | undefined {
  return problemIn({ bytes, at: 0 }, bytes.length, AGENT_MESSAGE, "");
}

/** Undefined: the message is within bounds. Otherwise a sentence that names the field. */
export function messageProblem(bytes: Uint8Array): string | undefined {
  return problemIn({ bytes, at: 0 }, bytes.length, TO_SERVER, "");
}

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

function problemIn(cursor: Cursor, end: number, fields: Bounds, path: string): string | undefined {
  const counts = new Map<number, number>();
  while (cursor.at < end) {
    const tag = varint(cursor);
    const length = lengthOf(tag % 8, cursor);
    // A decoder ignores the bits of a tag above 32: such a field would be unknown here and decoded as another one.
    if (tag >= 2 ** 32 || length === undefined || cursor.at + length > end)
      return `${path || "the message"} is malformed`;
    const number = Math.floor(tag / 8);
    const bound = fields.get(number);
    if (bound !== undefined) {
      const name = path === "" ? bound.name : `${path}.${bound.name}`;
      const count = (counts.get(number) ?? 0) + 1;
      counts.set(number, count);
      if (count > bound.most) return `${name} has more than ${bound.most} entries`;
      if (tag % 8 === 2 && bound.bytes !== undefined && length > bound.bytes)
        return `${name} has ${length} bytes, more than ${bound.bytes}`;
      if (tag % 8 === 2 && bound.fields !== undefined) {
        const problem = problemIn(cursor, cursor.at + length, bound.fields, name);
        if (problem !== undefined) return problem;
        continue;
      }
    }
    cursor.at += length;
  }
  return undefined;
}

/** Length of the value at the cursor; a varint is skipped and has length 0. Undefined: the value is malformed. */
function lengthOf(wireType: number, cursor: Cursor): number | undefined {
  if (wireType === 0) return Number.isNaN(varint(cursor)) ? undefined : 0;
  if (wireType === 1) return 8;
  if (wireType === 5) return 4;
  if (wireType !== 2) return undefined;
  const length = varint(cursor);
  return Number.isNaN(length) ? undefined : length;
}

/** NaN: longer than ten bytes, or truncated. Exact up to 2^53, which is more than any valid length or tag. */
function varint(cursor: Cursor): number {
  let [value, factor] = [0, 1];
  for (let i = 0; i < VARINT_BYTES; i++, factor *= 128) {
    const byte = cursor.bytes[cursor.at++];
    if (byte === undefined) return Number.NaN;
    value += (byte & 127) * factor;
    if (byte < 128) return value;
  }
  return Number.NaN;
}
