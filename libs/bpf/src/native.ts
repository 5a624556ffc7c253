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
  readonly fd: number;
  close(): void;
}

/** What a map is created with. Sizes in bytes. */
export interface MapShape {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

/** A map as an object declares it. */
export interface MapSpec extends MapShape {
  /** The maps in it, for a map of maps. */
  readonly inner?: MapSpec;
}

export interface MapInfo extends MapShape {
  readonly id: number;
  /** At most 15 characters, as the kernel keeps it. */
  readonly name: string;
}

export interface ProgramInfo {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** Instructions of the loaded program. */
  readonly instructions: number;
  readonly jitedBytes: number;
  /** Instructions that the verifier processed. */
  readonly verifiedInstructions: number;
}

export interface LinkInfo {
  readonly id: number;
  readonly type: number;
  readonly programId: number;
  readonly attachType: number;
  /** 0n when the link is to no cgroup, or the cgroup was removed, which detached the link. */
  readonly cgroupId: bigint;
  /** 0 when the link is to no network device, or the device was deleted, which detached the link. */
  readonly ifindex: number;
}

/** An array map that is mapped into memory. Offsets are bytes from its start; entries are `stride` bytes apart. */
export interface Mapping {
  readonly stride: number;
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
  close(): void;
}

export interface LoadOptions {
  /** Read-only variables, each as a whole. */
  readonly rodata?: Readonly<Record<string, Uint8Array>>;
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Existing maps to use instead of new ones, by name. */
  readonly reuse?: Readonly<Record<string, Fd>>;
  /** Loads no program. */
  readonly mapsOnly?: boolean;
}

export interface LoadedObject {
  readonly maps: Readonly<Record<string, Fd>>;
  readonly programs: Readonly<Record<string, { readonly fd: Fd; readonly attachType: number }>>;
}

export interface MapDump {
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
  readonly count: number;
  readonly cursor: Uint8Array;
  readonly end: boolean;
}

export interface TestRun {
  readonly retval: number;
  /** Mean duration of one run. */
  readonly durationNs: number;
  /** The packet after the last run. */
  readonly data: Uint8Array;
  /** The context after the last run; empty when none was given. */
  readonly context: Uint8Array;
}

export interface Native {
  loadObject(path: string, options: LoadOptions): LoadedObject;
  /** The maps that an object declares, by name, as libbpf reads them. Loads nothing. */
  objectMaps(path: string): Readonly<Record<string, MapSpec>>;
  programInfo(program: Fd): ProgramInfo;
  probeHelper(programType: number, helper: number): boolean;

  mapInfo(map: Fd): MapInfo;
  mapCreate(spec: MapShape & { readonly name: string; readonly inner?: Fd }): Fd;
  mapById(id: number): Fd;
  mapLookup(map: Fd, key: Uint8Array): Uint8Array | undefined;
  mapUpdate(map: Fd, key: Uint8Array, value: Uint8Array, flags: number): void;
  /** Returns false when the key did not exist. */
  mapDelete(map: Fd, key: Uint8Array): boolean;
  /** 0 or errno of each entry. */
  mapUpdateEach(map: Fd, keys: Uint8Array, values: Uint8Array, flags: number): Int32Array;
  mapDeleteEach(map: Fd, keys: Uint8Array): Int32Array;
  /** Makes one system call; returns the number of entries written. */
  mapUpdateBatch(map: Fd, keys: Uint8Array, values: Uint8Array): number;
  mapDump(map: Fd, cursor: Uint8Array | undefined, most: number): MapDump;
  mapMapping(map: Fd): Mapping;
  /** `maxQueuedBytes`: records beyond it are dropped and counted. */
  openRing(map: Fd, maxQueuedBytes: number): Ring;

  pin(fd: Fd, path: string): void;
  openPin(path: string): Fd;
  linkCreate(program: Fd, target: Fd, attachType: number): Fd;
  linkUpdate(link: Fd, program: Fd): void;
  linkDetach(link: Fd): void;
  linkInfo(link: Fd): LinkInfo;
  /**
   * On a worker thread: attaches to a network device (TCX). `netns`: path of the network namespace of the device, by
   * default that of the process.
   */
  deviceLinkCreate(program: Fd, ifindex: number, attachType: number, netns?: string): Promise<Fd>;
  deviceLinkUpdate(link: Fd, program: Fd): Promise<void>;
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
  openDirectory(path: string): Fd;
  mountBpffs(path: string): void;
  netnsCookie(): bigint;
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
