/**
 * Reads fields of an object of the API strictly: what is unknown or malformed is a finding, never a guess and never thrown.
 *
 * As in the API, a field that is null is absent.
 */
import { printable } from "@isthmus/model";

/** Why a policy is not accepted. */
export interface Finding {
  /** The field, as written in the object: `spec.ingress[0].from[1].ipBlock.cidr`. */
  readonly path: string;
  /** What is wrong with it and what to do. No full stop. */
  readonly sentence: string;
}

export type Fields = Readonly<Record<string, unknown>>;

/** An object that was read at a path, and where its findings go. */
export interface Reader {
  /** So far, in the order of the fields. */
  readonly findings: Finding[];
  /** Adds a finding about the field at `path`; `fix` begins with "must be" or "is". */
  refuse(path: string, fix: string): void;
}

/** A reader without findings. */
export function createReader(): Reader {
  const findings: Finding[] = [];
  return {
    findings,
    refuse(path, fix) {
      findings.push({ path, sentence: `Field "${printable(path)}" ${fix}` });
    },
  };
}

/** The object at `path`; undefined, with a finding, for anything else. Fields that are not among `known` are findings. */
export function readObject(reader: Reader, value: unknown, path: string, known: readonly string[]): Fields | undefined {
  const fields = readMap(reader, value, path);
  if (fields === undefined) return undefined;
  for (const [name, one] of Object.entries(fields)) {
    if (known.includes(name) || isAbsent(one)) continue;
    reader.refuse(joinPath(path, name), `is not supported: remove it; supported here: ${known.join(", ")}`);
  }
  return fields;
}

/** As `readObject`, with any fields. */
export function readMap(reader: Reader, value: unknown, path: string): Fields | undefined {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  reader.refuse(path, `must be an object, not ${describe(value)}`);
  return undefined;
}

/** Elements with their paths; none for an absent field. */
export function readList(reader: Reader, value: unknown, path: string): readonly (readonly [unknown, string])[] {
  if (isAbsent(value)) return [];
  if (Array.isArray(value)) return Array.from(value, (one: unknown, i) => [one, `${path}[${i}]`] as const);
  reader.refuse(path, `must be a list, not ${describe(value)}`);
  return [];
}

/** The text at `path`; undefined, with a finding, for anything else. */
export function readText(reader: Reader, value: unknown, path: string): string | undefined {
  if (typeof value === "string") return value;
  reader.refuse(path, `must be a text, not ${describe(value)}`);
  return undefined;
}

/** The text if it is one of `known`; undefined, with a finding, for anything else. */
export function readChoice<T extends string>(
  reader: Reader,
  value: unknown,
  path: string,
  known: readonly T[],
): T | undefined {
  const choice = known.find((one) => one === value);
  if (choice === undefined) reader.refuse(path, `must be one of ${known.join(", ")}, not ${describe(value)}`);
  return choice;
}

/** The path of a field of the object at `path`. */
export function joinPath(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/** True for what the API takes as not written. */
export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** A value as in a sentence, cut where it is long. */
export function describe(value: unknown): string {
  if (typeof value === "string") return `"${printable(value, 60)}"`;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (isAbsent(value)) return "absent";
  return Array.isArray(value) ? "a list" : `a value of type ${typeof value}`;
}
