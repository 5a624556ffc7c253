/** What TCX links and clsact filters have in common. */
import type { MeshError } from "@isthmus/model";
import { attachError } from "../errors.js";
import type { Fd, ProgramInfo } from "../native.js";
import type { Direction } from "../netlink/filters.js";

/** A loaded program, and what it sees of a device: what is received (ingress) or what is sent (egress). */
export interface DeviceProgram {
  /** As in its object; the pin of its link or the name of its filter contains it. */
  readonly name: string;
  /** Stays the caller's, which must not close it before `attach` settles. */
  readonly fd: Fd;
  /** The id tells whether a link or filter runs this program already. */
  readonly info: Pick<ProgramInfo, "id">;
  /** A program that runs in both directions is two of these. */
  readonly direction: Direction;
}

/** A way to attach programs to devices, which it names by their index in one network namespace. */
export interface DeviceMechanism {
  /**
   * Leaves exactly these programs of this folder on the device; a program that runs there already is not changed.
   * Rejects with `PROGRAM_ATTACH`.
   */
  attach(ifindex: number, programs: readonly DeviceProgram[]): Promise<void>;
  /** Detaches from all other devices, and forgets those that were deleted. */
  retain(ifindexes: ReadonlySet<number>): Promise<void>;
}

/** Runs a step that attaches this program; turns its error into `PROGRAM_ATTACH`. */
export async function attaching(
  program: DeviceProgram,
  ifindex: number,
  mechanism: string,
  step: () => Promise<void>,
): Promise<void> {
  try {
    await step();
  } catch (cause) {
    throw attachFailure(program, ifindex, mechanism, cause);
  }
}

/** The error `PROGRAM_ATTACH` of this program. */
export function attachFailure(
  { name, direction }: DeviceProgram,
  ifindex: number,
  mechanism: string,
  cause: unknown,
): MeshError {
  return attachError(name, `device ${ifindex} (${direction}, ${mechanism})`, cause);
}
