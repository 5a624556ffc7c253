/** Reads /proc/mounts. Out: where each control group hierarchy is mounted, and whether bpffs is mounted. */
import { readFileSync } from "node:fs";

export interface Mount {
  readonly target: string;
  readonly type: string;
  readonly options: readonly string[];
}

export interface CgroupHierarchy {
  readonly mount: string;
  readonly version: 1 | 2;
  /** The options of `mount -o` that mount the same v1 hierarchy again ("cpu,cpuacct", "none,name=systemd"); "" for v2. */
  readonly mountOptions: string;
}

export function parseMounts(text: string): Mount[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [, target = "", type = "", options = ""] = line.split(" ");
      return { target: unescapeOctal(target), type, options: options.split(",") };
    });
}

export function readMounts(): Mount[] {
  return parseMounts(readFileSync("/proc/mounts", "utf8"));
}

/** Every hierarchy once, at its first mount point. `controllers`: the names in /proc/cgroups. */
export function cgroupHierarchies(mounts: readonly Mount[], controllers: ReadonlySet<string>): CgroupHierarchy[] {
  const found = new Map<string, CgroupHierarchy>();
  for (const mount of mounts) {
    if (mount.type === "cgroup2" && !found.has("2")) {
      found.set("2", { mount: mount.target, version: 2, mountOptions: "" });
    } else if (mount.type === "cgroup") {
      const named = mount.options.filter((option) => option.startsWith("name="));
      const own = mount.options.filter((option) => controllers.has(option));
      const mountOptions = [...(own.length === 0 ? ["none"] : own), ...named].join(",");
      if (!found.has(mountOptions)) found.set(mountOptions, { mount: mount.target, version: 1, mountOptions });
    }
  }
  return [...found.values()];
}

export function parseControllers(procCgroups: string): Set<string> {
  return new Set(
    procCgroups
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split("\t")[0] ?? ""),
  );
}

export function hostHierarchies(): CgroupHierarchy[] {
  return cgroupHierarchies(readMounts(), parseControllers(readFileSync("/proc/cgroups", "utf8")));
}

function unescapeOctal(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
