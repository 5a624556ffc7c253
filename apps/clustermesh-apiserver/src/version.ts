/** The version of this program, from its package.json. */
import { packageVersion } from "@isthmus/runtime";

export const VERSION = packageVersion(new URL("../package.json", import.meta.url));
