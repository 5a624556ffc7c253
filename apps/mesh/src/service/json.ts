/** The stable JSON of a frontend. */
import { formatRescueAfter, fromRescueFields } from "@isthmus/model";
import { Affinity, type FrontendReport } from "@isthmus/proto";
import { frontendStateText } from "@isthmus/records";
import { backendsInUse, frontendText } from "./render.js";

const AFFINITIES: Readonly<Record<number, string>> = {
  [Affinity.AFFINITY_NONE]: "none",
  [Affinity.AFFINITY_LOCAL]: "local",
  [Affinity.AFFINITY_REMOTE]: "remote",
};

/** Fields may be added; changing one needs another `schemaVersion`. */
export function frontendJson(frontend: FrontendReport): object {
  const { service, portName, global, affinity, tiers, notes } = frontend;
  return {
    service,
    frontend: frontendText(frontend),
    portName,
    global,
    affinity: AFFINITIES[affinity] ?? "none",
    rescueAfter: formatRescueAfter(fromRescueFields(frontend)),
    backends: backendsInUse(frontend),
    tiers: tiers.map(({ active, clusters }) => ({ active, clusters })),
    status: frontendStateText(frontend),
    notes,
  };
}
