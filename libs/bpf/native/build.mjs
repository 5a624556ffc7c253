/**
 * Builds the addon with node-gyp into native/build/Release/bpf.node. `npm run -w @isthmus/bpf build:native`.
 *
 * It uses the headers that are installed with the running node (tarball, NodeSource package, libnode-dev), so that no
 * download is needed; otherwise node-gyp downloads them. Node-API is stable: later Node versions can load the result.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const prefixes = [dirname(dirname(process.execPath)), "/usr", "/usr/local"];
const prefix = prefixes.find((path) => existsSync(join(path, "include/node/node_api.h")));
const gyp = createRequire(import.meta.url).resolve("node-gyp/bin/node-gyp.js");
const args = [gyp, "rebuild", "--silent", "-C", here, ...(prefix === undefined ? [] : [`--nodedir=${prefix}`])];
const result = spawnSync(process.execPath, args, { stdio: "inherit" });
if (result.status !== 0) {
  console.error("Cannot build the addon: it needs a C compiler, make, python3 and libbpf-dev >= 1.1");
  if (prefix === undefined) {
    console.error(
      `Node's headers were not found (include/node/node_api.h in ${[...new Set(prefixes)].join(", ")}), so node-gyp tried ` +
        "to download them: use a Node that includes them, such as the official tarball, or install libnode-dev",
    );
  }
}
process.exit(result.status ?? 1);
