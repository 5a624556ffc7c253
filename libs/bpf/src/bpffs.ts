/** Creates and locks the folder of pins in bpffs. */
import { existsSync, mkdirSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "@isthmus/model";
import { errnoOf } from "./errors.js";
import { BPFFS_MAGIC } from "./kernel-constants.js";
import { type Fd, native } from "./native.js";

const MOUNT_POINT = "/sys/fs/bpf";

/** Creates the folder. Mounts bpffs at /sys/fs/bpf first when the folder is below it and bpffs is not mounted. */
export function preparePinFolder(path: string): void {
  if (!inBpffs(path) && `${path}/`.startsWith(`${MOUNT_POINT}/`)) native().mountBpffs(MOUNT_POINT);
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

/** Locks the folder against a second agent until the handle is closed. Throws `DATAPATH_LOCKED`. */
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
