/** The folders in which a lab's programs and maps are pinned: labs share the machine's bpffs, so every lab and node has its own. */
import type { LabPlan, NodePlan } from "./plan.js";

export const PIN_ROOT = "/sys/fs/bpf/isthmus";

export function pinDirectory(plan: LabPlan, node?: NodePlan): string {
  return [PIN_ROOT, plan.name, node?.name].filter(Boolean).join("/");
}
