/** Finds the rules that a verdict names, for who explains it. */
import type { CompiledPolicy } from "./compiled-policy.js";
import type { RuleName } from "./rule-name.js";

export interface RuleDirectory {
  /** Each policy name at most once. */
  add(policy: CompiledPolicy): void;
  /** The same object as was added. */
  delete(policy: CompiledPolicy): void;
  /** One, and nearly never another one that shares its number; none for `NO_RULE` and for rules of earlier policies. */
  rulesOf(number: number): readonly RuleName[];
}

/** Without rules. */
export function createRuleDirectory(): RuleDirectory {
  const rules = new Map<number, Map<string, RuleName>>();
  const each = ({ specs }: CompiledPolicy) => specs.flatMap((spec) => spec.rules);
  const textOf = ({ policy, path }: RuleName) => `${policy} ${path}`;
  return {
    add(policy) {
      for (const { number, name } of each(policy)) {
        const names = rules.get(number) ?? new Map<string, RuleName>();
        rules.set(number, names);
        names.set(textOf(name), name);
      }
    },
    delete(policy) {
      for (const { number, name } of each(policy)) {
        const names = rules.get(number);
        names?.delete(textOf(name));
        if (names?.size === 0) rules.delete(number);
      }
    },
    rulesOf: (number) => [...(rules.get(number)?.values() ?? [])],
  };
}
