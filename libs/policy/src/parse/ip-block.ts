/** Reads address ranges of policies. */
import { type Address, isV4, MeshError, type Prefix, parseAddress, prefixMask } from "@isthmus/model";
import { type AddressBlock, containsPrefix, createBlock } from "../model/address-block.js";
import { describe, joinPath, type Reader, readList, readObject } from "./findings.js";

/** A range with exceptions, each of which must be a part of it; undefined with findings. */
export function readIpBlock(reader: Reader, value: unknown, path: string): AddressBlock | undefined {
  const fields = readObject(reader, value, path, ["cidr", "except"]);
  if (fields === undefined) return undefined;
  const cidr = readCidr(reader, fields["cidr"], joinPath(path, "cidr"));
  const except = readList(reader, fields["except"], joinPath(path, "except")).flatMap(([one, at]) => {
    const prefix = readCidr(reader, one, at);
    if (prefix === undefined || cidr === undefined) return [];
    const isInside = containsPrefix(cidr, prefix) && prefix.length > cidr.length;
    if (!isInside) reader.refuse(at, `must be a part of the range ${describe(fields["cidr"])}, not ${describe(one)}`);
    return [prefix];
  });
  return cidr === undefined ? undefined : createBlock(cidr, except);
}

/** A range without exceptions, or one address. */
export function readAddressOrCidr(reader: Reader, value: unknown, path: string): AddressBlock | undefined {
  const address = typeof value === "string" ? addressOf(value) : undefined;
  const prefix = address === undefined ? readCidr(reader, value, path) : { address, length: 128 };
  return prefix === undefined ? undefined : createBlock(prefix, []);
}

/** A range; bits beyond its length are ignored, as the API does. */
export function readCidr(reader: Reader, value: unknown, path: string): Prefix | undefined {
  const prefix = typeof value === "string" ? parseCidr(value) : undefined;
  if (prefix === undefined)
    reader.refuse(path, `must be an address range such as "10.1.0.0/16" or "fd00::/48", not ${describe(value)}`);
  return prefix;
}

function parseCidr(text: string): Prefix | undefined {
  const match = /^([0-9a-fA-F.:]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const address = match === null ? undefined : addressOf(match[1] ?? "");
  if (address === undefined) return undefined;
  const isShort = isV4(address);
  const length = Number(match?.[2]) + (isShort ? 96 : 0);
  if (length > 128) return undefined;
  const mask = prefixMask(length);
  return { address: address.map((byte, i) => byte & (mask[i] ?? 0)) as Address, length };
}

/** IPv4 in the form of IPv6 has two meanings, so it is none. */
function addressOf(text: string): Address | undefined {
  try {
    const address = parseAddress(text);
    return isV4(address) && text.includes(":") ? undefined : address;
  } catch (error) {
    if (error instanceof MeshError) return undefined;
    throw error;
  }
}
