import assert from "node:assert/strict";
import { test } from "node:test";
import { generate } from "./generate.js";

const HEADER = `
/** Colours of things. */
enum colour {
	COLOUR_RED = 1, /* like blood */
	COLOUR_DEEP_BLUE = 2,
};

/**
 * A thing.
 * It has a port.
 */
struct thing {
	__be16 port;   /* where it listens */
	__u16 pad;     /* 0 */
	__u32 ids[2];  /* what it holds */
};

/** A row. */
struct row {
	struct {
		__be16 port; /* where it listens */
		__u8 kind;   /* what it is */
		__u8 spare;  /* 0 */
	};
	__u8 name[NAME_BYTES]; /* its name */
};

/** Two numbers across the halves. */
struct pair {
	__u64 low : 28; /* at first */
	__u64 high : WIDE_BITS; /* then */
	__u64 spare : 19; /* 0 */
};
`;

const BTF = JSON.stringify({
  types: [
    {
      id: 1,
      kind: "ENUM",
      name: "colour",
      size: 4,
      values: [
        { name: "COLOUR_RED", val: 1 },
        { name: "COLOUR_DEEP_BLUE", val: 2 },
      ],
    },
    { id: 2, kind: "INT", name: "unsigned short", size: 2 },
    { id: 3, kind: "TYPEDEF", name: "__u16", type_id: 2 },
    { id: 4, kind: "TYPEDEF", name: "__be16", type_id: 3 },
    { id: 5, kind: "INT", name: "unsigned int", size: 4 },
    { id: 6, kind: "ARRAY", name: "(anon)", type_id: 5, nr_elems: 2 },
    {
      id: 7,
      kind: "STRUCT",
      name: "thing",
      size: 12,
      members: [
        { name: "port", type_id: 4, bits_offset: 0 },
        { name: "pad", type_id: 3, bits_offset: 16 },
        { name: "ids", type_id: 6, bits_offset: 32 },
      ],
    },
    { id: 8, kind: "INT", name: "unsigned char", size: 1 },
    { id: 9, kind: "ARRAY", name: "(anon)", type_id: 8, nr_elems: 8 },
    {
      id: 10,
      kind: "STRUCT",
      name: "row",
      size: 12,
      members: [
        { name: "(anon)", type_id: 11, bits_offset: 0 },
        { name: "name", type_id: 9, bits_offset: 32 },
      ],
    },
    {
      id: 11,
      kind: "STRUCT",
      name: "(anon)",
      size: 4,
      members: [
        { name: "port", type_id: 4, bits_offset: 0 },
        { name: "kind", type_id: 8, bits_offset: 16 },
        { name: "spare", type_id: 8, bits_offset: 24 },
      ],
    },
    { id: 12, kind: "INT", name: "unsigned long long", size: 8 },
    {
      id: 13,
      kind: "STRUCT",
      name: "pair",
      size: 8,
      members: [
        { name: "low", type_id: 12, bits_offset: 0, bitfield_size: 28 },
        { name: "high", type_id: 12, bits_offset: 28, bitfield_size: 17 },
        { name: "spare", type_id: 12, bits_offset: 45, bitfield_size: 19 },
      ],
    },
  ],
});

/** An object with these maps, beside variables that are none. */
function programs(...names: readonly string[]): string {
  const section = (id: number, name: string, vars: readonly number[]) => ({
    ...{ id, kind: "DATASEC", name, size: 0 },
    vars: vars.map((type) => ({ type_id: type, offset: 0, size: 8 })),
  });
  const types = names.map((name, i) => ({ id: i + 1, kind: "VAR", name, type_id: 0, linkage: "global" }));
  const [ids, other] = [types.map(({ id }) => id), { id: 90, kind: "VAR", name: "config", type_id: 0 }];
  return JSON.stringify({ types: [...types, other, section(91, ".rodata", [90]), section(92, ".maps", ids)] });
}

const PROGRAMS = programs("mesh_things_v1", "mesh_big_things_v12");

test("a struct gets an interface with its comments, and a codec with the byte order of its typedefs", () => {
  const text = generate(BTF, HEADER, [PROGRAMS]).get("thing.ts") ?? "";
  assert.match(
    text,
    /\/\*\*\n \* A thing\.\n \* It has a port\.\n \*\/\nexport interface Thing \{\n {2}\/\*\* where it listens \*\/\n/,
  );
  assert.match(text, /size: 12,/);
  assert.match(text, /offsets: \{ port: 0, ids: 4 \}/);
  assert.match(text, /view\.setUint16\(0, value\.port, false\)/);
  assert.match(text, /view\.getUint32\(4 \+ i \* 4, true\)/);
  assert.doesNotMatch(text, /pad\b.*:/);
});

test("an anonymous struct is a word of the row, named by its first field; its fields are fields of the row", () => {
  const text = generate(BTF, HEADER, [PROGRAMS]).get("row.ts") ?? "";
  assert.match(text, /\/\*\* what it is \*\/\n {2}readonly kind: number;\n {2}\/\*\* its name \*\//);
  assert.match(text, /offsets: \{ port: 0, kind: 2, name: 4 \}/);
  assert.match(text, /portWord: \{\n.*\n {4}masks: \{ port: 0xffff, kind: 0xff0000 \},/);
  assert.match(text, /toWord\(value: Pick<Row, "port" \| "kind">\): number/);
  assert.match(text, /swap16\(bits\("port", value\.port, 16\)\) \|\n {8}\(bits\("kind", value\.kind, 8\) << 16\);/);
});

test("a word of bit fields is packed in two halves; a field across them is in both", () => {
  const text = generate(BTF, HEADER, [PROGRAMS]).get("pair.ts") ?? "";
  assert.match(text, /const high = bits\("high", value\.high, 17\);/);
  assert.match(text, /low: low & 0xfffffff,\n {6}high: \(\(low >>> 28\) \| \(high << 4\)\) & 0x1ffff,/);
  const short = BTF.replace('"name":"pair","size":8', '"name":"pair","size":2');
  assert.throws(() => generate(short, HEADER, []), /"pair": a word has 4 or 8 bytes/);
});

test("an enum gets constants without the shared prefix, and texts for users", () => {
  const text = generate(BTF, HEADER, [PROGRAMS]).get("enums.ts") ?? "";
  assert.match(text, /\/\*\* like blood \*\/\n {2}Red: 1,\n {2}DeepBlue: 2,/);
  assert.match(text, /\[1, \{ name: "red", text: "like blood" \}\]/);
});

test("the same schema gives the same bytes, and the index names every file", () => {
  const files = generate(BTF, HEADER, [PROGRAMS]);
  assert.deepEqual([...files], [...generate(BTF, HEADER, [PROGRAMS])]);
  assert.match(files.get("index.ts") ?? "", /export \* from "\.\/enums\.js";\nexport \* from "\.\/thing\.js";/);
});

test("a type without a codec is refused by name", () => {
  const union = BTF.replace('"kind":"INT","name":"unsigned int"', '"kind":"UNION","name":"either"');
  assert.throws(() => generate(union, HEADER, []), /Cannot make a codec for "thing.ids": UNION is not supported/);
});

test("maps are named by their nouns, whichever objects declare them; a name of another form is refused", () => {
  const files = generate(BTF, HEADER, [PROGRAMS, programs("mesh_things_v1", "mesh_more_v2")]);
  assert.match(
    files.get("map-names.ts") ?? "",
    /MAP_NAMES = \{\n {2}bigThings: "mesh_big_things_v12",\n {2}more: "mesh_more_v2",\n {2}things: "mesh_things_v1",\n\} as const;/,
  );
  assert.throws(() => generate(BTF, HEADER, [programs("things")]), /Cannot use map name "things": it is not mesh_/);
  assert.throws(() => generate(BTF, HEADER, [PROGRAMS, programs("mesh_things_v2")]), /"mesh_things_v1" is there too/);
});
