import assert from "node:assert/strict";
import { test } from "node:test";
import { MESH_ERROR, withFiles } from "@isthmus/checks/testing";
import { errorsText, findErrors } from "./errors.js";
import { createPackages } from "./packages.js";

const PACKAGES = createPackages(
  new Map([
    ["libs/a", []],
    ["apps/b", ["libs/a"]],
    ["apps/c", []],
  ]),
);
const CODES = `export type AErrorCode =
  /** It broke. Fix: mend it. */
  | "BROKEN"
  /** It is gone. Fix: look for it. */
  | "GONE";
`;

/** `source` is of libs/a, which documents BROKEN and GONE; `more` are other files. */
function find(source: string, more: Readonly<Record<string, string>> = {}) {
  const files = {
    "libs/a/src/codes.ts": CODES,
    "libs/a/src/x.ts": `import { MeshError } from "./model.js";\n${source}`,
    "libs/a/src/model.ts": MESH_ERROR,
    ...more,
  };
  return withFiles(files, (sources) => findErrors(sources, PACKAGES));
}

const BOTH = `
const path = String(Date.now());
throw new MeshError({ code: "BROKEN" }, \`Cannot use "\${path}": it broke\`);
export const gone = () => {
  const sentence = path === "" ? "Cannot find it" : "Cannot find " + "the file";
  return new MeshError({ code: "GONE" }, sentence);
};
`;

test("codes have what they mean, what to do, and the sentences with … for what is filled in", () => {
  const errors = find(BOTH);
  assert.deepEqual(errors.findings, []);
  assert.deepEqual(
    errors.entries.map(({ name, meaning, fix, sentences }) => [name, meaning, fix, [...sentences]]),
    [
      ["BROKEN", "It broke.", "mend it.", ['Cannot use "…": it broke']],
      ["GONE", "It is gone.", "look for it.", ["Cannot find it", "Cannot find the file"]],
    ],
  );
  assert.match(
    errorsText(errors, PACKAGES),
    /^## BROKEN\n\nIt broke\.\n\n\*\*What to do:\*\* Mend it\.\n\n> Cannot use "…": it broke\n\nIn: b \(`libs\/a`\)\./,
  );
});

test("a code that is not documented is a finding where it is thrown", () => {
  assert.deepEqual(find(`${BOTH}throw new MeshError({ code: "NEW" }, "New");`).findings, [
    'libs/a/src/x.ts:9: error code "NEW" is not documented: add it to a union …ErrorCode of libs/a',
  ]);
});

test("a code in a variable is followed to its values; one that may be anything is a finding", () => {
  const either = 'const code = Math.random() > 1 ? "BROKEN" : "GONE";\nthrow new MeshError({ code }, "x");';
  assert.deepEqual(find(either).findings, []);
  const union = 'declare const data: { code: "BROKEN" } | { code: "GONE" };\nthrow new MeshError(data, "x");';
  assert.deepEqual(find(union).findings, []);
  const any = `${BOTH}declare const name: string;\nthrow new MeshError({ code: name }, "x");`;
  assert.deepEqual(find(any).findings, ["libs/a/src/x.ts:10: the code of this error is not a literal"]);
});

test("classes that extend MeshError count, other errors do not", () => {
  const own = `class Own extends MeshError<{ code: "LATE" }> {\n  constructor() { super({ code: "LATE" }, "x"); }\n}\nthrow new Own();`;
  assert.match(find(`${BOTH}${own}`).findings[0] ?? "", /"LATE" is not documented/);
  assert.deepEqual(find(`${BOTH}throw Object.assign(new Error("x"), { code: "E" });`).findings, []);
});

test("a documented code that nothing throws, and one without comment or Fix, are findings", () => {
  assert.deepEqual(find('throw new MeshError({ code: "BROKEN" }, "x");').findings, [
    'libs/a/src/codes.ts: error code "GONE" is documented, and nothing throws it',
  ]);
  const more = { "libs/a/src/more.ts": 'export type MoreErrorCode = "BARE" | /** Why. */ "HALF";' };
  const { findings } = find(
    `${BOTH}throw new MeshError({ code: "BARE" }, "x");\nthrow new MeshError({ code: "HALF" }, "x");`,
    more,
  );
  assert.deepEqual(
    findings.map((finding) => /"(\w+)" needs a comment/.exec(finding)?.[1]),
    ["BARE", "HALF"],
  );
});

test("a program may throw what a package within it documents; another one may not", () => {
  const source = (code: string) => `${MESH_ERROR}\nthrow new MeshError({ code: "${code}" }, "x");`;
  assert.deepEqual(find(BOTH, { "apps/b/src/x.ts": source("GONE") }).findings, []);
  assert.match(find(BOTH, { "apps/c/src/x.ts": source("GONE") }).findings[0] ?? "", /^apps\/c.*not documented/);
});
