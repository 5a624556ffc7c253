/**
 * Documented lists in the sources: the members of a union type, of an array, or of an interface whose properties are lists, each
 * with the comment before it. What follows "Fix:" in a comment is what a user can do.
 *
 *   export type StoreErrorCode =
 *     /** The store does not answer. Fix: check its endpoints. *\/
 *     | "STORE_UNAVAILABLE"
 *
 * A member of a union is a literal, or an object type whose `code` is one. A member of an array is a literal, or an object with a
 * `name` or `label` and perhaps a `meaning`, which then stands for the comment's.
 */
import type { ProductSource } from "@isthmus/checks";
import {
  type ArrayLiteralExpression,
  isArrayLiteralExpression,
  isAsExpression,
  isInterfaceDeclaration,
  isLiteralTypeNode,
  isNumericLiteral,
  isObjectLiteralExpression,
  isPropertyAssignment,
  isPropertySignatureDeclaration,
  isStringLiteral,
  isTypeAliasDeclaration,
  isTypeLiteralNode,
  isTypeReferenceNode,
  isUnionTypeNode,
  isVariableStatement,
  type Node,
  type ObjectLiteralExpression,
  type TypeNode,
} from "typescript/unstable/ast";

export interface Documented {
  readonly name: string;
  /** One or more sentences; "" when there is no comment. */
  readonly meaning: string;
  /** What a user can do; "" when the comment has no "Fix:". */
  readonly fix: string;
}

/** A property of an interface with the members of its union: a condition with its reasons. */
export interface DocumentedGroup extends Documented {
  readonly members: readonly Documented[];
}

/**
 * The members of the union type, or of the array, of this name, in their order. Throws unless the sources have exactly one.
 */
export function documented(sources: readonly ProductSource[], name: string): readonly Documented[] {
  return theOnly(
    sources.flatMap((source) => {
      const members = documentedIn(source, name);
      return members === undefined ? [] : [members];
    }),
    name,
  );
}

/** The same for one source; undefined when it has none of that name. */
export function documentedIn(source: ProductSource, name: string): readonly Documented[] | undefined {
  for (const statement of source.file.statements) {
    if (isTypeAliasDeclaration(statement) && statement.name.text === name) {
      const array = arrayNamed(statement.type);
      return array === undefined ? membersOfType(statement.type) : documentedIn(source, array);
    }
    const array = arrayOf(statement, name);
    if (array !== undefined) return membersOf(array.elements, array.elements.pos);
  }
  return undefined;
}

/** The properties of the interface of this name; the type of a property may be a union, or name one or an array. */
export function documentedGroups(sources: readonly ProductSource[], name: string): readonly DocumentedGroup[] {
  const found = sources.flatMap(({ file }) =>
    file.statements
      .filter(isInterfaceDeclaration)
      .filter((each) => each.name.text === name)
      .map((each) => each.members.filter(isPropertySignatureDeclaration)),
  );
  return theOnly(found, name).map((property) => {
    const { name: key, type } = property;
    const text = property.getSourceFile().text;
    return {
      name: isStringLiteral(key) ? key.text : key.getText(),
      ...parseComment(text.slice(property.getFullStart(), key.getStart())),
      members: type === undefined ? [] : membersNamed(sources, type),
    };
  });
}

function membersNamed(sources: readonly ProductSource[], type: TypeNode): readonly Documented[] {
  const name = isTypeReferenceNode(type) ? type.typeName.getText() : arrayNamed(type);
  return name === undefined ? membersOfType(type) : documented(sources, name);
}

/** `STATES` of `(typeof STATES)[number]` and of `(typeof STATES)[number]["name"]`. */
function arrayNamed(type: TypeNode): string | undefined {
  return /^\(typeof (\w+)\)\[number\](?:\["\w+"\])?$/.exec(type.getText())?.[1];
}

function theOnly<T>(found: readonly T[], name: string): T {
  const [only, ...more] = found;
  if (only === undefined || more.length > 0)
    throw new Error(`The sources have ${found.length} lists "${name}", not one`);
  return only;
}

/** Names of the exported types of a source that match. */
export function typeNames({ file }: ProductSource, pattern: RegExp): readonly string[] {
  return file.statements
    .filter(isTypeAliasDeclaration)
    .flatMap(({ name: { text } }) => (pattern.test(text) ? [text] : []));
}

function arrayOf(statement: Node, name: string): ArrayLiteralExpression | undefined {
  const [declaration] = isVariableStatement(statement) ? statement.declarationList.declarations : [];
  const value = declaration?.initializer;
  if (declaration?.name.getText() !== name || value === undefined) return undefined;
  const array = isAsExpression(value) ? value.expression : value;
  return isArrayLiteralExpression(array) ? array : undefined;
}

function membersOfType(type: TypeNode): readonly Documented[] {
  return membersOf(isUnionTypeNode(type) ? type.types : [type], type.pos);
}

/** A comment stands between the member before and its member; that of the first one after `start`. */
function membersOf(members: readonly Node[], start: number): readonly Documented[] {
  return members.flatMap((member, i) => {
    const comment = parseComment(member.getSourceFile().text.slice(members[i - 1]?.end ?? start, member.getStart()));
    if (isObjectLiteralExpression(member)) {
      const name = textOf(member, "name") ?? textOf(member, "label");
      const meaning = textOf(member, "meaning");
      return name === undefined
        ? []
        : [{ ...comment, name, ...(meaning === undefined ? {} : { meaning: `${meaning}.` }) }];
    }
    const name = literalOf(member);
    return name === undefined ? [] : [{ name, ...comment }];
  });
}

/** The text of a property of an object. */
function textOf(object: ObjectLiteralExpression, name: string): string | undefined {
  const property = object.properties.filter(isPropertyAssignment).find((each) => each.name.getText() === name);
  return property !== undefined && isStringLiteral(property.initializer) ? property.initializer.text : undefined;
}

function literalOf(member: Node): string | undefined {
  if (isStringLiteral(member) || isNumericLiteral(member)) return member.text;
  if (isLiteralTypeNode(member)) return literalOf(member.literal);
  if (!isTypeLiteralNode(member)) return undefined;
  const code = member.members.filter(isPropertySignatureDeclaration).find(({ name }) => name.getText() === "code");
  return code?.type === undefined ? undefined : literalOf(code.type);
}

/** Splits the last documentation comment of a text into meaning and fix, both as one line. */
export function parseComment(text: string): Pick<Documented, "meaning" | "fix"> {
  const comment = [...text.matchAll(/\/\*\*([\s\S]*?)\*\//g)].at(-1)?.[1] ?? "";
  const line = comment
    .replace(/^\s*\*/gm, " ")
    .replace(/\s+/g, " ")
    .trim();
  const [meaning = "", fix = ""] = line.split(/(?:^| )Fix: /);
  return { meaning: meaning.trim(), fix: fix.trim() };
}
