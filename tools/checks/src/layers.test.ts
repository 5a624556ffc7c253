import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { importsOf, packageOf } from "./imports.js";
import { checkLayers, type Package } from "./layers.js";
import { parseTable, writeTable } from "./table.js";

const PAGE = `# x
<!-- layers:begin -->
| Package | May import |
|---|---|
| \`libs/model\` | nothing |
| \`libs/kube\` | \`libs/model\` |
<!-- layers:end -->
after
`;

function made(folder: string, source: string, more: Partial<Package> = {}): Package {
  const name = `@isthmus/${folder.slice(5)}`;
  const upper = folder === "libs/kube";
  const declared = new Set(upper ? ["@isthmus/model"] : []);
  const dependencies = new Set(upper ? [...declared, "@kubernetes/client-node", "etcd3"] : []);
  const references = upper ? ["libs/model"] : [];
  const sources = new Map([[`${folder}/src/a/b.ts`, source]]);
  if (upper) sources.set(`${folder}/src/index.ts`, 'import "@isthmus/model";');
  return { folder, name, declared, dependencies, references, sources, ...more };
}

function findings(kube: Package, model = made("libs/model", "")): readonly string[] {
  return checkLayers([model, kube], parseTable(PAGE, "layers"));
}

describe("layers", () => {
  test("an import that the table allows is no finding", () => {
    const source =
      'import type { A } from "@isthmus/model";\nimport "./c.js";\nimport { K } from "@kubernetes/client-node";';
    assert.deepEqual(findings(made("libs/kube", source)), []);
  });

  test("an import that the table does not allow is a finding", () => {
    const model = made("libs/model", 'export {\n  a,\n  b,\n} from "@isthmus/kube";');
    assert.deepEqual(findings(made("libs/kube", ""), model), [
      'libs/model/src/a/b.ts: imports "@isthmus/kube", which the table does not allow',
    ]);
  });

  test("a restricted module may be loaded only by its package", () => {
    const sources = ['await import("etcd3");', 'const f = new URL("../build/Release/bpf.node", import.meta.url);'];
    assert.match(findings(made("libs/kube", sources[0] ?? ""))[0] ?? "", /only libs\/kvstore may import "etcd3"/);
    assert.match(findings(made("libs/kube", sources[1] ?? ""))[0] ?? "", /only libs\/bpf loads the addon/);
  });

  test("a path out of the package and an undeclared package are findings", () => {
    assert.match(findings(made("libs/kube", 'import "../../../model/src/x.js"'))[0] ?? "", /leaves the package/);
    assert.match(findings(made("libs/kube", 'import pino from "pino"'))[0] ?? "", /does not declare/);
  });

  test("test code is imported by tests and in folders named testing only", () => {
    const source = 'import { a } from "../testing/a.js";';
    const finding = 'imports "../testing/a.js", which is for tests: move it to a folder "testing"';
    assert.deepEqual(findings(made("libs/kube", source)), [`libs/kube/src/a/b.ts: ${finding}`]);
    for (const path of ["a/b.test.ts", "a/testing/b.ts"]) {
      const sources = new Map([
        [`libs/kube/src/${path}`, source],
        ["libs/kube/src/index.ts", 'import "@isthmus/model";'],
      ]);
      assert.deepEqual(findings(made("libs/kube", "", { sources })), []);
    }
  });

  test("differences between table, references and repository are findings", () => {
    assert.match(findings(made("libs/kube", "", { references: [] }))[0] ?? "", /does not refer to it/);
    assert.match(
      findings(made("libs/kube", "", { references: ["libs/model", "libs/x"] }))[0] ?? "",
      /does not allow it/,
    );
    assert.match(findings(made("libs/new", ""))[0] ?? "", /libs\/new: not in the table/);
    assert.ok(findings(made("libs/new", "")).includes("libs/kube: in the table, not in the repository"));
  });

  test("a package that is declared but not imported, or referred to but not declared, is a finding", () => {
    assert.deepEqual(findings(made("libs/kube", "", { sources: new Map() })), [
      'libs/kube/package.json: declares "@isthmus/model" and never imports it',
    ]);
    const none = { sources: new Map(), declared: new Set<string>(), dependencies: new Set<string>() };
    assert.deepEqual(findings(made("libs/kube", "", none)), [
      'libs/kube/package.json: refers to "@isthmus/model" and does not declare it',
    ]);
  });

  test("an unused library is a finding, types count with their library, and reserved ones are exempt", () => {
    const declared = new Set(["@isthmus/model", "pino", "@types/opossum", "nats"]);
    const named = (source: string) => findings(made("libs/kube", source, { declared, dependencies: declared }));
    assert.deepEqual(named('import "pino"; \nimport "opossum";').length, 1); // opossum itself is not declared
    assert.deepEqual(named("const a = 1;"), [
      'libs/kube/package.json: declares "pino" and never imports it',
      'libs/kube/package.json: declares "@types/opossum" and never imports it',
    ]);
  });

  test("a written table is parsed as the same table", () => {
    const table = new Map([
      ["libs/a", []],
      ["libs/b", ["libs/a"]],
    ]);
    const page = writeTable(PAGE, "layers", table);
    assert.deepEqual(parseTable(page, "layers"), table);
    assert.ok(page.startsWith("# x\n") && page.endsWith("after\n"));
    assert.deepEqual(
      parseTable(writeTable("<!-- folders:begin -->\n<!-- folders:end -->\n", "folders", table), "folders"),
      table,
    );
    assert.throws(() => parseTable("no table", "layers"));
  });

  test("all forms of imports are found", () => {
    const source = 'import a, { b } from "one";\nexport * from "two/x";\nconst c = require("three");\n// from "four"\n';
    assert.deepEqual(importsOf(source), ["one", "two/x", "three"]);
    assert.equal(packageOf("@a/b/c.js"), "@a/b");
    assert.equal(packageOf("node:fs"), undefined);
  });
});
