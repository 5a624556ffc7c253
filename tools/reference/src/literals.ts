/** Which string literals a property of an object can have. */
import {
  type Expression,
  isObjectLiteralExpression,
  isPropertyAssignment,
  isShorthandPropertyAssignment,
  isSpreadAssignment,
} from "typescript/unstable/ast";
import type { Checker, Type } from "typescript/unstable/sync";

/** The string literals of a type: all of the values that it can have, or undefined when they are not known. */
export function literalsOf(type: Type | undefined): readonly string[] | undefined {
  if (type === undefined) return undefined;
  if (type.isStringLiteralType()) return [type.value];
  if (!type.isUnionType()) return undefined;
  const parts = type.getTypes().map(literalsOf);
  return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
}

/**
 * The values of a property of the object that an expression makes; undefined when they are not known. Of an object literal the
 * property as written counts: the type of the object would be wider.
 */
export function propertyLiterals(object: Expression, name: string, checker: Checker): readonly string[] | undefined {
  return (
    writtenLiterals(object, name, checker) ?? typeLiterals(checker.getTypeAtLocation(object), object, name, checker)
  );
}

/** The values of a property of a type. */
export function typeLiterals(
  type: Type | undefined,
  location: Expression,
  name: string,
  checker: Checker,
): readonly string[] | undefined {
  const symbol = type && checker.getPropertyOfType(type, name);
  return symbol && literalsOf(checker.getTypeOfSymbolAtLocation(symbol, location));
}

function writtenLiterals(object: Expression, name: string, checker: Checker): readonly string[] | undefined {
  if (!isObjectLiteralExpression(object)) return undefined;
  for (const property of object.properties) {
    if (isSpreadAssignment(property)) {
      const spread = writtenLiterals(property.expression, name, checker);
      if (spread !== undefined) return spread;
    } else if (property.name.getText() === name) {
      if (isPropertyAssignment(property)) return literalsOf(checker.getTypeAtLocation(property.initializer));
      const symbol = isShorthandPropertyAssignment(property)
        ? checker.getShorthandAssignmentValueSymbol(property)
        : undefined;
      return symbol && literalsOf(checker.getTypeOfSymbolAtLocation(symbol, property));
    }
  }
  return undefined;
}
