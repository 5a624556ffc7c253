/**
 * Reads the objects of a request for a diff. What cannot be read ends the request, with a sentence for the caller; what a policy
 * says is left to the parser of its kind.
 */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { apiVersion, CILIUM_CIDR_GROUPS, type KubeObject, type Resource } from "@isthmus/kube";
import { printable } from "@isthmus/model";
import type { DiffPoliciesRequest } from "@isthmus/proto";
import { policyRecordKey } from "@isthmus/records";
import { nextTurn } from "@isthmus/runtime";
import { type CidrGroupFacts, cidrGroupFacts } from "../cluster/policies/cidr-groups.js";
import { type PolicyFacts, policyFacts } from "../cluster/policies/policy-facts.js";
import type { ObjectChange } from "../cluster/policies/policy-preview.js";
import { POLICY_RESOURCES } from "../cluster/policies/policy-resources.js";
import { adminError } from "../serve/admin/admin-error.js";

/** Objects and deletions of a request. */
export const MAX_OBJECTS = 1000;
/** Bytes of the JSON of all objects of a request: two policies as large as one may be. */
export const MAX_OBJECT_BYTES = 2 << 20;

const unzip = promisify(gunzip);

/** Throws an `adminError`. */
export async function readRequest({ objects, deleted }: DiffPoliciesRequest): Promise<ObjectChange> {
  if (objects.length + deleted.length > MAX_OBJECTS)
    throw refused(`the change has more than ${MAX_OBJECTS} objects: compare fewer at once`);
  const policies: PolicyFacts[] = [];
  const groups: CidrGroupFacts[] = [];
  let left = MAX_OBJECT_BYTES;
  for (const [i, zipped] of objects.entries()) {
    const text = await unzip(zipped, { maxOutputLength: left }).catch((thrown: NodeJS.ErrnoException) => {
      throw refused(
        thrown.code === "ERR_BUFFER_TOO_LARGE"
          ? `the objects have more than ${MAX_OBJECT_BYTES} bytes: compare fewer at once`
          : `object ${i} is not compressed by gzip`,
      );
    });
    left -= text.length;
    const object = parseObject(text, i);
    const of = POLICY_RESOURCES.find(({ resource }) => isOf(object, resource));
    if (of !== undefined) policies.push(policyFacts(of, object));
    else if (isOf(object, CILIUM_CIDR_GROUPS)) groups.push(cidrGroupFacts(object));
    else throw refused(`object ${i} is ${printable(`${object.apiVersion} ${object.kind}`, 200)}, which is no policy`);
    await nextTurn();
  }
  const names = deleted.map(({ kind, namespace, name }) => {
    const of = POLICY_RESOURCES.find(({ resource }) => resource.kind === kind);
    if (of === undefined) throw refused(`"${printable(kind, 200)}" is no kind of policies`);
    return policyRecordKey({ resource: of.resource.plural, namespace, name });
  });
  return { policies, groups, deleted: names };
}

function parseObject(text: Buffer, i: number): KubeObject {
  let value: unknown;
  try {
    value = JSON.parse(text.toString());
  } catch (cause) {
    throw refused(`object ${i} is not JSON`, cause);
  }
  const metadata: unknown = (value as Partial<KubeObject> | null)?.metadata;
  if (typeof metadata !== "object" || metadata === null) throw refused(`object ${i} has no metadata`);
  return value as KubeObject;
}

function isOf(object: KubeObject, resource: Resource): boolean {
  return object.apiVersion === apiVersion(resource) && object.kind === resource.kind;
}

function refused(why: string, cause?: unknown) {
  return adminError(status.INVALID_ARGUMENT, why, cause);
}
