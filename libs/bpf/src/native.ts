/**
 * Types of the addon (native/*.c), which exposes system calls on bytes. It checks sizes and has no policy.
 *
 * Every function throws (or its promise rejects with) an Error whose `code` is the name of the errno. Its `detail` is
 * the output of libbpf or the verifier, if there is any.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** A file descriptor: a map, a program, a link, a directory. Closed by the garbage collector at the latest. */
export interface Fd {
  /** The number; -1 after `close()`. */
  readonly fd: number;
  /** May be called again. Any other use of a closed handle throws EBADF. */
  close(): void;
}

/** What a map is created with. Sizes in bytes. */
export interface MapShape {
  /** BPF_MAP_TYPE_…, as in `MapType`. */
  readonly type: number;
  /** Bytes of a key; 4 for an array. */
  readonly keySize: number;
  /** Bytes of a value, for a per-CPU map of one CPU's; not padded. */
  readonly valueSize: number;
  /** Number of entries; for a ring buffer its bytes. */
  readonly maxEntries: number;
  /** BPF_F_…, as in `MapFlag`. */
  readonly flags: number;
}

/** A map as an object declares it. */
export interface MapSpec extends MapShape {
  /** The maps in it, for a map of maps. */
  readonly inner?: MapSpec;
}

export interface MapInfo extends MapShape {
  /** The kernel's id of the map, for `mapById`. */
  readonly id: number;
  /** At most 15 characters, as the kernel keeps it. */
  readonly name: string;
}

export interface ProgramInfo {
  /** The kernel's id of the program; links and filters name it. */
  readonly id: number;
  /** At most 15 characters, as the kernel keeps it. */
  readonly name: string;
  /** BPF_PROG_TYPE_… */
  readonly type: number;
  /** Instructions of the loaded program. */
  readonly instructions: number;
  /** Bytes of machine code; 0 when it is interpreted. */
  readonly jitedBytes: number;
  /** Instructions that the verifier processed. */
  readonly verifiedInstructions: number;
}

export interface LinkInfo {
  /** The kernel's id of the link. */
  readonly id: number;
  /** BPF_LINK_TYPE_… */
  readonly type: number;
  /** The id of the program that it runs, as in `ProgramInfo`. */
  readonly programId: number;
  /** BPF_CGROUP_… or BPF_TCX_…; 0 for a link of another type. */
  readonly attachType: number;
  /** 0n when the link is to no cgroup, or the cgroup was removed, which detached the link. */
  readonly cgroupId: bigint;
  /** 0 when the link is to no network device, or the device was deleted, which detached the link. */
  readonly ifindex: number;
}

/** An array map that is mapped into memory. Offsets are bytes from its start; entries are `stride` bytes apart. */
export interface Mapping {
  /** Bytes of a value, rounded up to a multiple of 8. */
  readonly stride: number;
  /** Returns a copy. */
  read(offset: number, length: number): Uint8Array;
  /** Plain stores. */
  write(offset: number, bytes: Uint8Array): void;
  /** One release store. */
  store32(offset: number, value: number): void;
  /** One release store. */
  store64(offset: number, value: bigint): void;
  /**
   * Plain stores: splits `bytes` into as many equal parts as there are indexes and writes each at `offset` of its
   * entry.
   */
  writeEach(indexes: Uint32Array, bytes: Uint8Array, offset: number): void;
  /** One release store each, in order, at `offsets[i]` of entry `indexes[i]`. */
  store32Each(indexes: Uint32Array, offsets: Uint32Array, values: Uint32Array): void;
  /** `store32Each` for 64-bit words. */
  store64Each(indexes: Uint32Array, offsets: Uint32Array, values: BigUint64Array): void;
  /** Unmaps the array; the BPF map stays. Later calls of the others throw EBADF. */
  close(): void;
}

/** Records of a ring buffer. */
export interface RingBatch {
  /**
   * At most 64 KiB, or one longer record: each as u32 length, u32 0 and the data padded to 8. `eachRecord` splits them.
   */
  readonly records: Uint8Array;
  /** Number of records that were dropped since the previous `take()` because the queue was full. */
  readonly lost: number;
}

/** A consumer of a ring buffer: a thread of its own copies records into a queue in this process. */
export interface Ring {
  /** Removes the oldest records from the queue; `records` is empty when it has none. */
  take(): RingBatch;
  /** Calls back while records are queued. Keeps the process alive until `close()`. */
  listen(callback: () => void): void;
  /** Ends the thread and drops the queue. */
  close(): void;
}

/** Receives rtnetlink notifications of the network namespace that the process was in when it was opened. */
export interface RouteSocket {
  /** The messages of one datagram; empty when there is none. Throws ENOBUFS, once, when messages were lost. */
  receive(): Uint8Array;
  /** Calls back while there are datagrams. Keeps the process alive until `close()`. */
  listen(callback: () => void): void;
  /** Pauses (true) or resumes callbacks; datagrams that arrive during a pause stay queued. */
  rest(rests: boolean): void;
  /** Ends the callbacks and drops what is queued. */
  close(): void;
}

export interface LoadOptions {
  /** Read-only variables, each as a whole. */
  readonly rodata?: Readonly<Record<string, Uint8Array>>;
  /** Entries of maps by name, instead of those that the object declares. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Existing maps to use instead of new ones, by name. */
  readonly reuse?: Readonly<Record<string, Fd>>;
  /** Names of the programs to load; all by default. */
  readonly programs?: readonly string[];
}

export interface LoadedObject {
  /** By name, also the reused ones: each is a handle of its own, which the caller closes. */
  readonly maps: Readonly<Record<string, Fd>>;
  /** By name. The caller closes each `fd`; `attachType` is 0 when the section names none. */
  readonly programs: Readonly<Record<string, { readonly fd: Fd; readonly attachType: number }>>;
}

export interface MapDump {
  /** Has room for as many keys as were asked for; the first `count` are set. */
  readonly keys: Uint8Array;
  /** As `keys`, in the same order. */
  readonly values: Uint8Array;
  /** Number of entries; may be below what was asked for also when others follow. */
  readonly count: number;
  /** 64 opaque bytes, for the next call. */
  readonly cursor: Uint8Array;
  /** No entries follow. */
  readonly end: boolean;
}

export interface TestRun {
  /** What the last run returned. */
  readonly retval: number;
  /** Mean duration of one run. */
  readonly durationNs: number;
  /** The packet after the last run. */
  readonly data: Uint8Array;
  /** The context after the last run; empty when none was given. */
  readonly context: Uint8Array;
}

export interface Native {
  /** Creates its maps and loads its programs. The error's `detail` is the verifier's log. */
  loadObject(path: string, options: LoadOptions): LoadedObject;
  /** The maps that an object declares, by name, as libbpf reads them. Loads nothing. */
  objectMaps(path: string): Readonly<Record<string, MapSpec>>;
  /** Asks the kernel; `program` stays the caller's. */
  programInfo(program: Fd): ProgramInfo;
  /** True when this kernel has the helper (BPF_FUNC_…) for programs of this type (BPF_PROG_TYPE_…). */
  probeHelper(programType: number, helper: number): boolean;

  /** Asks the kernel; `map` stays the caller's. */
  mapInfo(map: Fd): MapInfo;
  /** `name`: at most 15 characters. `inner`: for a map of maps, a map of the shape that those in it have. */
  mapCreate(spec: MapShape & { readonly name: string; readonly inner?: Fd }): Fd;
  /** A handle of its own, which the caller closes. ENOENT when no map has the id. */
  mapById(id: number): Fd;
  /** A copy; undefined without the key. For a per-CPU map the values of all CPUs, each padded to 8 bytes. */
  mapLookup(map: Fd, key: Uint8Array): Uint8Array | undefined;
  /** `flags`: of `UpdateFlag`. EEXIST or ENOENT when they forbid it, E2BIG when the map is full. */
  mapUpdate(map: Fd, key: Uint8Array, value: Uint8Array, flags: number): void;
  /** Returns false when the key did not exist. */
  mapDelete(map: Fd, key: Uint8Array): boolean;
  /** 0 or errno of each entry. */
  mapUpdateEach(map: Fd, keys: Uint8Array, values: Uint8Array, flags: number): Int32Array;
  /** 0 or errno of each key: ENOENT when it did not exist. */
  mapDeleteEach(map: Fd, keys: Uint8Array): Int32Array;
  /**
   * Deletes entries of a hash (not per CPU) that have these values. 0 or errno of each: ENOENT when the key did not exist,
   * ESTALE when it has another value, which stays. A value that another writer puts there in the middle of the call is
   * absent for about a microsecond.
   */
  mapDeleteUnchanged(map: Fd, keys: Uint8Array, values: Uint8Array): Int32Array;
  /** Makes one system call; returns the number of entries written. */
  mapUpdateBatch(map: Fd, keys: Uint8Array, values: Uint8Array): number;
  /** At most `most` entries in one system call; `cursor` of the call before, undefined = from the start. */
  mapDump(map: Fd, cursor: Uint8Array | undefined, most: number): MapDump;
  /** The mapping is independent of `map`, which may be closed. EINVAL unless it is an array with BPF_F_MMAPABLE. */
  mapMapping(map: Fd): Mapping;
  /** `maxQueuedBytes`: records beyond it are dropped and counted. */
  openRing(map: Fd, maxQueuedBytes: number): Ring;

  /** Pins a map, a program or a link. EEXIST when the path exists. */
  pin(fd: Fd, path: string): void;
  /** A handle of its own, which the caller closes. ENOENT when there is no pin. */
  openPin(path: string): Fd;
  /** Attaches to a cgroup: `target` is its directory. Without a pin it is detached when its last handle is closed. */
  linkCreate(program: Fd, target: Fd, attachType: number): Fd;
  /** Puts another program in its place, in one step: every later run is of the new one. */
  linkUpdate(link: Fd, program: Fd): void;
  /** Detaches at once, although handles and pins of the link remain. */
  linkDetach(link: Fd): void;
  /** Asks the kernel; `link` stays the caller's. */
  linkInfo(link: Fd): LinkInfo;
  /**
   * On a worker thread: attaches to a network device (TCX). `netns`: path of the network namespace of the device, by
   * default that of the process.
   */
  deviceLinkCreate(program: Fd, ifindex: number, attachType: number, netns?: string): Promise<Fd>;
  /** On a worker thread: as `linkUpdate`. */
  deviceLinkUpdate(link: Fd, program: Fd): Promise<void>;
  /** On a worker thread: as `linkDetach`. */
  deviceLinkDetach(link: Fd): Promise<void>;
  /** True when this kernel has links to network devices (Linux 6.6). */
  probeTcx(): boolean;

  /** On a worker thread: for maps of maps, whose updates wait for all programs that run when they begin. */
  mapUpdateSlow(map: Fd, key: Uint8Array, value: Uint8Array): Promise<void>;
  /** On a worker thread: a socket of rtnetlink, in the namespace of this path or else in that of the process. */
  openNetlink(netns: string | undefined): Promise<Fd>;
  /**
   * On a worker thread: sends `request` unless it is empty, and resolves with the datagrams that are queued, each at a
   * multiple of 4: at least one, until there are `most` bytes. Rejects with ETIMEDOUT when none comes for 10 s.
   */
  netlinkExchange(socket: Fd, request: Uint8Array, most: number): Promise<Uint8Array>;
  /**
   * On a worker thread: runs the program `repeat` times. `context`: bytes of its context struct, such as __sk_buff.
   * `netns`: path of the network namespace with the devices that the context names, by default that of the process.
   */
  testRun(program: Fd, packet: Uint8Array, repeat: number, context?: Uint8Array, netns?: string): Promise<TestRun>;

  /** The lock is held until the handle is closed or the process ends; EAGAIN when it is held already. */
  lock(path: string): Fd;
  /** A handle of a directory: a cgroup for `linkCreate`. The caller closes it. */
  openDirectory(path: string): Fd;
  /** Mounts a BPF file system on this directory, with mode 0700. */
  mountBpffs(path: string): void;
  /** The kernel's number of a network namespace. `netns`: its path, by default that of the process. */
  netnsCookie(netns?: string): Promise<bigint>;
  /** `groups`: bit n is rtnetlink group n + 1. */
  openRouteSocket(groups: number): RouteSocket;
}

/** Where `npm run build:native` puts the addon. */
export const ADDON = fileURLToPath(new URL("../native/build/Release/bpf.node", import.meta.url));

let loaded: Native | undefined;

/** The addon, loaded by the first call, so that processes that only use codecs need no libbpf. */
export function native(): Native {
  loaded ??= createRequire(import.meta.url)(ADDON) as Native;
  return loaded;
}
