/**
 * The TypeScript of the product, parsed and typed by the compiler: every file of `libs/` and `apps/` that is shipped, so without
 * tests, folders named `testing`, `libs/testing` and generated code.
 *
 * The compiler runs as a child process, and nodes and types belong to it: they are valid within `withProduct` only.
 */
import { readFileSync } from "node:fs";
import { join, posix, relative } from "node:path";
import type { Node, SourceFile } from "typescript/unstable/ast";
import { API, type Checker } from "typescript/unstable/sync";
import { ROOT } from "./files.js";

export interface ProductSource {
  /** Relative to the root, with "/" between: `libs/kube/src/client.ts`. */
  readonly path: string;
  /** Folder of its package: `libs/kube`. */
  readonly folder: string;
  readonly file: SourceFile;
  /** Knows the types of this file and of what it imports; of other packages as their built declarations have them. */
  readonly checker: Checker;
}

interface Config {
  readonly references?: readonly { readonly path: string }[];
}

const NOT_SHIPPED = /\.test\.ts$|\/testing\/|\/gen\//;

/** Calls `use` with all sources, sorted by path. The packages must have been built: `tsc -b`. Returns what `use` returns. */
export function withProduct<T>(use: (sources: readonly ProductSource[]) => T, root: string = ROOT): T {
  const folders = productFolders(root);
  const api = new API({ cwd: root });
  try {
    const configs = new Map(folders.map((folder) => [folder, join(root, folder, "tsconfig.json")]));
    const snapshot = api.updateSnapshot({ openProjects: [...configs.values()] });
    const sources = [...configs].flatMap(([folder, config]) => {
      const project = snapshot.getProject(config);
      if (project === undefined) throw new Error(`Cannot read project "${config}"`);
      return project.rootFiles.flatMap((name): ProductSource[] => {
        const path = relative(root, name).replaceAll("\\", "/");
        const file = NOT_SHIPPED.test(path) ? undefined : project.program.getSourceFile(name);
        return file === undefined ? [] : [{ path, folder, file, checker: project.checker }];
      });
    });
    return use(sources.sort((a, b) => (a.path < b.path ? -1 : 1)));
  } finally {
    api.close();
  }
}

/** Folders of the product's packages, as the root tsconfig.json has them. */
export function productFolders(root: string = ROOT): readonly string[] {
  return referencesOf(root, ".").filter((folder) => /^(libs|apps)\//.test(folder) && folder !== "libs/testing");
}

/** Folders that the tsconfig.json of a folder refers to, relative to the root. */
export function referencesOf(root: string, folder: string): readonly string[] {
  const config = JSON.parse(readFileSync(join(root, folder, "tsconfig.json"), "utf8")) as Config;
  return (config.references ?? []).map(({ path }) => posix.join(folder, path));
}

/** The node and everything below it, in the order of the text. */
export function* nodesOf(node: Node): Iterable<Node> {
  yield node;
  const children: Node[] = [];
  node.forEachChild((child) => void children.push(child));
  for (const child of children) yield* nodesOf(child);
}
