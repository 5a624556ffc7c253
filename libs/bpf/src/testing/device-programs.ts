/** The programs of device_test, which count frames in both directions. */
import type { DeviceProgram } from "../attach/device-mechanism.js";
import { type LoadedObject, native } from "../native.js";

export function devicePrograms({ programs }: LoadedObject): readonly DeviceProgram[] {
  return (["ingress", "egress"] as const).map((direction) => {
    const name = direction === "ingress" ? "frame_in" : "frame_out";
    const program = programs[name];
    if (program === undefined) throw new Error(`Cannot find program "${name}"`);
    return { name, fd: program.fd, info: native().programInfo(program.fd), direction };
  });
}
