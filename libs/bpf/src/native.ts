/**
 * The addon (native/*.c) as TypeScript sees it: a table of system calls on bytes. It checks sizes and decides nothing.
 *
 * Every function throws (or its promise rejects with) an Error whose `code` is the name of the errno, and whose
 * `detail` has what libbpf or the verifier said, where they said something.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** A file descriptor: a map, a program, a link, a directory. Closed by the garbage collector at the latest. */
export interface Fd {
  readonly fd: number;
  close(): void;
}

export interface MapInfo {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
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
  /** Instructions that the verifier walked through. */
  readonly verifiedInstructions: number;
}

export interface LinkInfo {
  readonly id: number;
  readonly type: number;
  readonly programId: number;
  readonly attachType: number;
  /** 0n when the cgroup is gone, which detached the link. */
  readonly cgroupId: bigint;
}

/** An array map in memory. Offsets are bytes from its start; entries are `stride` apart. */
export interface Mapping {
  readonly stride: number;
  read(offset: number, length: number): Uint8Array;
  /** Plain stores. */
  write(offset: number, bytes: Uint8Array): void;
  /** One release store. */
  store32(offset: number, value: number): void;
  /** One release store. */
  store64(offset: number, value: bigint): void;
  /** Plain stores: `bytes` in as many equal parts as there are entries, each at `offset` of its entry. */
  writeEach(indexes: Uint32Array, bytes: Uint8Array, offset: number): void;
  /** One release store each, in order, at `offsets[i]` of entry `indexes[i]`. */
  store32Each(indexes: Uint32Array, offsets: Uint32Array, values: Uint32Array): void;
  /** The same of 64 bits. */
  store64Each(indexes: Uint32Array, offsets: Uint32Array, values: BigUint64Array): void;
  close(): void;
}

/** A consumer of a ring buffer. */
export interface Ring {
  /** At most `most` bytes of records: u32 length, u32 0, the record padded to 8; at least one if there is any. */
  drain(most: number): Uint8Array;
  /** Calls back whenever there is something to drain. Keeps the process alive until `close()`. */
  listen(callback: () => void): void;
  close(): void;
}

/** Receives rtnetlink notifications of the network namespace that the process was in when it was opened. */
export interface RouteSocket {
  /** The messages of one datagram; empty when none waits. Throws ENOBUFS, once, when some were lost. */
  receive(): Uint8Array;
  /** Calls back while there is something to receive. Keeps the process alive until `close()`. */
  listen(callback: () => void): void;
  /** While it rests it does not call back; what comes meanwhile waits. */
  rest(rests: boolean): void;
  close(): void;
}

export interface LoadOptions {
  /** Read-only variables, each as a whole. */
  readonly rodata?: Readonly<Record<string, Uint8Array>>;
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Maps that exist already. */
  readonly reuse?: Readonly<Record<string, Fd>>;
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
  /** Mean of one run. */
  readonly durationNs: number;
  readonly data: Uint8Array;
}

export interface Native {
  loadObject(path: string, options: LoadOptions): LoadedObject;
  programInfo(program: Fd): ProgramInfo;
  probeHelper(programType: number, helper: number): boolean;

  mapInfo(map: Fd): MapInfo;
  mapCreate(spec: Omit<MapInfo, "id"> & { readonly inner?: Fd }): Fd;
  mapById(id: number): Fd;
  mapLookup(map: Fd, key: Uint8Array): Uint8Array | undefined;
  mapUpdate(map: Fd, key: Uint8Array, value: Uint8Array, flags: number): void;
  /** False when it was not there. */
  mapDelete(map: Fd, key: Uint8Array): boolean;
  /** 0 or errno of each entry. */
  mapUpdateEach(map: Fd, keys: Uint8Array, values: Uint8Array, flags: number): Int32Array;
  mapDeleteEach(map: Fd, keys: Uint8Array): Int32Array;
  /** One system call; the number of entries written. */
  mapUpdateBatch(map: Fd, keys: Uint8Array, values: Uint8Array): number;
  mapDump(map: Fd, cursor: Uint8Array | undefined, most: number): MapDump;
  mapMapping(map: Fd): Mapping;
  openRing(map: Fd): Ring;

  pin(fd: Fd, path: string): void;
  openPin(path: string): Fd;
  linkCreate(program: Fd, target: Fd, attachType: number): Fd;
  linkUpdate(link: Fd, program: Fd): void;
  linkDetach(link: Fd): void;
  linkInfo(link: Fd): LinkInfo;

  /** On a worker thread: for maps of maps, whose updates end after every program that ran when they began. */
  mapUpdateSlow(map: Fd, key: Uint8Array, value: Uint8Array): Promise<void>;
  /** On a worker thread: one message of rtnetlink that asks for an acknowledgement; rejects with what the kernel says. */
  routeRequest(message: Uint8Array): Promise<void>;
  /** On a worker thread. */
  testRun(program: Fd, packet: Uint8Array, repeat: number): Promise<TestRun>;

  /** Holds until closed or the process ends; EAGAIN when another one has it. */
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

/** The addon, loaded at the first call: what only encodes needs no libbpf. */
export function native(): Native {
  loaded ??= createRequire(import.meta.url)(ADDON) as Native;
  return loaded;
}
