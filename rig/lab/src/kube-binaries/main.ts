/**
 * `node rig/lab/dist/kube-binaries/main.js`: gets the binaries and prints their folder. For `make setup`.
 * With the argument `kube-proxy` it gets that one and prints its path. For `make kube-proxy`.
 */
import { MeshError } from "@isthmus/model";
import { exitCodeOf } from "../plan/errors.js";
import { resolveKubeBinaries, resolveKubeProxy } from "./resolve.js";

try {
  const options = { onProgress: (sentence: string) => console.error(sentence) };
  if (process.argv[2] === "kube-proxy") console.log(await resolveKubeProxy(options));
  else console.log((await resolveKubeBinaries(options)).directory);
} catch (thrown) {
  const error = MeshError.from(thrown);
  console.error(error.message);
  process.exitCode = exitCodeOf(error);
}
