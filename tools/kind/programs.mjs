/** Builds kind and kubeadm through Go modules, and puts them with the lab's kubectl into one folder. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { kubernetesLdflags } from "../../rig/lab/dist/kube-binaries/build.js";
import { resolveKubeBinaries } from "../../rig/lab/dist/kube-binaries/resolve.js";
import { KUBE_MODULE, readKubeVersions } from "../../rig/lab/dist/kube-binaries/versions.js";
import { ROOT, runStep } from "../setup/step.mjs";
import { CACHE } from "./engine.mjs";

const MODULE = join(ROOT, "tools/kind");

/** -> {kind: its version, kubernetes: "v1.34.4", kubeBinaries: folder of the lab's, bin: folder for PATH, kubeadm, nodeFiles} */
export async function getPrograms() {
  const [, kind] = /sigs\.k8s\.io\/kind (v\S+)/.exec(readFileSync(join(MODULE, "go.mod"), "utf8"));
  const { kubernetes } = await readKubeVersions(KUBE_MODULE);
  const { directory } = await resolveKubeBinaries();
  const bin = join(CACHE, `bin-${kind}-${kubernetes}`);
  if (!existsSync(bin)) {
    const work = `${bin}.new`;
    rmSync(work, { recursive: true, force: true });
    mkdirSync(work, { recursive: true });
    await build(`kind ${kind}`, MODULE, join(work, "kind"), "sigs.k8s.io/kind", "-s -w");
    await buildKubeadm(kubernetes, join(work, "kubeadm"));
    renameSync(work, bin);
  }
  if (!existsSync(join(bin, "kubectl"))) symlinkSync(join(directory, "kubectl"), join(bin, "kubectl"));
  const found = await runStep("where kind's module is", [
    "go",
    "list",
    "-C",
    MODULE,
    "-m",
    "-f",
    "{{.Dir}}",
    "sigs.k8s.io/kind",
  ]);
  return {
    kind,
    kubernetes,
    kubeBinaries: directory,
    bin,
    kubeadm: join(bin, "kubeadm"),
    nodeFiles: join(found.trim(), "images/base/files"),
  };
}

/** Builds kubeadm in a copy of the lab's Go module, which lacks the dependencies of kubeadm because the lab does not use it. */
async function buildKubeadm(version, into) {
  const work = mkdtempSync(join(tmpdir(), "isthmus-kubeadm-"));
  try {
    for (const file of ["go.mod", "go.sum"]) copyFileSync(join(KUBE_MODULE, file), join(work, file));
    await build(`kubeadm ${version}`, work, into, "k8s.io/kubernetes/cmd/kubeadm", kubernetesLdflags(version), "mod");
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function build(title, module, into, pkg, ldflags, mod = "readonly") {
  const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" };
  const argv = [
    "go",
    "build",
    "-C",
    module,
    "-trimpath",
    "-buildvcs=false",
    `-mod=${mod}`,
    "-ldflags",
    ldflags,
    "-o",
    into,
    pkg,
  ];
  await runStep(`build ${title} through Go modules`, argv, { env });
}
