/** Reads the names of an object. */
import { type Reader, readMap, readText } from "./findings.js";

/** Namespace and name of a namespaced object; undefined with findings. Other fields of the metadata are not of the policy. */
export function readMetadata(
  reader: Reader,
  value: unknown,
): { readonly namespace: string; readonly name: string } | undefined {
  const fields = readMap(reader, value, "metadata");
  if (fields === undefined) return undefined;
  const namespace = readText(reader, fields["namespace"], "metadata.namespace");
  const name = readText(reader, fields["name"], "metadata.name");
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}
