/** The operations of a running lab; the server in front of it only decodes and encodes. */
import { MeshError } from "@isthmus/model";
import { identify } from "../host/process.js";
import { importImage } from "../node/images.js";
import { labError } from "../plan/errors.js";
import { allNodes } from "../plan/plan.js";
import { wipeStore } from "../store/mesh-etcd.js";
import type { LabContext } from "./context.js";
import type { ManagedProcess } from "./managed-process.js";
import { type ProcessRow, rowOf, type Selector } from "./process-table.js";

/** "hold": SIGKILL instead of the SIGTERM of "stop", and down until "start" as well. */
export type Action = "stop" | "start" | "kill" | "hold";

export interface LabService {
  rows(): ProcessRow[];
  control(action: Action, selector: Selector): Promise<ProcessRow[]>;
  wipe(selector: Selector): Promise<ProcessRow[]>;
  /** `file`: absolute path. Returns the nodes that imported it. */
  loadImage(file: string, cluster: string | undefined): Promise<string[]>;
}

export function createLabService(context: LabContext): LabService {
  const { processes } = context;
  const self = ownRow();
  const rowsOf = (selector: Selector) => processes.select(selector).map(rowOf);
  return {
    rows: () => [self, ...processes.rows()],
    async control(action, selector) {
      const before = rowsOf(selector);
      await Promise.all(processes.select(selector).map((managed) => apply(action, managed)));
      return action === "kill" ? before : rowsOf(selector);
    },
    async wipe(selector) {
      if (selector.role !== "mesh-etcd")
        throw labError("USAGE", `Cannot wipe "${selector.role}": only mesh-etcd can be wiped`);
      const store = processes.get("mesh-etcd");
      await store.stop();
      await wipeStore(context.paths);
      await store.start();
      return rowsOf(selector);
    },
    async loadImage(file, cluster) {
      const nodes = allNodes(context.plan).filter((node) => cluster === undefined || node.cluster === cluster);
      if (nodes.length === 0) throw labError("NOT_FOUND", `No cluster "${cluster}" in this lab`);
      await Promise.all(nodes.map((node) => importImage(context, node, file)));
      return nodes.map(({ name }) => name);
    },
  };
}

async function apply(action: Action, managed: ManagedProcess): Promise<void> {
  if (action === "start") return await managed.start();
  if (action === "hold") managed.kill();
  if (action === "hold" || action === "stop") return await managed.stop();
  if (managed.kill()) return;
  throw new MeshError({ code: "NOT_FOUND" }, `Cannot kill "${managed.id}": it does not run`);
}

/** The supervisor's own row. */
function ownRow(): ProcessRow {
  const startTicks = identify(process.pid)?.startTicks ?? 0;
  const fixed = {
    role: "lab",
    cluster: "",
    node: "",
    status: "Running",
    restarts: 0,
    reason: "",
    holder: false,
  } as const;
  return { ...fixed, pid: process.pid, startTicks, sinceMs: Date.now() };
}
