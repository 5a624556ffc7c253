/** Reads the names of an object. */
import { type Reader, readMap, readText } from "./findings.js";

/** Namespace, "" of a cluster-scoped object, and name; undefined with findings. Other fields of the metadata are not of the policy. */
export function readMetadata(
  reader: Reader,
  value: unknown,
  isNamespaced = true,
): { readonly namespace: string; readonly name: string } | undefined {
  const fields = readMap(reader, value, "metadata");
  if (fields === undefined) return undefined;
  const namespace = isNamespaced ? readText(reader, fields["namespace"], "metadata.namespace") : "";
  const name = readText(reader, fields["name"], "metadata.name");
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}
