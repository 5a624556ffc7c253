/** Reads ranges with exceptions of Cilium policies: of the policy itself, or of a CiliumCIDRGroup that it names. */
import type { Prefix } from "@isthmus/model";
import { type AddressBlock, containsPrefix, createBlock } from "../model/address-block.js";
import type { CiliumScope } from "./cilium-selector.js";
import { describe, isAbsent, joinPath, type Reader, readList, readObject, readText } from "./findings.js";
import { readAddressOrCidr, readCidr, readIpBlock } from "./ip-block.js";
import { RANGE_ITEMS } from "./limits.js";

/** Ranges of each CiliumCIDRGroup, `spec.externalCIDRs`, by its name. */
export type CidrGroups = ReadonlyMap<string, readonly string[]>;

/** One block for a range; one for each range of a group. A group that does not exist is a finding: a deny must not lose it. */
export function readCidrSet(
  reader: Reader,
  value: unknown,
  path: string,
  { cidrGroups, budget }: Pick<CiliumScope, "cidrGroups" | "budget">,
): readonly AddressBlock[] {
  const fields = readObject(reader, value, path, ["cidr", "except", "cidrGroupRef"]);
  if (fields === undefined) return [];
  const { cidr, except, cidrGroupRef } = fields;
  if (isAbsent(cidrGroupRef)) {
    const block = readIpBlock(reader, { cidr, except }, path);
    return block === undefined ? [] : [block];
  }
  const at = joinPath(path, "cidrGroupRef");
  if (!isAbsent(cidr)) reader.refuse(at, "cannot be beside cidr: write an element for each");
  const name = readText(reader, cidrGroupRef, at);
  const ranges = name === undefined ? undefined : cidrGroups.get(name);
  if (ranges === undefined) {
    if (name !== undefined)
      reader.refuse(at, `names the CiliumCIDRGroup ${describe(name)}, which does not exist: create it`);
    return [];
  }
  if (!budget.take(reader, at, RANGE_ITEMS * ranges.length)) return [];
  const excepted = readList(reader, except, joinPath(path, "except")).flatMap(
    ([one, where]) => readCidr(reader, one, where) ?? [],
  );
  return ranges.flatMap((range) => {
    const prefix = readAddressOrCidr(reader, range, at)?.cidr;
    return prefix === undefined ? [] : withoutExcepted(prefix, excepted);
  });
}

/** Exceptions are for the whole group, so a range may be inside of one. */
function withoutExcepted(range: Prefix, except: readonly Prefix[]): readonly AddressBlock[] {
  if (except.some((one) => containsPrefix(one, range))) return [];
  return [
    createBlock(
      range,
      except.filter((one) => containsPrefix(range, one)),
    ),
  ];
}
