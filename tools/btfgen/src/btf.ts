/**
 * Reads `bpftool btf dump -j` into the few shapes that the generator needs.
 *
 * In: the JSON text. Out: the enums and structs that the object names by a global variable, and structs inside them,
 * in the order of the object. Byte order comes from the typedefs: __be16 and __be32 are big endian, all else little.
 */

export interface EnumType {
  readonly name: string;
  readonly values: readonly { readonly name: string; readonly value: number }[];
}

/** One element of a field. */
export type Scalar =
  | { readonly kind: "int"; readonly bytes: 1 | 2 | 4 | 8; readonly bigEndian: boolean }
  | { readonly kind: "struct"; readonly name: string; readonly bytes: number };

export interface Field {
  readonly name: string;
  /** Bits from the start of the struct. */
  readonly bitOffset: number;
  /** Set for bit fields only. */
  readonly bitSize?: number;
  readonly element: Scalar;
  /** Set for arrays only. */
  readonly count?: number;
}

export interface StructType {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
  /** The fields of each anonymous struct in it; they are in `fields` too. */
  readonly words: readonly (readonly Field[])[];
}

export interface Schema {
  readonly enums: readonly EnumType[];
  readonly structs: readonly StructType[];
}

interface RawMember {
  readonly name: string;
  readonly type_id: number;
  readonly bits_offset: number;
  readonly bitfield_size?: number;
}

interface RawType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly type_id?: number;
  readonly size?: number;
  readonly nr_elems?: number;
  readonly members?: readonly RawMember[];
  readonly values?: readonly { readonly name: string; readonly val: number }[];
  readonly vars?: readonly { readonly type_id: number }[];
}

/** Parses the dump. Throws on a type without a codec (unions, pointers and signed numbers are not used). */
export function parseBtf(json: string): Schema {
  const { types } = JSON.parse(json) as { types: readonly RawType[] };
  const byId = new Map(types.map((type) => [type.id, type]));
  const enums = types
    .filter((type) => type.kind === "ENUM")
    .map((type) => ({
      name: type.name,
      values: (type.values ?? []).map(({ name, val }) => ({ name, value: val })),
    }));
  const structs = types
    .filter((type) => type.kind === "STRUCT" && type.name !== ANONYMOUS)
    .map((type) => parseStruct(byId, type));
  return { enums, structs };
}

const ANONYMOUS = "(anon)";

function parseStruct(byId: ReadonlyMap<number, RawType>, type: RawType): StructType {
  const words: (readonly Field[])[] = [];
  const fields = (type.members ?? []).flatMap((member) => {
    if (member.name !== ANONYMOUS) return [parseField(byId, type.name, member)];
    const word = (get(byId, member.type_id).members ?? []).map((inner) =>
      parseField(byId, type.name, { ...inner, bits_offset: member.bits_offset + inner.bits_offset }),
    );
    words.push(word);
    return word;
  });
  return { name: type.name, size: type.size ?? 0, fields, words };
}

/** The names of the maps that an object declares, from the dump of its BTF. */
export function parseMapNames(json: string): readonly string[] {
  const { types } = JSON.parse(json) as { types: readonly RawType[] };
  const byId = new Map(types.map((type) => [type.id, type]));
  const maps = types.filter((type) => type.kind === "DATASEC" && type.name === ".maps");
  return maps.flatMap(({ vars = [] }) => vars.map((item) => get(byId, item.type_id).name));
}

function parseField(byId: ReadonlyMap<number, RawType>, owner: string, member: RawMember): Field {
  const outer = get(byId, member.type_id);
  const isArray = outer.kind === "ARRAY";
  const element = parseScalar(byId, isArray ? (outer.type_id ?? 0) : member.type_id, `${owner}.${member.name}`);
  return {
    name: member.name,
    bitOffset: member.bits_offset,
    element,
    ...(isArray ? { count: outer.nr_elems ?? 0 } : {}),
    ...(member.bitfield_size ? { bitSize: member.bitfield_size } : {}),
  };
}

function parseScalar(byId: ReadonlyMap<number, RawType>, id: number, where: string): Scalar {
  let type = get(byId, id);
  let bigEndian = false;
  while (type.kind === "TYPEDEF") {
    if (/^__be(16|32|64)$/.test(type.name)) bigEndian = true;
    type = get(byId, type.type_id ?? 0);
  }
  if (type.kind === "STRUCT") return { kind: "struct", name: type.name, bytes: type.size ?? 0 };
  const bytes = type.size;
  if (type.kind === "INT" && (bytes === 1 || bytes === 2 || bytes === 4 || bytes === 8)) {
    return { kind: "int", bytes, bigEndian };
  }
  throw new Error(`Cannot make a codec for "${where}": ${type.kind} is not supported`);
}

function get(byId: ReadonlyMap<number, RawType>, id: number): RawType {
  const type = byId.get(id);
  if (type === undefined) throw new Error(`Cannot read BTF: type ${id} is missing`);
  return type;
}
