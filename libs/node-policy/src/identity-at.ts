/** Whose an address is, as programs find it in the maps: its own identity, else that of the longest prefix, else the world's. */
import { type IdentityNumber, reservedIdentity } from "@isthmus/identity";
import { bytesKey, prefixContains } from "@isthmus/model";
import type { DesiredPolicy, DesiredPrefix } from "./desired-policy.js";

/** `address`: 16 bytes. Goes through all prefixes. */
export function identityAt(
  { addresses, prefixes }: Pick<DesiredPolicy, "addresses" | "prefixes">,
  address: Uint8Array,
): IdentityNumber {
  const own = addresses.get(bytesKey(address));
  if (own !== undefined) return own;
  let longest: DesiredPrefix | undefined;
  for (const row of prefixes.values())
    if (row.prefix.length > (longest?.prefix.length ?? -1) && prefixContains(row.prefix, address)) longest = row;
  return longest?.identity ?? reservedIdentity("world");
}
