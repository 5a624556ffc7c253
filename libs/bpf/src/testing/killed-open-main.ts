/**
 * Opens a datapath and kills itself with SIGKILL before the n-th step that changes the kernel or the pin folder.
 *
 *   node killed-open-main.js OPTIONS N       OPTIONS: DatapathOptions as JSON
 *
 * Exit code 0 when the datapath was open before there were as many steps.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import process from "node:process";
import { type DatapathOptions, openDatapath } from "../datapath.js";
import { native } from "../native.js";

const STEPS = ["mapCreate", "pin", "mapUpdateEach", "mapUpdateSlow", "loadObject", "linkUpdate", "linkCreate"];
const FILE_STEPS = ["renameSync", "rmSync"];

let left = Number(process.argv[3]);

type Functions = Record<string, (...given: never[]) => unknown>;

function killBefore(functions: Functions, name: string): void {
  const original = functions[name];
  if (original === undefined) throw new Error(`Cannot find function "${name}"`);
  functions[name] = (...given) => {
    if (--left === 0) process.kill(process.pid, "SIGKILL");
    return original(...given);
  };
}

for (const name of STEPS) killBefore(native() as unknown as Functions, name);
for (const name of FILE_STEPS) killBefore(fs as unknown as Functions, name);
syncBuiltinESMExports();

const datapath = await openDatapath(JSON.parse(process.argv[2] ?? "") as DatapathOptions);
datapath.close();
