/**
 * The names of an enum of the wire, and how values of writers of adjacent versions are read (ADR 20).
 *
 * A message carries the enum and beside it the name as text. This version writes both and reads the enum. A writer of the
 * version before sets the text only; a writer of the next version may send a number without a name here.
 */

/** One value of an enum of the wire. */
export interface Word<E extends number> {
  /** The number on the wire. */
  readonly value: E;
  /** The text in conditions, labels and the CLI, and beside the enum on the wire. */
  readonly name: string;
  /** What the value says, in one sentence without a full stop. */
  readonly meaning: string;
}

export interface Vocabulary<E extends number> {
  /** The name of a value; `Unknown` for UNSPECIFIED, `Unknown (7)` for a value without a name. */
  name(value: E): string;
  /**
   * The value of a message with this enum and text. UNSPECIFIED when neither is known; a number without a name is
   * returned as it is, and equals no value that a reader compares it with.
   */
  read(value: E, text: string): E;
  /** The text to show for a message: the name of its enum, or the text of a writer that does not set the enum. */
  show(value: E, text: string): string;
}

/** `words`: each value and each name once. */
export function createVocabulary<E extends number>(words: readonly Word<E>[]): Vocabulary<E> {
  const names = new Map<number, string>(words.map(({ value, name }) => [value, name]));
  const values = new Map(words.map(({ value, name }) => [name, value]));
  const name = (value: E): string => names.get(value) ?? (value === 0 ? "Unknown" : `Unknown (${value})`);
  return {
    name,
    read: (value, text) => (value === 0 ? (values.get(text) ?? value) : value),
    show: (value, text) => (value === 0 && text !== "" ? text : name(value)),
  };
}
