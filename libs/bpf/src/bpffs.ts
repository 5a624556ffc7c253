/** The folder of pins: in bpffs, made and locked here. */
import { existsSync, mkdirSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "@isthmus/model";
import { errnoOf } from "./errors.js";
import { BPFFS_MAGIC } from "./kernel-constants.js";
import { type Fd, native } from "./native.js";

const USUAL = "/sys/fs/bpf";

/** Makes the folder; mounts bpffs at its usual place when the folder shall be there and it is not mounted. */
export function preparePinFolder(path: string): void {
  if (!inBpffs(path) && `${path}/`.startsWith(`${USUAL}/`)) native().mountBpffs(USUAL);
  if (!inBpffs(path)) {
    throw new MeshError(
      { code: "BPFFS", path },
      `Cannot pin maps in "${path}": it is not in a BPF file system; mount one there (mount -t bpf bpf DIR)`,
    );
  }
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

function inBpffs(path: string): boolean {
  let existing = path;
  while (!existsSync(existing)) existing = dirname(existing);
  return statfsSync(existing).type === BPFFS_MAGIC;
}

/** Keeps a second agent out for as long as the handle is open. Throws `DATAPATH_LOCKED`. */
export function lockPinFolder(path: string): Fd {
  try {
    return native().lock(path);
  } catch (cause) {
    if (errnoOf(cause) !== "EAGAIN") throw cause;
    throw new MeshError(
      { code: "DATAPATH_LOCKED", path },
      `Cannot use the maps in "${path}": another agent on this node has them; stop it first`,
      { cause },
    );
  }
}
