/**
 * The errors that a source makes: each `new` of MeshError or of a class that extends it, with its code and its sentence.
 *
 * A code is known when its type is a string literal or a union of them. Of the sentence, what is filled in is "…"; a sentence
 * that is not written at that place is left out.
 */
import { nodesOf, type ProductSource } from "@isthmus/checks";
import {
  type Expression,
  isBinaryExpression,
  isConditionalExpression,
  isIdentifier,
  isNewExpression,
  isNoSubstitutionTemplateLiteral,
  isParenthesizedExpression,
  isStringLiteral,
  isTemplateExpression,
  isVariableDeclaration,
  type NewExpression,
  SyntaxKind,
} from "typescript/unstable/ast";
import type { Checker, Type } from "typescript/unstable/sync";
import { propertyLiterals, typeLiterals } from "./literals.js";

export interface Thrown {
  /** Undefined: the code is not a literal. */
  readonly codes: readonly string[] | undefined;
  readonly sentences: readonly string[];
  /** From 1. */
  readonly line: number;
}

export function thrownBy({ file, checker }: ProductSource): readonly Thrown[] {
  return [...nodesOf(file)].filter(isNewExpression).flatMap((node): Thrown[] => {
    const type = checker.getTypeAtLocation(node);
    if (type === undefined || !isMeshError(type)) return [];
    const sentence = node.arguments?.[1];
    const forms = sentence === undefined ? [] : formsOf(sentence, checker);
    return [
      {
        codes: codesOf(node, type, checker),
        sentences: forms.filter((form) => /\w/.test(form.replace(/^Cannot\b/, ""))),
        line: file.getLineAndCharacterOfPosition(node.getStart()).line + 1,
      },
    ];
  });
}

function isMeshError(type: Type): boolean {
  if (type.getSymbol()?.name === "MeshError") return true;
  return (type.getBaseTypes() ?? []).some(isMeshError);
}

/** From the data that are given, which may be more precise than those of the class. */
function codesOf(node: NewExpression, type: Type, checker: Checker): readonly string[] | undefined {
  const [data] = node.arguments ?? [];
  const given = data === undefined ? undefined : propertyLiterals(data, "code", checker);
  return given ?? typeLiterals(type, node, "code", checker);
}

/** The texts that a string expression can have; what is not known of them is "…". */
function formsOf(node: Expression, checker: Checker): readonly string[] {
  if (isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node)) return [node.text];
  if (isParenthesizedExpression(node)) return formsOf(node.expression, checker);
  if (isTemplateExpression(node))
    return [node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join("")];
  if (isConditionalExpression(node)) return [...formsOf(node.whenTrue, checker), ...formsOf(node.whenFalse, checker)];
  if (isBinaryExpression(node) && node.operatorToken.kind === SyntaxKind.PlusToken)
    return formsOf(node.left, checker).flatMap((left) => formsOf(node.right, checker).map((right) => left + right));
  if (!isIdentifier(node)) return [];
  const declaration = checker.getSymbolAtLocation(node)?.valueDeclaration?.resolve();
  const value = declaration && isVariableDeclaration(declaration) ? declaration.initializer : undefined;
  return value === undefined ? [] : formsOf(value, checker);
}
