/** Builds the plugin's binary for tests when its sources are newer; concurrent test files share one build. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const folder = fileURLToPath(new URL("../../../../cni", import.meta.url));
let built: Promise<string> | undefined;

/** Path of the binary. Rejects with the compiler's error. */
export function buildPlugin(): Promise<string> {
  built ??= promisify(execFile)("flock", [`${folder}/src`, "make", "-s", "-C", folder]).then(
    () => `${folder}/build/isthmus-cni`,
  );
  return built;
}
