/**
 * Reads the manifests of a change: documents of YAML or JSON, each a policy, a CiliumCIDRGroup or a list of them.
 *
 * What a policy says is left to the cluster. A document that is none of these, or has no name, is a USAGE error: nobody is told that
 * nothing changes by what was not looked at.
 */
import {
  apiVersion,
  CILIUM_CIDR_GROUPS,
  CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  CILIUM_NETWORK_POLICIES,
  NETWORK_POLICIES,
  type Resource,
} from "@isthmus/kube";
import type { PolicyName } from "@isthmus/proto";
import { parseAllDocuments } from "yaml";
import { usageError } from "../cli/exit.js";

const POLICIES: readonly Resource[] = [NETWORK_POLICIES, CILIUM_NETWORK_POLICIES, CILIUM_CLUSTERWIDE_NETWORK_POLICIES];
const RESOURCES: readonly Resource[] = [...POLICIES, CILIUM_CIDR_GROUPS];
/** As kubectl has them. */
const SHORT_NAMES: Readonly<Record<string, Resource>> = {
  netpol: NETWORK_POLICIES,
  cnp: CILIUM_NETWORK_POLICIES,
  ccnp: CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
};

/** Bytes of one file, which may have comments: an object has 1 MiB. */
const MAX_FILE_BYTES = 16 << 20;

type Fields = Readonly<Record<string, unknown>>;

/** `file`: for sentences. `namespace`: of objects that name none. Throws USAGE. */
export function readObjects(text: string, file: string, namespace: string): readonly object[] {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES)
    throw usageError(`Cannot use "${file}": it has more than ${MAX_FILE_BYTES >> 20} MiB`);
  const documents = parseAllDocuments(text);
  const objects = [...documents].flatMap((document, i) => {
    const [error] = document.errors;
    if (error !== undefined) throw notYaml(file, error);
    const of = documents.length === 1 ? `"${file}"` : `document ${i + 1} of "${file}"`;
    let value: unknown;
    try {
      value = document.toJS();
    } catch (thrown) {
      // Too many aliases.
      throw notYaml(file, thrown as Error);
    }
    return value === null || value === undefined ? [] : itemsOf(value, of).map((one) => readObject(one, of, namespace));
  });
  if (objects.length === 0) throw usageError(`Cannot use "${file}": it has no object`);
  return objects;
}

function notYaml(file: string, { message }: Error) {
  const [first = ""] = message.split("\n");
  return usageError(`Cannot use "${file}": it is neither YAML nor JSON (${first.replace(/:$/, "")})`);
}

/** An object itself, or those of a list; items of a typed list name no kind. */
function itemsOf(value: unknown, of: string): readonly unknown[] {
  const { kind, apiVersion: version, items } = fieldsOf(value, of);
  if (typeof kind !== "string" || !kind.endsWith("List") || !Array.isArray(items)) return [value];
  if (kind === "List") return items;
  return items.map((item: unknown) => ({ apiVersion: version, kind: kind.slice(0, -4), ...fieldsOf(item, of) }));
}

function readObject(value: unknown, of: string, namespace: string): object {
  const fields = fieldsOf(value, of);
  const resource = RESOURCES.find((one) => apiVersion(one) === fields["apiVersion"] && one.kind === fields["kind"]);
  if (resource === undefined) {
    const known = RESOURCES.map((one) => `${one.kind} (${apiVersion(one)})`).join(", ");
    throw usageError(
      `Cannot use ${of}: it has an object of kind "${text(fields["kind"])}" (${text(fields["apiVersion"])}), and only these can be compared: ${known}`,
    );
  }
  const metadata = isFields(fields["metadata"]) ? fields["metadata"] : {};
  const { name, namespace: own } = metadata;
  if (typeof name !== "string" || name === "")
    throw usageError(`Cannot use ${of}: its ${resource.kind} has no metadata.name`);
  // As for kubectl, an empty one is none.
  const place = resource.namespaced ? { namespace: own || namespace } : {};
  return { ...fields, metadata: { ...metadata, ...place } };
}

function fieldsOf(value: unknown, of: string): Fields {
  if (isFields(value)) return value;
  throw usageError(`Cannot use ${of}: it is no object of Kubernetes`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, 100) : "none";
}

/** Reads `KIND/NAMESPACE/NAME`, or `KIND/NAME` of a kind without namespaces or in this namespace. Throws USAGE. */
export function readDeletion(written: string, namespace: string): PolicyName {
  const [kind = "", ...names] = written.split("/");
  const lower = kind.toLowerCase();
  const resource =
    SHORT_NAMES[lower] ?? POLICIES.find((one) => one.kind.toLowerCase() === lower || one.plural === lower);
  const name = names.at(-1) ?? "";
  const own = names.length === 1 ? namespace : (names[0] ?? "");
  const most = resource?.namespaced === false ? 1 : 2;
  if (resource === undefined || names.length < 1 || names.length > most || name === "" || own === "")
    throw usageError(
      `Cannot use "${written}" for --delete: write KIND/NAMESPACE/NAME with a kind of ${POLICIES.map((one) => one.kind).join(", ")}; the last one has no namespace`,
    );
  return { kind: resource.kind, namespace: resource.namespaced ? own : "", name };
}
