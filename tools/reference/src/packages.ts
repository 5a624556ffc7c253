/** The packages of the product: which contains which, and in which programs each is. */
import { productFolders, referencesOf } from "@isthmus/checks";

export interface Packages {
  /** The package itself and all that it imports, directly or not: folders. */
  within(folder: string): readonly string[];
  /** Names of the programs that contain a package, sorted. */
  programsOf(folder: string): readonly string[];
}

/** `root`: the repository's folder. */
export function readPackages(root: string): Packages {
  const folders = productFolders(root);
  const references = new Map(folders.map((folder) => [folder, referencesOf(root, folder)]));
  return createPackages(references);
}

/** `references`: the packages that each package imports directly. */
export function createPackages(references: ReadonlyMap<string, readonly string[]>): Packages {
  function within(folder: string): readonly string[] {
    const found = new Set([folder]);
    for (const each of found) for (const next of references.get(each) ?? []) found.add(next);
    return [...found];
  }
  const programs = [...references.keys()].filter((folder) => folder.startsWith("apps/"));
  return {
    within,
    programsOf: (folder) =>
      programs
        .filter((program) => within(program).includes(folder))
        .map((program) => program.slice("apps/".length))
        .sort(),
  };
}
