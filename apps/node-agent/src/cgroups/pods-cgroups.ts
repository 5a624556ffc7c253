/**
 * Keeps the Service programs on the cgroups of this node's pods, whichever layout its kubelet has (layouts.ts).
 *
 * Looked for at the start, every second, and at each CNI ADD, so that no pod starts without programs. Looking costs four
 * stats, 20 microseconds. On a pure cgroup v2 node the kubelet makes them before the first pod, and what is not there is
 * waited for. On a hybrid node (v1 beside v2) it manages v1; whether it makes the v2 side depends on its version, and the
 * runtime makes it too late, with the first process of a pod: there what is missing is made here.
 */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { CNI_TRY_AGAIN, CniError } from "../pods/cni-error.js";
import type { RequirePrograms } from "../pods/index.js";
import type { CgroupRoot } from "./cgroup-root.js";
import { covers, KNOWN_CGROUPS, pathOf, USUAL_CGROUP } from "./layouts.js";

export interface PodsCgroupsOptions {
  readonly root: CgroupRoot;
  /** Named by the operator, relative to the root; undefined = the known layouts. */
  readonly named: readonly string[] | undefined;
}

export interface PodsCgroupsModules {
  readonly log: Logger;
  /** Attaches to these folders and to no others; throws with what the kernel said. */
  readonly attach: (folders: readonly string[]) => void;
}

export interface PodsCgroups {
  /** Relative to the root. */
  readonly attached: readonly string[];
  /** Why pods would run without programs, in one sentence; undefined = they do not. */
  readonly problem: string | undefined;
  /** Attaches where cgroups appeared or were made anew; `again` = also where nothing seems to have changed. */
  look(again?: boolean): void;
  readonly ensure: RequirePrograms;
}

const LOOK_EVERY_MS = 1000;
/** A link that somebody took away comes back after so many looks. */
const LOOKS_PER_ATTACH = 5;

/** Nothing is attached before the first `look`. */
export function openPodsCgroups(options: PodsCgroupsOptions, { log, attach }: PodsCgroupsModules): PodsCgroups {
  const { named } = options;
  const { path: root, hybrid } = options.root;
  const candidates = named ?? KNOWN_CGROUPS;
  let attached: readonly string[] = [];
  let problem: string | undefined = "not looked for yet";
  /** What the last attach saw: paths with their inodes, which a cgroup that was made anew does not keep. */
  let seen = "";

  const inodeOf = (cgroup: string) => statSync(join(root, cgroup), { throwIfNoEntry: false })?.ino;

  function make(cgroup: string): void {
    mkdirSync(join(root, cgroup), { recursive: true });
    log.info("Cgroup made for pods: beside cgroup v1 the kubelet may not", { cgroup });
  }

  function find(): ReadonlyMap<string, number> {
    const found = () =>
      candidates.flatMap((cgroup) => {
        const inode = inodeOf(cgroup);
        return inode === undefined ? [] : [[cgroup, inode] as const];
      });
    const before = found();
    if (!hybrid || (named === undefined && before.length > 0)) return new Map(before);
    const missing = (named ?? [USUAL_CGROUP]).filter((cgroup) => inodeOf(cgroup) === undefined);
    for (const cgroup of missing) make(cgroup);
    return new Map(missing.length > 0 ? found() : before);
  }

  function look(again = false): void {
    try {
      const found = find();
      const now = [...found].map(([cgroup, inode]) => `${cgroup}:${inode}`).join(" ");
      if (found.size > 0 && (now !== seen || again)) attach([...found.keys()].map((cgroup) => join(root, cgroup)));
      if (found.size === 0) fail(nothingFound());
      else stand([...found.keys()], now);
    } catch (thrown) {
      fail(MeshError.from(thrown).message);
    }
  }

  function stand(cgroups: readonly string[], now: string): void {
    if (now !== seen || problem !== undefined)
      log.info("Service programs attached to the cgroups of pods", { cgroups });
    attached = cgroups;
    problem = undefined;
    seen = now;
  }

  function fail(sentence: string): void {
    if (sentence !== problem) log.warn("Service programs not attached, pods have no Services", { reason: sentence });
    attached = [];
    problem = sentence;
    seen = "";
  }

  function nothingFound(): string {
    const hint = named === undefined ? "; name the cgroup of this node's pods with --pods-cgroup" : "";
    return `Cannot find a cgroup of pods in "${root}": there is no ${candidates.join(", no ")}${hint}`;
  }

  return {
    get attached() {
      return attached;
    },
    get problem() {
      return problem;
    },
    look,
    ensure(podCgroup) {
      look();
      const path = podCgroup === undefined ? undefined : pathOf(podCgroup);
      const isCovered = () => path === undefined || attached.some((cgroup) => covers(cgroup, path));
      if (!isCovered() && named === undefined) {
        const known = KNOWN_CGROUPS.find((cgroup) => path !== undefined && covers(cgroup, path));
        if (known !== undefined) make(known);
        look();
      }
      if (problem !== undefined) throw new CniError(CNI_TRY_AGAIN, problem);
      if (isCovered()) return;
      const where = `Service programs are on "${attached.join('", "')}" only`;
      const sentence = `Cannot start a pod in cgroup "${podCgroup}": ${where}; name it with --pods-cgroup`;
      throw new CniError(CNI_TRY_AGAIN, sentence);
    },
  };
}

/** Looks until aborted. */
export async function reconcilePodsCgroups(cgroups: PodsCgroups, clock: Clock, signal: AbortSignal): Promise<void> {
  for (let round = 1; !signal.aborted; round++) {
    await clock.delay(LOOK_EVERY_MS, signal).catch(() => undefined);
    if (!signal.aborted) cgroups.look(round % LOOKS_PER_ATTACH === 0);
  }
}
