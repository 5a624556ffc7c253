#!/usr/bin/env node
/** Prints the path of a Node 24, the other supported release line. Fetched once from npm and kept in the cache. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { runStep } from "./step.mjs";

const VERSION = "24.21.0";
const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
const folder = join(cache, "isthmus", `node-${VERSION}-${process.arch}`);
const pkg = `node-linux-${process.arch}`;
const node = join(folder, "node_modules", pkg, "bin/node");

if (!existsSync(node)) {
  const install = ["npm", "install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", `${pkg}@${VERSION}`];
  await runStep(`Node ${VERSION} from npm`, install);
}
console.log(node);
