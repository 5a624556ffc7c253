/** Filters: BPF programs on the clsact hooks of a network device, for kernels without TCX links. Requests of rtnetlink. */
import {
  joinBytes,
  nestedAttribute,
  parseAttributes,
  textAttribute,
  textOf,
  u32Attribute,
  u32Of,
} from "./attributes.js";
import { NetlinkFlag, type NetlinkMessage, type NetlinkRequest } from "./messages.js";

/** A hook of a device: `ingress` sees what it receives, `egress` what is sent through it. */
export type Direction = "ingress" | "egress";

/** A BPF program on a hook. */
export interface Filter {
  /** Index of the device. */
  readonly ifindex: number;
  /** The hook that it is on. */
  readonly direction: Direction;
  /** Filters of a hook run in rising order. */
  readonly priority: number;
  /** Number among the filters of one priority. */
  readonly handle: number;
  /** As it was given when the filter was made. */
  readonly name: string;
  /** The kernel's id of the program that it runs. */
  readonly programId: number;
}

const QdiscMessage = { New: 36, Delete: 37 } as const;
const FilterMessage = { New: 44, Delete: 45, Get: 46 } as const;
/** Bytes of struct tcmsg. */
const HEADER = 20;
/** TC_H_CLSACT; its minor numbers are TC_H_MIN_INGRESS and TC_H_MIN_EGRESS. */
const CLSACT = 0xffff_fff1;
const HOOKS: Readonly<Record<Direction, number>> = { ingress: 0xffff_fff2, egress: 0xffff_fff3 };
/** ETH_P_ALL, in network order. */
const ALL_PROTOCOLS = 0x0300;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const Bpf = { Fd: 6, Name: 7, Flags: 8, Id: 11 } as const;
/** TCA_BPF_FLAG_ACT_DIRECT: what the program returns is the action. */
const DIRECT_ACTION = 1;
const CHOSEN_BY_KERNEL = 0;

/** Makes the hooks of a device: EEXIST when it has them. */
export function createClsact(ifindex: number): NetlinkRequest {
  return clsact("add hooks to", ifindex, QdiscMessage.New, NetlinkFlag.Create | NetlinkFlag.Exclusive);
}

/**
 * Leaves the hooks of a device as they are: EINVAL when they are of the older qdisc `ingress`, where a filter for egress would run
 * on what is received.
 */
export function requireClsact(ifindex: number): NetlinkRequest {
  return clsact("use the hooks of", ifindex, QdiscMessage.New, NetlinkFlag.Create);
}

/** Removes the hooks with all filters on them, also those of other programs. */
export function deleteClsact(ifindex: number): NetlinkRequest {
  return clsact("remove the hooks of", ifindex, QdiscMessage.Delete, 0);
}

function clsact(action: string, ifindex: number, type: number, flags: number): NetlinkRequest {
  const head = header({ ifindex, handle: 0xffff_0000, parent: CLSACT, info: 0 });
  return { action, object: `device ${ifindex}`, type, flags, body: joinBytes(head, textAttribute(TCA_KIND, "clsact")) };
}

/**
 * Adds a program before those on its hook: the lowest priority runs first, and of one priority the newest. EINVAL when
 * filters that are no BPF programs have this priority. `fd`: of the program.
 */
export function createFilter(filter: Pick<Filter, "ifindex" | "direction" | "name">, fd: number): NetlinkRequest {
  const flags = NetlinkFlag.Create | NetlinkFlag.Exclusive;
  return change("add filter", { ...filter, priority: 1, handle: CHOSEN_BY_KERNEL }, FilterMessage.New, flags, fd);
}

/** Puts another program in the place of a filter's, in one step: every packet runs the old or the new one. */
export function replaceFilter(filter: Omit<Filter, "programId">, fd: number): NetlinkRequest {
  return change("replace filter", filter, FilterMessage.New, 0, fd);
}

/** ENOENT when the hook has no such filter; the hooks stay. */
export function deleteFilter(filter: Omit<Filter, "programId">): NetlinkRequest {
  return change("delete filter", filter, FilterMessage.Delete, 0);
}

function change(
  action: string,
  filter: Omit<Filter, "programId">,
  type: number,
  flags: number,
  fd?: number,
): NetlinkRequest {
  const { ifindex, direction, priority, handle, name } = filter;
  const info = ((priority << 16) | ALL_PROTOCOLS) >>> 0;
  const head = header({ ifindex, handle, parent: HOOKS[direction], info });
  const program = [
    u32Attribute(Bpf.Fd, fd ?? 0),
    textAttribute(Bpf.Name, name),
    u32Attribute(Bpf.Flags, DIRECT_ACTION),
  ];
  const options = fd === undefined ? [] : [nestedAttribute(TCA_OPTIONS, ...program)];
  const object = `"${name}" (${direction} of device ${ifindex})`;
  return { action, object, type, flags, body: joinBytes(head, textAttribute(TCA_KIND, "bpf"), ...options) };
}

/** A dump of the filters of one hook; empty when the device has no hooks or does not exist. */
export function listFilters(ifindex: number, direction: Direction): NetlinkRequest {
  const body = header({ ifindex, handle: 0, parent: HOOKS[direction], info: 0 });
  return {
    action: "list",
    object: `filters (${direction} of device ${ifindex})`,
    type: FilterMessage.Get,
    flags: 0,
    body,
  };
}

/**
 * What a message says about filters: a BPF filter; `other` for one of another kind; undefined for a message that is no
 * filter, such as the one that only names a priority.
 */
export function parseFilter({ type, body }: NetlinkMessage): Filter | "other" | undefined {
  const attributes = body.length < HEADER ? undefined : parseAttributes(body, HEADER);
  if (type !== FilterMessage.New || attributes === undefined) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const [handle, parent] = [view.getUint32(8, true), view.getUint32(12, true)];
  if (handle === 0) return undefined;
  const options = parseAttributes(attributes.get(TCA_OPTIONS) ?? new Uint8Array());
  const programId = u32Of(options?.get(Bpf.Id));
  if (textOf(attributes.get(TCA_KIND)) !== "bpf" || programId === undefined) return "other";
  return {
    ifindex: view.getInt32(4, true),
    direction: parent === HOOKS.ingress ? "ingress" : "egress",
    priority: view.getUint32(16, true) >>> 16,
    handle,
    name: textOf(options?.get(Bpf.Name)) ?? "",
    programId,
  };
}

interface Header {
  readonly ifindex: number;
  readonly handle: number;
  readonly parent: number;
  readonly info: number;
}

/** struct tcmsg */
function header({ ifindex, handle, parent, info }: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER);
  const view = new DataView(bytes.buffer);
  view.setInt32(4, ifindex, true);
  view.setUint32(8, handle, true);
  view.setUint32(12, parent, true);
  view.setUint32(16, info, true);
  return bytes;
}
