/** The version of this program: that of its package. */
import { packageVersion } from "@isthmus/runtime";

export const VERSION = packageVersion(new URL("../package.json", import.meta.url));
