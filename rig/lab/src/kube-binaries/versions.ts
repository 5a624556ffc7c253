/** The binaries that a lab needs and their versions, read from the go.mod files of tools/, the only places that pin them. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { labError } from "../plan/errors.js";
import { REPOSITORY_ROOT } from "../plan/paths.js";

export interface KubeProgram {
  readonly name: string;
  /** Go package of its main function, or of its tests. */
  readonly package: string;
  readonly from: "kubernetes" | "etcd";
  /** Built from the tests of the package. */
  readonly isTest?: boolean;
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

/** The end-to-end tests of Kubernetes, and the program of the image that their pods run. They are in a module of their own. */
export const E2E_PROGRAMS = {
  e2e: { name: "e2e.test", package: "k8s.io/kubernetes/test/e2e", from: "kubernetes", isTest: true },
  agnhost: { name: "agnhost", package: "k8s.io/kubernetes/test/images/agnhost", from: "kubernetes" },
} as const satisfies Readonly<Record<string, KubeProgram>>;

export interface ModuleVersion {
  /** "v1.34.4" */
  readonly kubernetes: string;
  /** Name of the cache folder: version and digest of go.mod and go.sum. */
  readonly key: string;
}

export interface KubeVersions extends ModuleVersion {
  /** "v3.6.4" */
  readonly etcd: string;
}

export const KUBE_MODULE = join(REPOSITORY_ROOT, "tools/kube");
export const E2E_MODULE = join(REPOSITORY_ROOT, "tools/kube-e2e");

export async function readKubeVersions(folder: string = KUBE_MODULE): Promise<KubeVersions> {
  return parseKubeVersions(...(await readModule(folder)));
}

export async function readE2eVersion(folder: string = E2E_MODULE): Promise<ModuleVersion> {
  return parseModuleVersion("kube-e2e", ...(await readModule(folder)));
}

async function readModule(folder: string): Promise<[goMod: string, goSum: string]> {
  return await Promise.all([readFile(join(folder, "go.mod"), "utf8"), readFile(join(folder, "go.sum"), "utf8")]);
}

export function parseKubeVersions(goMod: string, goSum: string): KubeVersions {
  return { ...parseModuleVersion("kube", goMod, goSum), etcd: requiredVersion(goMod, "go.etcd.io/etcd/server/v3") };
}

function parseModuleVersion(prefix: string, goMod: string, goSum: string): ModuleVersion {
  const kubernetes = requiredVersion(goMod, "k8s.io/kubernetes");
  const digest = createHash("sha256").update(goMod).update(goSum).digest("hex").slice(0, 12);
  return { kubernetes, key: `${prefix}-${kubernetes}-${digest}` };
}

function requiredVersion(goMod: string, module: string): string {
  const version = goMod
    .split("\n")
    .map((line) => line.trim().split(" "))
    .find(([name, at]) => name === module && at?.startsWith("v"))?.[1];
  if (version === undefined) throw labError("UNFIT", `Cannot find the version of "${module}" in go.mod`);
  return version;
}
