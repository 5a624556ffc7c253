/** `node rig/lab/dist/kube-binaries/main.js`: gets the binaries and prints their folder. For `make setup`. */
import { MeshError } from "@isthmus/model";
import { exitCodeOf } from "../plan/errors.js";
import { resolveKubeBinaries } from "./resolve.js";

try {
  const { directory } = await resolveKubeBinaries({ onProgress: (sentence) => console.error(sentence) });
  console.log(directory);
} catch (thrown) {
  const error = MeshError.from(thrown);
  console.error(error.message);
  process.exitCode = exitCodeOf(error);
}
