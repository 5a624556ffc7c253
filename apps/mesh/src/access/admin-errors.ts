/** The errors of the admin API: each says what failed and what to check. */
import { status as grpc, type ServiceError } from "@grpc/grpc-js";
import { MeshError } from "@isthmus/model";
import { CLI_ACCOUNT, MESH_NAMESPACE } from "./mesh-objects.js";

/** All servers failed; `failures` has a reason for each. */
export function noAnswer(name: string, failures: readonly string[]): MeshError {
  return adminError(
    name,
    `no server answers: ${failures.join(", ")}. Check that clustermesh-apiserver runs in "${name}" and that its admin port can be reached from here`,
  );
}

/** A server answered with an error that is no silence. */
export function refused(name: string, error: ServiceError): MeshError {
  const denied = error.code === grpc.UNAUTHENTICATED || error.code === grpc.PERMISSION_DENIED;
  const hint = denied
    ? `. Check the ServiceAccount ${MESH_NAMESPACE}/${CLI_ACCOUNT} and its ClusterRole (deploy/base)`
    : error.code === grpc.UNIMPLEMENTED
      ? ": its clustermesh-apiserver is of an older version than this command"
      : "";
  return adminError(name, `it answers ${grpc[error.code]}, "${error.details}"${hint}`, error, denied);
}

/** An ADMIN error. `refused`: the server answered and denied access. */
export function adminError(cluster: string, why: string, cause?: unknown, refused = false): MeshError {
  return new MeshError(
    { code: "ADMIN", cluster, refused },
    `Cannot ask the admin API of cluster "${cluster}": ${why}`,
    { cause },
  );
}

/** Is it as if the server had not answered? */
export function isSilence({ code }: ServiceError): boolean {
  return code === grpc.UNAVAILABLE || code === grpc.DEADLINE_EXCEEDED;
}
