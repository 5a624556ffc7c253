/**
 * The files that the agent keeps on disk: its cluster and servers in one, one snapshot per source, and the policies that are in force
 * in place of refused ones.
 *
 * Files are replaced atomically. A snapshot that cannot be read is returned as an error, which the caller logs and
 * counts; the agent starts without it.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ClusterId, type ClusterName, MeshError, parseClusterId, parseClusterName } from "@isthmus/model";
import { Position } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import { inTurns } from "@isthmus/runtime";
import { readIfThere, writeAtomic } from "../files/atomic-file.js";
import { decodeSnapshot, encodeSnapshot, type Snapshot } from "./snapshot.js";

/** `mesh.json`: learned from a Welcome. */
export interface Membership {
  /** Name of the local cluster. */
  readonly cluster: ClusterName;
  /** Real id of the local cluster. */
  readonly clusterId: ClusterId;
  /** `host:port`, from the last Welcome. */
  readonly servers: readonly string[];
}

export interface UnreadableState {
  /** Name of the file, or the path of the folder when that cannot be read. */
  readonly file: string;
  /** `SNAPSHOT`, or `UNKNOWN` with its cause. */
  readonly error: MeshError;
}

export interface StateFiles {
  /** Undefined when there is none, or none that is valid. Rejects when the file cannot be read. */
  membership(): Promise<Membership | undefined>;
  /** Replaces the one before. Rejects with the file system's error. */
  saveMembership(membership: Membership): Promise<void>;
  /** Readable snapshots, and the files that were refused. */
  snapshots(): Promise<{ readonly good: readonly Snapshot[]; readonly refused: readonly UnreadableState[] }>;
  /** `parts`: of `encodeSnapshot`. The file is replaced when all are written. */
  saveSnapshot(clusterId: number, parts: Iterable<Uint8Array>): Promise<void>;
  /** It is no error when there is none. Rejects with the file system's error. */
  deleteSnapshot(clusterId: number): Promise<void>;
  /** Records that `saveKeptPolicies` got; none without a file. An error for a file that cannot be used. */
  keptPolicies(): Promise<readonly HashedRecord[] | UnreadableState>;
  /** Replaces those before. Rejects with the file system's error. */
  saveKeptPolicies(records: readonly HashedRecord[]): Promise<void>;
}

const MEMBERSHIP = "mesh.json";
/** As a snapshot of the local cluster without a position. */
const KEPT_POLICIES = "kept-policies";
const SNAPSHOT = /^source-\d+\.snap$/;

/** Touches no file; the folder is made by the first write. */
export function openStateFiles(folder: string): StateFiles {
  const snapshotPath = (clusterId: number) => join(folder, `source-${clusterId}.snap`);

  /** The snapshot or the error of each file; a folder that cannot be read is one error. */
  async function readSnapshots(): Promise<(Snapshot | UnreadableState)[]> {
    try {
      const names = await readdir(folder);
      return await Promise.all(names.filter((name) => SNAPSHOT.test(name)).map(readSnapshot));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return [];
      return [{ file: folder, error: MeshError.from(thrown) }];
    }
  }

  async function readSnapshot(file: string): Promise<Snapshot | UnreadableState> {
    try {
      const bytes = await readIfThere(join(folder, file));
      return await inTurns(decodeSnapshot(bytes ?? new Uint8Array()));
    } catch (thrown) {
      return { file, error: MeshError.from(thrown, `Cannot read ${file}`) };
    }
  }

  return {
    async membership() {
      const bytes = await readIfThere(join(folder, MEMBERSHIP));
      return bytes === undefined ? undefined : parseMembership(bytes.toString());
    },
    saveMembership: (membership) => writeAtomic(join(folder, MEMBERSHIP), `${JSON.stringify(membership)}\n`),
    async snapshots() {
      const read = await readSnapshots();
      const refused = read.filter((each): each is UnreadableState => "error" in each);
      return { good: read.filter((each): each is Snapshot => "records" in each), refused };
    },
    saveSnapshot: (clusterId, parts) => writeAtomic(snapshotPath(clusterId), parts),
    deleteSnapshot: (clusterId) => rm(snapshotPath(clusterId), { force: true }),
    async keptPolicies() {
      const path = join(folder, KEPT_POLICIES);
      if ((await readIfThere(path).catch(() => new Uint8Array())) === undefined) return [];
      const read = await readSnapshot(KEPT_POLICIES);
      return "records" in read ? read.records : read;
    },
    async saveKeptPolicies(records) {
      const path = join(folder, KEPT_POLICIES);
      if (records.length === 0) await rm(path, { force: true });
      else await writeAtomic(path, encodeSnapshot(0, Position.create(), records));
    },
  };
}

/** Undefined for content that no agent writes: the next Welcome replaces it. */
function parseMembership(text: string): Membership | undefined {
  try {
    const { cluster, clusterId, servers } = JSON.parse(text) as { [Key in keyof Membership]: unknown };
    if (!Array.isArray(servers)) return undefined;
    return {
      cluster: parseClusterName(String(cluster)),
      clusterId: parseClusterId(Number(clusterId)),
      servers: servers.filter((server) => typeof server === "string"),
    };
  } catch {
    return undefined;
  }
}
