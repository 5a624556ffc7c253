/**
 * The cgroups that a node's pods may be in. Paths are relative to the node's cgroup2 folder, without a slash at either
 * end.
 *
 * ```
 *   kubelet, cgroup driver   cgroupfs              systemd
 *   as installed             kubepods              kubepods.slice
 *   kind (--cgroup-root)     kubelet/kubepods      kubelet.slice/kubelet-kubepods.slice
 * ```
 * None of them is inside another one: a program attached to both would run twice for one connect. Pure.
 */
export const KNOWN_CGROUPS: readonly string[] = [
  "kubepods",
  "kubepods.slice",
  "kubelet/kubepods",
  "kubelet.slice/kubelet-kubepods.slice",
];

/** The cgroup to create where nothing else creates one before the first pod: that of the cgroupfs driver. */
export const DEFAULT_CGROUP = "kubepods";

/**
 * The path of a cgroup that a runtime names by path, or as a systemd slice, whose name contains those of its parents.
 */
export function pathOf(named: string): string {
  const path = named.split("/").filter((part) => part !== "");
  const [only = ""] = path;
  return path.length === 1 && only.endsWith(".slice") ? expandSlice(only) : path.join("/");
}

/** `a-b-c.slice` is at `a.slice/a-b.slice/a-b-c.slice`. */
function expandSlice(slice: string): string {
  const names = slice.slice(0, -".slice".length).split("-");
  return names.map((_, i) => `${names.slice(0, i + 1).join("-")}.slice`).join("/");
}

/** `path` is `cgroup` or inside it. */
export function covers(cgroup: string, path: string): boolean {
  return path === cgroup || path.startsWith(`${cgroup}/`);
}
