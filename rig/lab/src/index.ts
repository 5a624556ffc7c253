/**
 * Real Kubernetes clusters on one machine, without Docker.
 *
 * `upLab`, `downLab`, `labStatus`, `controlProcess` are for programs; `runLab` is for the CLI; `buildImage` builds images without
 * a registry; `runProgram` is for commands that use a lab.
 */
export type { LabIo } from "./cli/io.js";
export { type LabProgram, runProgram } from "./cli/program.js";
export { runLab } from "./cli/run-lab.js";
export type { Fault, Place } from "./faults/fault.js";
export { preflight } from "./host/preflight.js";
export { identify, isAlive, type ProcessIdentity } from "./host/process.js";
export { buildArchive, buildImage, type ImageFile, type ImageSpec } from "./images/build-image.js";
export { DEMO_TAG } from "./images/lab-images.js";
export {
  type E2ePrograms,
  type KubeBinaries,
  resolveE2ePrograms,
  resolveKubeBinaries,
  resolveKubeProxy,
} from "./kube-binaries/resolve.js";
export { type DownOptions, downLab } from "./life/down.js";
export { clearFaults, type FaultList, type FaultRow, listFaults, startFault } from "./life/faults.js";
export { type LabHandle, openLab } from "./life/handle.js";
export { type KeepOptions, type KeptLab, keepLab, type LabShape } from "./life/keep-lab.js";
export { remainsOf } from "./life/remains.js";
export { controlProcess, labStatus, loadImage, wipe } from "./life/status.js";
export { type UpOptions, upLab } from "./life/up.js";
export { type UsedLab, type UseOptions, useLab } from "./life/use-lab.js";
export type { LabPaths } from "./plan/paths.js";
export { pinDirectory } from "./plan/pins.js";
export type { ClusterPlan, LabPlan, NodePlan } from "./plan/plan.js";
export type { MeshPrograms } from "./supervise/context.js";
export type { Action } from "./supervise/lab-service.js";
export type { ProcessRow, Selector } from "./supervise/process-table.js";
export type { Role } from "./supervise/spec.js";
