/** The node's kernel: maps and programs, pinned, and the cgroups of pods that the programs are attached to. */
import { fileURLToPath } from "node:url";
import { type Datapath, type DatapathMode, type DatapathOptions, type MapSizes, openDatapath } from "@isthmus/bpf";
import type { Logger } from "@isthmus/observe";
import type { CgroupRoot } from "./cgroups/cgroup-root.js";
import { openPodsCgroups, type PodsCgroups } from "./cgroups/pods-cgroups.js";

export interface KernelOptions {
  /** Folder of the pins; it is made if it is missing. */
  readonly bpffs: string;
  /** Folder of the built BPF objects; undefined = beside this program. */
  readonly bpfDir: string | undefined;
  /** Real id of the local cluster. */
  readonly clusterId: number;
  /** The folder in which the cgroups of pods are. */
  readonly cgroupRoot: CgroupRoot;
  /** Configured cgroups of pods; undefined = the known layouts. */
  readonly podsCgroups: readonly string[] | undefined;
  /** Configured entries of the maps; those that are absent have their default. */
  readonly mapSizes: Partial<MapSizes>;
  /** Whether the packets of pods run programs too. */
  readonly datapathMode: DatapathMode;
  /** See `DatapathOptions`. */
  readonly confirmUnenforced: NonNullable<DatapathOptions["confirmUnenforced"]>;
}

export interface Kernel {
  /** The maps, and the programs over them. */
  readonly port: Datapath;
  /** Checked once when the kernel is opened; `reconcilePodsCgroups` checks them from then on. */
  readonly cgroups: PodsCgroups;
  /** Closes descriptors; maps, programs and pins stay. */
  close(): void;
}

/** Adopts what is pinned and attaches the programs. Rejects as `openDatapath`. */
export async function openKernel(options: KernelOptions, log: Logger): Promise<Kernel> {
  const port = await openDatapath({
    bpffs: options.bpffs,
    objectDir: options.bpfDir ?? fileURLToPath(new URL("../../../bpf/build", import.meta.url)),
    config: { clusterId: options.clusterId },
    sizes: options.mapSizes,
    mode: options.datapathMode,
    confirmUnenforced: options.confirmUnenforced,
  });
  for (const [name, wanted] of Object.entries(options.mapSizes)) {
    const entries = port.sizes[name as keyof MapSizes];
    if (entries !== undefined && entries > wanted)
      log.info("Maps keep their larger size, they do not shrink", { name, entries, wanted });
  }
  if (port.refusal === "EPERM") {
    log.warn("Connects to a Service without backends fail with EPERM, not ECONNREFUSED: the kernel is older than 5.18");
  }
  const cgroups = openPodsCgroups(
    { root: options.cgroupRoot, configured: options.podsCgroups },
    { log, attach: port.attach },
  );
  cgroups.check();
  return { port, cgroups, close: () => port.close() };
}
