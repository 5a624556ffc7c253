/** Reads a LabelSelector of the API into requirements, with the checks that the API server makes. */
import { isExcludedLabel } from "@isthmus/identity";
import type { Requirement } from "../model/selector.js";
import {
  describe,
  isAbsent,
  joinPath,
  type Reader,
  readChoice,
  readList,
  readMap,
  readObject,
  readText,
} from "./findings.js";

const OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;

/** Turns a key as it is written at a path into the key of an identity's label; refuses what is no key or cannot be selected. */
export type KeyMapper = (key: string, path: string) => string;

/** Requirements of the selector at `path`, those of fields without findings. An empty selector has none. */
export function readLabelSelector(reader: Reader, value: unknown, path: string, mapKey: KeyMapper): Requirement[] {
  const fields = readObject(reader, value, path, ["matchLabels", "matchExpressions"]);
  if (fields === undefined) return [];
  const { matchLabels, matchExpressions } = fields;
  return [
    ...readMatchLabels(reader, matchLabels, joinPath(path, "matchLabels"), mapKey),
    ...readList(reader, matchExpressions, joinPath(path, "matchExpressions")).flatMap(([one, at]) =>
      readExpression(reader, one, at, mapKey),
    ),
  ];
}

function readMatchLabels(reader: Reader, value: unknown, path: string, mapKey: KeyMapper): Requirement[] {
  if (isAbsent(value)) return [];
  return Object.entries(readMap(reader, value, path) ?? {}).map(([key, one]): Requirement => {
    const at = joinPath(path, key);
    return { key: mapKey(key, at), operator: "In", values: [readValue(reader, one, at)] };
  });
}

function readExpression(reader: Reader, value: unknown, path: string, mapKey: KeyMapper): Requirement[] {
  const fields = readObject(reader, value, path, ["key", "operator", "values"]);
  if (fields === undefined) return [];
  const at = joinPath(path, "values");
  const written = readText(reader, fields["key"], joinPath(path, "key"));
  const operator = readChoice(reader, fields["operator"], joinPath(path, "operator"), OPERATORS);
  const values = readList(reader, fields["values"], at).map(([one, where]) => readValue(reader, one, where));
  if (written === undefined || operator === undefined) return [];
  const key = mapKey(written, joinPath(path, "key"));
  if (operator === "In" || operator === "NotIn") {
    if (values.length === 0) reader.refuse(at, `must have a value for the operator ${operator}`);
    return [{ key, operator, values }];
  }
  if (values.length > 0) reader.refuse(at, `must be empty for the operator ${operator}`);
  return [{ key, operator }];
}

function readValue(reader: Reader, value: unknown, path: string): string {
  const text = readText(reader, value, path) ?? "";
  if (!isLabelValue(text))
    reader.refuse(path, `must be a label value, at most 63 letters, digits, "-", "_", ".", not ${describe(text)}`);
  return text;
}

/** Refuses what is no label key. */
export function checkLabelKey(reader: Reader, key: string, path: string): void {
  if (!isLabelKey(key))
    reader.refuse(path, `must be a label key such as "app" or "example.com/app", not ${describe(key)}`);
}

/** Refuses a key of pod labels that identities are made without: it would select nobody. */
export function checkSelectable(reader: Reader, key: string, path: string): void {
  if (isExcludedLabel(key))
    reader.refuse(
      path,
      `must be another label than ${describe(key)}, which is no part of identities because it changes with each pod or rollout`,
    );
}

const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** True for what a label may have as its value. */
export function isLabelValue(text: string): boolean {
  return LABEL_VALUE.test(text) && text.length <= 63;
}

/** True for `app` and `example.com/app`. */
export function isLabelKey(key: string): boolean {
  const slash = key.indexOf("/");
  const [prefix, name] = [key.slice(0, Math.max(slash, 0)), key.slice(slash + 1)];
  const isName = name !== "" && name.length <= 63 && LABEL_VALUE.test(name);
  return isName && (slash < 0 || (prefix.length <= 253 && DNS_SUBDOMAIN.test(prefix)));
}
