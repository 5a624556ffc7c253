/**
 * Selectors over labels, with the meaning of Kubernetes: all requirements must hold; `NotIn` holds for a key that is absent, too;
 * no requirement at all matches everything.
 */
import type { Labels } from "@isthmus/identity";

export type Requirement =
  | { readonly key: string; readonly operator: "In" | "NotIn"; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: "Exists" | "DoesNotExist" };

export interface Selector {
  /** The same text for the same requirements, in whatever order they were written. */
  readonly text: string;
  /** Sorted, none twice; so are their values. */
  readonly requirements: readonly Requirement[];
}

/** The selector of these requirements. */
export function createSelector(requirements: readonly Requirement[]): Selector {
  const sorted = new Map(
    requirements.map((one): [string, Requirement] => {
      const requirement = "values" in one ? { ...one, values: [...new Set(one.values)].sort() } : one;
      return [requirementText(requirement), requirement];
    }),
  );
  const texts = [...sorted.keys()].sort();
  return { text: texts.join("; "), requirements: texts.flatMap((text) => sorted.get(text) ?? []) };
}

/** True when all requirements hold for these labels. */
export function selects(selector: Selector, labels: Pick<Labels, "get">): boolean {
  for (const requirement of selector.requirements) if (!holds(requirement, labels)) return false;
  return true;
}

function holds(requirement: Requirement, labels: Pick<Labels, "get">): boolean {
  const value = labels.get(requirement.key);
  switch (requirement.operator) {
    case "In":
      return value !== undefined && requirement.values.includes(value);
    case "NotIn":
      return value === undefined || !requirement.values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** Neither keys nor values of labels have blanks or commas, so no two requirements have one text. */
function requirementText(requirement: Requirement): string {
  const { key, operator } = requirement;
  return "values" in requirement ? `${key} ${operator} ${requirement.values.join(",")}` : `${key} ${operator}`;
}
