/** Errors of maps, programs and pins, as codes with data. */
import { getSystemErrorName } from "node:util";
import { MeshError } from "@isthmus/model";
import type { MapFullErrorData } from "@isthmus/reconcile";
import { Errno } from "./kernel-constants.js";

/** Codes of this package's errors with their data; docs/reference/errors.md is made of them. */
export type DatapathErrorData =
  | MapFullErrorData
  /**
   * A pinned map has another layout than this version needs, and its content cannot be taken over, so the agent does not start. Fix:
   * if an agent of another version still runs on the node, stop it; otherwise remove the pin that the sentence names and start again.
   */
  | { readonly code: "MAP_LAYOUT"; readonly map: string; readonly want: string; readonly have: string }
  /**
   * The kernel refused to read or write a map; the sentence ends with its reason. Fix: EPERM: run the agent as root; ENOMEM: the
   * node lacks memory; otherwise see the kernel's log (`dmesg`). The agent retries by itself.
   */
  | { readonly code: "MAP_IO"; readonly map: string; readonly errno: string }
  /**
   * The kernel refused a BPF program; the sentence has what the verifier said. Fix: check that the kernel is at least 6.1 with
   * BTF, and that the agent runs as root. A refusal by the verifier is worth an issue with the kernel's version.
   */
  | { readonly code: "PROGRAM_LOAD"; readonly object: string; readonly errno: string; readonly log: string }
  /**
   * A program cannot be attached to a cgroup, so the pods in it have no Services, or to a network device. Fix: EPERM: run the agent
   * as root; ENOENT, ENODEV: the cgroup or the device is gone, which is harmless; otherwise see what is attached there:
   * `bpftool cgroup tree`, `bpftool net`.
   */
  | { readonly code: "PROGRAM_ATTACH"; readonly program: string; readonly errno: string }
  /** Another agent on this node holds the maps. Fix: stop it first; `pgrep -af node-agent` on the node finds it. */
  | { readonly code: "DATAPATH_LOCKED"; readonly path: string }
  /** The folder of the pins is in no BPF file system. Fix: mount one there: `mount -t bpf bpf DIR`; or give another --bpffs. */
  | { readonly code: "BPFFS"; readonly path: string }
  /**
   * A folder is no cgroup2 folder. Fix: give the node's cgroup2 mount with --cgroup: `findmnt -t cgroup2`, beside cgroup v1 it is
   * often /sys/fs/cgroup/unified.
   */
  | { readonly code: "CGROUP"; readonly path: string };

export type DatapathError = MeshError<DatapathErrorData>;

/** The name of the errno of an addon's error or a `NETLINK` error; "UNKNOWN" for any other error. */
export function errnoOf(thrown: unknown): string {
  if (thrown instanceof MeshError && "errno" in thrown.data) return String(thrown.data.errno);
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return typeof code === "string" ? code : "UNKNOWN";
}

/** The output of libbpf or the verifier; "" when there is none. */
export function detailOf(thrown: unknown): string {
  const detail = thrown instanceof Error && "detail" in thrown ? thrown.detail : undefined;
  return typeof detail === "string" ? detail : "";
}

/** `action` is, for example, `add an entry to`. E2BIG and ENOSPC mean that the map is full: `MAP_FULL`. */
export function mapError(map: string, maxEntries: number, errno: number, action: string): DatapathError {
  if (errno === Errno.E2BIG || errno === Errno.ENOSPC) return mapFull(map, maxEntries, action);
  const name = getSystemErrorName(-errno);
  return new MeshError({ code: "MAP_IO", map, errno: name }, `Cannot ${action} map "${map}": ${name}`);
}

/** `action` as for `mapError`. */
export function mapFull(map: string, maxEntries: number, action: string): DatapathError {
  return new MeshError(
    { code: "MAP_FULL", map, maxEntries },
    `Cannot ${action} map "${map}": all ${maxEntries} entries are in use`,
  );
}

/** `target` is, for example, `cgroup "/sys/fs/cgroup/kubepods"`. */
export function attachError(program: string, target: string, cause: unknown): DatapathError {
  const errno = errnoOf(cause);
  return new MeshError(
    { code: "PROGRAM_ATTACH", program, errno },
    `Cannot attach program "${program}" to ${target}: ${errno}`,
    { cause },
  );
}
