/**
 * Keeps on disk what is in force in place of refused policies: their records are gone, and a restarted agent would enforce nothing of
 * them. The file is replaced when that changes, from the first sync on.
 */
import type { Logger } from "@isthmus/observe";
import type { HashedRecord } from "@isthmus/records";
import type { MeshState } from "./desired/mesh-state.js";
import type { StateFiles } from "./sync/state-files.js";

export interface KeptPoliciesModules {
  readonly meshState: Pick<MeshState, "localVerified" | "policies">;
  readonly files: Pick<StateFiles, "saveKeptPolicies">;
  /** Gets failures; the next change tries again. */
  readonly log: Logger;
  /** What the file has. */
  readonly saved: readonly HashedRecord[];
}

export interface KeptPolicies {
  /** To be called after each apply. */
  look(): void;
  /** Resolves when nothing is being written. */
  idle(): Promise<void>;
}

export function createKeptPolicies({ meshState, files, log, saved }: KeptPoliciesModules): KeptPolicies {
  let done = textOf(saved);
  let running: Promise<void> | undefined;

  async function save(): Promise<void> {
    while (true) {
      const records = meshState.policies.replaced();
      const text = textOf(records);
      if (text === done) return;
      try {
        await files.saveKeptPolicies(records);
        done = text;
      } catch (error) {
        return log.warn("Cannot keep what refused policies replaced", { error });
      }
    }
  }

  return {
    look() {
      // Before that, not all policies have been seen.
      if (!meshState.localVerified) return;
      running ??= save().finally(() => {
        running = undefined;
      });
    },
    idle: async () => void (await running),
  };
}

function textOf(records: readonly HashedRecord[]): string {
  return records.map(({ key, hash }) => `${key} ${Buffer.from(hash).toString("hex")}`).join("\n");
}
