/** The programs of device_test that count frames, one for each direction. */
import type { DeviceProgram } from "../attach/device-mechanism.js";
import type { LoadedProgram } from "../programs.js";

const DIRECTIONS = { frame_in: "ingress", frame_out: "egress" } as const;

export function devicePrograms(programs: readonly LoadedProgram[]): readonly DeviceProgram[] {
  return Object.entries(DIRECTIONS).map(([name, direction]) => {
    const program = programs.find((other) => other.name === name);
    if (program === undefined) throw new Error(`Cannot find program "${name}"`);
    return { ...program, direction };
  });
}
