/** Where a lab's programs and maps are pinned: bpffs is the machine's, so every lab and node has a folder of its own in it. */
import type { LabPlan, NodePlan } from "./plan.js";

export const PIN_ROOT = "/sys/fs/bpf/isthmus";

export function pinDirectory(plan: LabPlan, node?: NodePlan): string {
  return [PIN_ROOT, plan.name, node?.name].filter(Boolean).join("/");
}
