/** Reads the workspaces of the repository, with the sources that `tsc -b` compiles. */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { ROOT, repositoryFiles } from "./files.js";
import type { Package } from "./layers.js";

interface Manifest {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface Config {
  readonly references?: readonly { readonly path: string }[];
}

/** Reads every folder that the root tsconfig.json refers to. */
export function readPackages(root: string = ROOT): readonly Package[] {
  const read = <T>(path: string): T => JSON.parse(readFileSync(join(root, path), "utf8")) as T;
  const files = repositoryFiles(root).filter((path) => /\/src\/.*\.[cm]?[jt]s$/.test(path));
  const rootManifest = read<Manifest>("package.json");
  return (read<Config>("tsconfig.json").references ?? []).map(({ path }) => {
    const folder = posix.normalize(path);
    const { name = folder, dependencies, devDependencies } = read<Manifest>(`${folder}/package.json`);
    // The tests of the checks contain imports as text.
    const own = files.filter(
      (file) => file.startsWith(`${folder}/src/`) && !/^tools\/checks\/.*\.test\.ts$/.test(file),
    );
    const names = (...lists: readonly (Manifest["dependencies"] | undefined)[]) =>
      new Set(lists.flatMap((list) => Object.keys(list ?? {})));
    return {
      folder,
      name,
      declared: names(dependencies, devDependencies),
      dependencies: names(dependencies, devDependencies, rootManifest.devDependencies),
      references: (read<Config>(`${folder}/tsconfig.json`).references ?? [])
        .map((reference) => posix.join(folder, reference.path))
        .sort(),
      sources: new Map(own.map((file) => [file, readFileSync(join(root, file), "utf8")])),
    };
  });
}
