/** Checks the role that a command names: an unknown role is a usage error with the choices. */
import { labError } from "../plan/errors.js";
import { type NamespaceRole, ROLES } from "../supervise/spec.js";
import type { LabArguments } from "./arguments.js";

/** `more`: additional roles that this command takes. Throws `USAGE`. */
export function knownRole({ operands }: Pick<LabArguments, "operands">, more: readonly NamespaceRole[] = []): string {
  const role = operands[0] ?? "";
  if ([...ROLES, ...more].some((known) => known === role)) return role;
  throw labError("USAGE", `Unknown role "${role}": use one of ${ROLES.join(", ")}`);
}
