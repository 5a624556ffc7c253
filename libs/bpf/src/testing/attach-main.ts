/**
 * Attaches and detaches the programs of device_test without end, until it is killed:
 * `node attach-main.js PIN_FOLDER NETNS IFINDEX MECHANISM METRICS_PIN`.
 */
import { openDeviceLinks } from "../attach/device-links.js";
import { native } from "../native.js";
import { devicePrograms } from "./device-programs.js";
import { OBJECTS } from "./objects.js";

const [pinFolder = "", netns = "", ifindex, mechanism, metrics = ""] = process.argv.slice(2);
const links = openDeviceLinks({ pinFolder, netns, mechanism: mechanism === "tcx" ? "tcx" : "clsact" });
const reuse = { mesh_metrics_v1: native().openPin(metrics) };
process.send?.("go");
for (let round = 0; ; round++) {
  const object = native().loadObject(`${OBJECTS}/device_test.bpf.o`, { reuse });
  await links.attach(Number(ifindex), devicePrograms(object));
  if (round % 3 === 2) await links.retain(new Set());
  for (const { fd } of Object.values(object.programs)) fd.close();
  for (const map of Object.values(object.maps)) map.close();
}
