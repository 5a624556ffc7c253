/**
 * Attaches and detaches the programs of device_test without end, also at once, until it is killed:
 * `node attach-main.js MAP_FOLDER PIN_FOLDER NETNS IFINDEX MECHANISM`.
 */
import { openDeviceLinks } from "../attach/device-links.js";
import { openMapSet } from "../map-set.js";
import { loadPrograms } from "../programs.js";
import { devicePrograms } from "./device-programs.js";
import { OBJECTS } from "./objects.js";

const [mapFolder = "", pinFolder = "", netns = "", ifindex, mechanism] = process.argv.slice(2);
const object = `${OBJECTS}/device_test.bpf.o`;
const maps = openMapSet({ pinFolder: mapFolder, objects: [object] });
const links = openDeviceLinks({ pinFolder, netns, mechanism: mechanism === "tcx" ? "tcx" : "clsact" });
process.send?.("go");
for (let round = 0; ; round++) {
  const programs = loadPrograms(maps, object, {});
  if (round % 2 === 0) await links.attachAtOnce(Number(ifindex), devicePrograms(programs));
  await links.attach(Number(ifindex), devicePrograms(programs));
  if (round % 3 === 2) await links.retain(new Set());
  for (const { fd } of programs) fd.close();
}
