/** Names of the suite's specs. Pure. */

/** In: the output of `e2e.test --list-tests`, lines of "    FILE:LINE: NAME". Out: the names, in its order. */
export function parseSpecNames(listing: string): readonly string[] {
  return listing.split("\n").flatMap((line) => /^ +\S+\.go:\d+: (.+)$/.exec(line)?.[1] ?? []);
}

/** A name without its tags: "[sig-network] Netpol API should … [Feature:NetworkPolicy]" is "Netpol API should …". */
export function shortName(name: string): string {
  return name
    .replaceAll(/\[[^\]]*\]/g, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
}

/** A pattern that matches this name alone, for `--ginkgo.focus`: the suite searches it in a text that ends with the name. */
export function focusPattern(name: string): string {
  return `${name.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")}$`;
}
