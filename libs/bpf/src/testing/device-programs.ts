/** The programs of device_test that count frames, one for each direction: every run, or once on a device. */
import type { DeviceProgram } from "../attach/device-mechanism.js";
import type { LoadedProgram } from "../programs.js";

const DIRECTIONS = { in: "ingress", out: "egress" } as const;

export function devicePrograms(
  programs: readonly LoadedProgram[],
  counting: "frame" | "once" = "frame",
): readonly DeviceProgram[] {
  return Object.entries(DIRECTIONS).map(([suffix, direction]) => {
    const name = `${counting}_${suffix}`;
    const program = programs.find((other) => other.name === name);
    if (program === undefined) throw new Error(`Cannot find program "${name}"`);
    return { ...program, direction };
  });
}
