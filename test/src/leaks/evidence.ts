/** What the nodes and the apiservers have when a violation is found, as files. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LabHandle } from "@isthmus/lab";
import { meshOf } from "../e2e/world.js";
import type { Model } from "./model.js";
import type { Violation } from "./report.js";

export interface Evidence {
  /** Resolves when all files are there; at once if those of another violation are being written, or there are enough. */
  collect(violation: Violation): Promise<void>;
}

const MOST = 3;
const MAPS = [
  "services",
  "tables",
  "backends",
  "endpoints",
  "ipcache",
  "ipcache-prefixes",
  "policy-sets",
  "policy-peers",
  "policy-ports",
];

export function createEvidence(lab: LabHandle, model: Model, out: string): Evidence {
  const mesh = meshOf(lab);
  let count = 0;
  let isBusy = false;

  async function write(violation: Violation): Promise<void> {
    const folder = join(out, `violation-${++count}`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "violation.json"), `${JSON.stringify(violation, null, 2)}\n`);
    const ask = async (name: string, ...args: readonly string[]) => {
      const { out: text, err } = await mesh(...args);
      await writeFile(join(folder, name), `${text}${err}`);
    };
    const nodes = new Map(
      (violation.pods as readonly { readonly name: string }[]).flatMap(({ name }) => {
        const pod = model.pods.get(name);
        return pod === undefined ? [] : [[pod.node, pod.cluster] as const];
      }),
    );
    for (const [node, cluster] of nodes) {
      const at = ["--context", cluster, "--node", node, "--limit", "10000"];
      // Flows first, for their rows are reused.
      await ask(`${node}-conntrack.txt`, "bpf", "conntrack", ...at);
      // One after another, for together they would take the processors from all clients.
      for (const map of MAPS) await ask(`${node}-${map}.txt`, "bpf", "dump", map, ...at);
    }
    for (const { name } of lab.plan.clusters) {
      await ask(`${name}-identities.json`, "identity", "list", "--context", name, "-o", "json");
      await ask(`${name}-policies.json`, "policy", "list", "--context", name, "-o", "json");
    }
  }

  return {
    async collect(violation) {
      if (isBusy || count >= MOST) return;
      isBusy = true;
      await write(violation).finally(() => {
        isBusy = false;
      });
    },
  };
}
