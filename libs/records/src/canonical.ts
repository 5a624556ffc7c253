/**
 * Canonical order: repeated fields are sorted and duplicates dropped, so that two replicas that read the same objects in
 * any order write the same bytes. Readers never re-encode a record.
 */
import { ClusterConfig, type NamedPort, type Port, type Prefix } from "@isthmus/proto";

/** Sorts by text and drops duplicates. Texts are compared by code unit, so the order is the same on every machine. */
export function sorted<T>(values: readonly T[], text: (value: T) => string): T[] {
  const byText = new Map(values.map((value) => [text(value), value]));
  return [...byText.entries()].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, value]) => value);
}

/** Sorts as the bytes do. */
export const bytesText = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
/** Sorts as the number does. */
export const numberText = (value: number): string => String(value).padStart(10, "0");
/** By address and length. */
export const prefixText = (prefix: Prefix): string => `${bytesText(prefix.address)}/${numberText(prefix.length)}`;
/** By name, protocol and number. */
export const portText = ({ name, protocol, port }: Port | NamedPort): string =>
  `${name}\0${numberText(protocol)}\0${numberText(port)}`;

/** The value of a cluster's config key. */
export function encodeClusterConfig(value: ClusterConfig): Uint8Array {
  return ClusterConfig.encode({
    ...value,
    podCidrs: sorted(value.podCidrs, prefixText),
    serviceCidrs: sorted(value.serviceCidrs, prefixText),
  }).finish();
}
