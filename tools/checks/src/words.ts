/**
 * Words that docs/glossary.md has retired must not come back.
 *
 * In: paths with their text. Out: sentences, one per finding; none = fine. Decision records and the changelog tell of the past and
 * may use them, and so may the lines of the glossary that retire them.
 */

/** A retired word as a regular expression over names and prose, and what is used instead. */
const RETIRED: readonly (readonly [RegExp, string])[] = [
  [/(?<!\b(?:its|their) )\bown[ -]cluster\b|\bOwnCluster\b|\bOwnSource\b/i, "local cluster"],
  [/\bforeign cluster\b/, "remote cluster"],
  [/\bstand-ins?\b for (a|its|the) cluster|\bStandIns?\b|\bkernelShare\b/, "placeholder record"],
  [/\b(Keeper|poke|pokes|poked)\b/, "PeriodicTask, reconciler, trigger"],
  [/\bSwapStore\b|\bStoreDoctor\b|\bPulse\b/, "ReloadableStore, StoreDiagnostics, ApiHeartbeat"],
  [/\b(barred|Barred)\b/, "blocked"],
  [/\b(Ranging|ranged)\b/, "Listing, listed"],
  [/\b(unproved|unproven)\b/i, "unverified"],
  [/\bsurprise\(/, "resync"],
  [/\b(saboteur|Saboteur)\b/, "fault injector"],
  [/\bFOUND(_[A-Z]+)?\b/, "PICK"],
  [/\bin vain\b/, "say what was awaited and for how long"],
  [/\bfrontless\b/i, "without a ClusterIP"],
];

const PAST = /^(CHANGELOG\.md|docs\/adr\/|docs\/glossary\.md|tools\/checks\/src\/words)/;

export function checkWords(texts: ReadonlyMap<string, string>): readonly string[] {
  return [...texts].filter(([path]) => !PAST.test(path)).flatMap(([path, text]) => retiredIn(path, text));
}

function retiredIn(path: string, text: string): readonly string[] {
  return text.split("\n").flatMap((line, index) =>
    RETIRED.flatMap(([word, instead]) => {
      const match = word.exec(line);
      return match === null ? [] : [`${path}:${index + 1}: "${match[0]}" is retired (docs/glossary.md): ${instead}`];
    }),
  );
}
