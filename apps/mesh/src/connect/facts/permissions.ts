/** What the operator's credential may do, according to the Kubernetes API (SelfSubjectAccessReview). */
import type { KubeClient } from "@isthmus/kube";
import { CLI_ACCOUNT, CONFIG_NAME, MESH_NAMESPACE } from "../../access/mesh-objects.js";

interface Attributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

const mesh = (verb: string, resource: string): Attributes => ({ verb, group: "mesh.isthmus.io", resource });

const NEEDED: readonly Attributes[] = [
  mesh("list", "meshclusters"),
  mesh("patch", "meshclusters"),
  mesh("list", "meshpeers"),
  mesh("create", "meshpeers"),
  mesh("patch", "meshpeers"),
  { verb: "get", group: "", resource: "configmaps", namespace: MESH_NAMESPACE, name: CONFIG_NAME },
  {
    verb: "create",
    group: "",
    resource: "serviceaccounts",
    subresource: "token",
    namespace: MESH_NAMESPACE,
    name: CLI_ACCOUNT,
  },
];

/** Missing permissions: `patch meshclusters.mesh.isthmus.io`, …; empty when none is missing. Rejects when the review fails. */
export async function missingPermissions(client: KubeClient): Promise<readonly string[]> {
  const allowed = await Promise.all(NEEDED.map((attributes) => mayI(client, attributes)));
  return NEEDED.filter((_, i) => allowed[i] !== true).map(sentence);
}

async function mayI(client: KubeClient, resourceAttributes: Attributes): Promise<boolean> {
  const review = await client.transport.json<{ status?: { allowed?: boolean } }>({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    body: { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview", spec: { resourceAttributes } },
  });
  return review.status?.allowed === true;
}

function sentence({ verb, group, resource, subresource, namespace, name }: Attributes): string {
  const what = `${resource}${group === "" ? "" : `.${group}`}${subresource === undefined ? "" : `/${subresource}`}`;
  return `${verb} ${what}${namespace === undefined ? "" : ` ${namespace}/${name}`}`;
}
