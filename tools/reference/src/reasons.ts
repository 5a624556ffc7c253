/** Conditions with their reasons, and the reasons of Events. */
import { nodesOf, type ProductSource } from "@isthmus/checks";
import { isCallExpression, isPropertyAccessExpression } from "typescript/unstable/ast";
import type { Documented, DocumentedGroup } from "./documented.js";
import { propertyLiterals } from "./literals.js";
import { code, sentence, table, wrap } from "./page.js";

/** Conditions of one kind of object. */
export interface Conditions {
  /** `MeshCluster` */
  readonly object: string;
  readonly types: readonly DocumentedGroup[];
}

/**
 * Reasons of Events, without comment or not documented: each call of `report` with a `ReportedEvent` must have a reason that
 * `known` has.
 */
export function eventFindings(sources: readonly ProductSource[], known: ReadonlySet<string>): readonly string[] {
  return sources.flatMap((source) =>
    reportedBy(source).flatMap(({ reasons, line }) => {
      const where = `${source.path}:${line}`;
      if (reasons === undefined) return [`${where}: the reason of this Event is not a literal`];
      return reasons
        .filter((reason) => !known.has(reason))
        .map((reason) => `${where}: reason "${reason}" of an Event is not documented: add it to EventReason`);
    }),
  );
}

function reportedBy({ file, checker }: ProductSource) {
  return [...nodesOf(file)].filter(isCallExpression).flatMap((call) => {
    const [argument] = call.arguments;
    const { expression } = call;
    if (argument === undefined || !isPropertyAccessExpression(expression) || expression.name.text !== "report")
      return [];
    if (checker.getContextualType(argument)?.getSymbol()?.name !== "ReportedEvent") return [];
    const type = checker.getTypeAtLocation(argument);
    // An Event that is passed on was checked where it was made.
    if (type === undefined || type.getSymbol()?.name === "ReportedEvent") return [];
    const line = file.getLineAndCharacterOfPosition(call.getStart()).line + 1;
    return [{ reasons: propertyLiterals(argument, "reason", checker), line }];
  });
}

/** Lists and their members without a comment. */
export function commentFindings(lists: ReadonlyMap<string, readonly Documented[]>): readonly string[] {
  return [...lists].flatMap(([name, members]) =>
    members.filter(({ meaning }) => meaning === "").map((member) => `${name}: "${member.name}" has no comment`),
  );
}

export function conditionsText(conditions: readonly Conditions[], events: readonly Documented[]): string {
  const objects = conditions.map(({ object, types }) =>
    [`## ${object}`, ...types.map((type) => conditionText(type))].join("\n\n"),
  );
  return [...objects, `## Events\n\n${memberTable("Reason", events)}`].join("\n\n");
}

function conditionText({ name, meaning, members }: DocumentedGroup): string {
  return [`### ${name}`, wrap(meaning), memberTable("Reason", members)].join("\n\n");
}

/** The members of a list in its order, with what they mean and what to do. */
export function memberTable(head: string, members: readonly Documented[]): string {
  return table(
    [head, "Meaning", "What to do"],
    members.map(({ name, meaning, fix }) => [code(name), meaning, fix === "" ? "Nothing." : sentence(fix)]),
  );
}
