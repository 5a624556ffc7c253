/** Errors of maps, programs and pins, as codes with data. */
import { getSystemErrorName } from "node:util";
import { MeshError } from "@isthmus/model";
import { Errno } from "./kernel-constants.js";

export type DatapathErrorData =
  | { readonly code: "MAP_FULL"; readonly map: string; readonly maxEntries: number }
  | { readonly code: "MAP_LAYOUT"; readonly map: string; readonly want: string; readonly have: string }
  | { readonly code: "MAP_IO"; readonly map: string; readonly errno: string }
  | { readonly code: "PROGRAM_LOAD"; readonly object: string; readonly errno: string; readonly log: string }
  | { readonly code: "PROGRAM_ATTACH"; readonly program: string; readonly errno: string }
  | { readonly code: "DATAPATH_LOCKED"; readonly path: string }
  | { readonly code: "DATAPATH_CLOSED" }
  | { readonly code: "BPFFS"; readonly path: string }
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
