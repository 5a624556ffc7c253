/**
 * Keeps the Service programs on the cgroups of this node's pods, whichever layout its kubelet has (layouts.ts).
 *
 * The cgroups are checked at the start, every second, and at each CNI ADD, so that no pod starts without programs. A
 * check costs four stats, 20 microseconds. On a pure cgroup v2 node the kubelet creates the cgroups before the first
 * pod, and the agent waits for them. On a hybrid node (v1 beside v2) the kubelet manages v1. Whether it also creates
 * the v2 cgroups depends on its version, and the runtime creates them too late, with the first process of a pod: so the
 * agent creates them.
 */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { sleep } from "@isthmus/runtime";
import { CNI_TRY_AGAIN, CniError } from "../pods/cni-error.js";
import type { RequirePrograms } from "../pods/index.js";
import type { CgroupRoot } from "./cgroup-root.js";
import { covers, DEFAULT_CGROUP, KNOWN_CGROUPS, pathOf } from "./layouts.js";

export interface PodsCgroupsOptions {
  /** The folder that the paths of cgroups are relative to. */
  readonly root: CgroupRoot;
  /** Configured by the operator, relative to the root; undefined = the known layouts. */
  readonly configured: readonly string[] | undefined;
}

export interface PodsCgroupsModules {
  /** Gets a line when a cgroup is created, and when programs are attached or cannot be. */
  readonly log: Logger;
  /** Attaches to these folders and to no others; throws the kernel's error. */
  readonly attach: (folders: readonly string[]) => void;
}

export interface PodsCgroups {
  /** Relative to the root. */
  readonly attached: readonly string[];
  /** Why pods would run without programs, in one sentence; undefined = pods have programs. */
  readonly problem: string | undefined;
  /** Attaches when cgroups appeared or were created again; `again` = also when nothing seems to have changed. */
  check(again?: boolean): void;
  /** Checks the cgroups, and creates the known one of this pod if it is missing and none are configured. */
  readonly requireAttached: RequirePrograms;
}

const LOOK_EVERY_MS = 1000;
/** After this many checks the programs are attached again, in case another program removed a link. */
const LOOKS_PER_ATTACH = 5;

/** Nothing is attached before the first `check`. */
export function openPodsCgroups(options: PodsCgroupsOptions, { log, attach }: PodsCgroupsModules): PodsCgroups {
  const { configured } = options;
  const { path: root, hybrid } = options.root;
  const candidates = configured ?? KNOWN_CGROUPS;
  let attached: readonly string[] = [];
  let problem: string | undefined = "Service programs are not attached yet";
  /** Paths and inodes at the last attach; a cgroup that was created again has another inode. */
  let attachedInodes = "";

  const inodeOf = (cgroup: string) => statSync(join(root, cgroup), { throwIfNoEntry: false })?.ino;

  function make(cgroup: string): void {
    mkdirSync(join(root, cgroup), { recursive: true });
    log.info("Cgroup created for pods, the kubelet had not created it", { cgroup });
  }

  /** The cgroups of pods with their inodes. */
  function find(): ReadonlyMap<string, number> {
    const existing = () =>
      candidates.flatMap((cgroup) => {
        const inode = inodeOf(cgroup);
        return inode === undefined ? [] : [[cgroup, inode] as const];
      });
    const before = existing();
    if (!hybrid || (configured === undefined && before.length > 0)) return new Map(before);
    const missing = (configured ?? [DEFAULT_CGROUP]).filter((cgroup) => inodeOf(cgroup) === undefined);
    for (const cgroup of missing) make(cgroup);
    return new Map(missing.length > 0 ? existing() : before);
  }

  function look(again = false): void {
    try {
      const cgroups = find();
      const inodes = [...cgroups].map(([cgroup, inode]) => `${cgroup}:${inode}`).join(" ");
      const changed = inodes !== attachedInodes;
      if (cgroups.size > 0 && (changed || again)) attach([...cgroups.keys()].map((cgroup) => join(root, cgroup)));
      if (cgroups.size === 0) setProblem(noCgroup());
      else setAttached([...cgroups.keys()], inodes);
    } catch (thrown) {
      setProblem(MeshError.from(thrown).message);
    }
  }

  function setAttached(cgroups: readonly string[], inodes: string): void {
    if (inodes !== attachedInodes || problem !== undefined)
      log.info("Service programs attached to the cgroups of pods", { cgroups });
    attached = cgroups;
    problem = undefined;
    attachedInodes = inodes;
  }

  function setProblem(sentence: string): void {
    if (sentence !== problem) log.warn("Service programs not attached, pods have no Services", { reason: sentence });
    attached = [];
    problem = sentence;
    attachedInodes = "";
  }

  function noCgroup(): string {
    const hint = configured === undefined ? "; name the cgroup of this node's pods with --pods-cgroup" : "";
    return `Cannot find a cgroup of pods in "${root}": there is no ${candidates.join(", no ")}${hint}`;
  }

  return {
    get attached() {
      return attached;
    },
    get problem() {
      return problem;
    },
    check: look,
    requireAttached(podCgroup) {
      look();
      const path = podCgroup === undefined ? undefined : pathOf(podCgroup);
      const isCovered = () => path === undefined || attached.some((cgroup) => covers(cgroup, path));
      if (!isCovered() && configured === undefined) {
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

/** Checks the cgroups every second until aborted. */
export async function reconcilePodsCgroups(cgroups: PodsCgroups, clock: Clock, signal: AbortSignal): Promise<void> {
  for (let round = 1; !signal.aborted; round++) {
    await sleep(clock, LOOK_EVERY_MS, signal);
    if (!signal.aborted) cgroups.check(round % LOOKS_PER_ATTACH === 0);
  }
}
