/** The binaries that a lab needs and their versions, read from tools/kube/go.mod, the only place that pins them. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { labError } from "../plan/errors.js";
import { REPOSITORY_ROOT } from "../plan/paths.js";

export interface KubeProgram {
  readonly name: string;
  /** Go package of its main function. */
  readonly package: string;
  readonly from: "kubernetes" | "etcd";
}

const kubernetes = (name: string): KubeProgram => ({
  name,
  package: `k8s.io/kubernetes/cmd/${name}`,
  from: "kubernetes",
});

/** In build order: the longest build first, so that the others can reuse its compiled packages. */
export const KUBE_PROGRAMS: readonly KubeProgram[] = [
  kubernetes("kube-apiserver"),
  kubernetes("kube-controller-manager"),
  kubernetes("kube-scheduler"),
  kubernetes("kubelet"),
  kubernetes("kubectl"),
  { name: "etcd", package: "go.etcd.io/etcd/server/v3", from: "etcd" },
  { name: "etcdctl", package: "go.etcd.io/etcd/etcdctl/v3", from: "etcd" },
];

/** No lab runs it: `make kube-proxy` builds it, beside the others. */
export const KUBE_PROXY: KubeProgram = kubernetes("kube-proxy");

export interface KubeVersions {
  /** "v1.34.4" */
  readonly kubernetes: string;
  /** "v3.6.4" */
  readonly etcd: string;
  /** Name of the cache folder: version and digest of go.mod and go.sum. */
  readonly key: string;
}

export const KUBE_MODULE = join(REPOSITORY_ROOT, "tools/kube");

export async function readKubeVersions(folder: string = KUBE_MODULE): Promise<KubeVersions> {
  const [mod, sum] = await Promise.all([
    readFile(join(folder, "go.mod"), "utf8"),
    readFile(join(folder, "go.sum"), "utf8"),
  ]);
  return parseKubeVersions(mod, sum);
}

export function parseKubeVersions(goMod: string, goSum: string): KubeVersions {
  const find = (module: string): string => {
    const version = goMod
      .split("\n")
      .map((line) => line.trim().split(" "))
      .find(([name, at]) => name === module && at?.startsWith("v"))?.[1];
    if (version === undefined) throw labError("UNFIT", `Cannot find the version of "${module}" in go.mod`);
    return version;
  };
  const kubernetes = find("k8s.io/kubernetes");
  const digest = createHash("sha256").update(goMod).update(goSum).digest("hex").slice(0, 12);
  return { kubernetes, etcd: find("go.etcd.io/etcd/server/v3"), key: `kube-${kubernetes}-${digest}` };
}
