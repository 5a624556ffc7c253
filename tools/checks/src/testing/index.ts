/** A small product in a temporary folder, for tests that read sources with the compiler. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ProductSource, withProduct } from "../product.js";

const COMPILER = { module: "NodeNext", target: "ES2022", strict: true, types: [], composite: true, outDir: "dist" };

/** Calls `use` with the sources of these files, by their paths: `libs/a/src/x.ts`. */
export function withFiles<T>(
  files: Readonly<Record<string, string>>,
  use: (sources: readonly ProductSource[]) => T,
): T {
  const root = mkdtempSync(join(tmpdir(), "isthmus-reference-"));
  try {
    const folders = [...new Set(Object.keys(files).map((path) => path.split("/").slice(0, 2).join("/")))];
    const write = (path: string, text: string) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    };
    write("tsconfig.json", JSON.stringify({ files: [], references: folders.map((path) => ({ path })) }));
    for (const folder of folders)
      write(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions: COMPILER, include: ["src/**/*.ts"] }));
    for (const [path, text] of Object.entries(files)) write(path, text);
    return withProduct(use, root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** A MeshError like that of libs/model. */
export const MESH_ERROR = `
export class MeshError<Data extends { readonly code: string } = { readonly code: string }> extends Error {
  readonly code: Data["code"];
  constructor(readonly data: Data, sentence: string) {
    super(sentence);
    this.code = data.code;
  }
}
`;
