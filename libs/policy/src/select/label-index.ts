/**
 * Finds the selectors that match a label set, without asking each.
 *
 * A selector is kept under labels that every label set which it matches must have: the values of one `In` requirement, else an
 * `Exists` key. Of several `In` it takes the key for which selectors have the most values, since the fewest label sets have just
 * this one: a label that all have costs nothing. Those with neither are asked every time.
 */
import type { Labels } from "@isthmus/identity";
import { type Requirement, type Selector, selects } from "../model/selector.js";

interface Entry<T> {
  readonly selector: Selector;
  readonly value: T;
  /** The requirement under whose labels it is kept. */
  readonly home: Requirement | undefined;
}

/** Selectors by text, so that one is deleted at once. */
type Entries<T> = Map<string, Entry<T>>;

export interface LabelIndex<T> {
  /** Each selector text at most once. */
  add(selector: Selector, value: T): void;
  /** Nothing happens for one that is not there. */
  delete(selector: Selector): void;
  /** Appends the values of all selectors that match to `into`, each once, in no order. */
  collect(labels: Labels, into: T[]): void;
}

/** Values under which a selector with an `Exists` key is kept; no label has it. */
const ANY_VALUE = "*";

/** An empty index; `T` is what is found. */
export function createLabelIndex<T>(): LabelIndex<T> {
  const all: Entries<T> = new Map();
  const byLabel = new Map<string, Map<string, Entries<T>>>();
  const rest: Entries<T> = new Map();

  /** By key, the values that selectors ask for, with how many do. */
  const asked = new Map<string, Map<string, number>>();

  function count({ requirements }: Selector, change: 1 | -1): void {
    for (const requirement of requirements) {
      if (requirement.operator !== "In") continue;
      const values = asked.get(requirement.key) ?? new Map<string, number>();
      asked.set(requirement.key, values);
      for (const value of requirement.values) {
        const uses = (values.get(value) ?? 0) + change;
        if (uses > 0) values.set(value, uses);
        else values.delete(value);
      }
      if (values.size === 0) asked.delete(requirement.key);
    }
  }

  /** The share of label sets that have the labels, roughly: 1 is all. */
  function share(requirement: Requirement): number {
    if (requirement.operator === "Exists") return 1;
    if (requirement.operator !== "In") return Number.POSITIVE_INFINITY;
    return requirement.values.length / (1 + (asked.get(requirement.key)?.size ?? 0));
  }

  function rarest(requirements: readonly Requirement[]): Requirement | undefined {
    let best: Requirement | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const requirement of requirements) {
      const its = share(requirement);
      if (its < least) [best, least] = [requirement, its];
    }
    return best;
  }

  function insert(key: string, value: string, entry: Entry<T>): void {
    const values = byLabel.get(key) ?? new Map<string, Entries<T>>();
    byLabel.set(key, values);
    const entries = values.get(value) ?? new Map<string, Entry<T>>();
    values.set(value, entries);
    entries.set(entry.selector.text, entry);
  }

  function remove(key: string, value: string, text: string): void {
    const values = byLabel.get(key);
    const entries = values?.get(value);
    entries?.delete(text);
    if (entries?.size === 0) values?.delete(value);
    if (values?.size === 0) byLabel.delete(key);
  }

  function collectLabel(values: Map<string, Entries<T>> | undefined, value: string, labels: Labels, into: T[]): void {
    if (values === undefined) return;
    collectFrom(values.get(value), labels, into);
    collectFrom(values.get(ANY_VALUE), labels, into);
  }

  return {
    add(selector, value) {
      count(selector, 1);
      const entry = { selector, value, home: rarest(selector.requirements) };
      all.set(selector.text, entry);
      if (entry.home === undefined) rest.set(selector.text, entry);
      else for (const one of homeValues(entry.home)) insert(entry.home.key, one, entry);
    },
    delete({ text }) {
      const entry = all.get(text);
      if (entry === undefined) return;
      const { home } = entry;
      count(entry.selector, -1);
      all.delete(text);
      rest.delete(text);
      if (home !== undefined) for (const one of homeValues(home)) remove(home.key, one, text);
    },
    collect(labels, into) {
      if (byLabel.size < labels.size) {
        for (const [key, values] of byLabel) {
          const value = labels.get(key);
          if (value !== undefined) collectLabel(values, value, labels, into);
        }
      } else {
        for (const [key, value] of labels) collectLabel(byLabel.get(key), value, labels, into);
      }
      collectFrom(rest, labels, into);
    },
  };
}

function homeValues(home: Requirement): readonly string[] {
  return "values" in home ? home.values : [ANY_VALUE];
}

function collectFrom<T>(entries: Entries<T> | undefined, labels: Labels, into: T[]): void {
  if (entries === undefined) return;
  for (const { selector, value } of entries.values()) if (selects(selector, labels)) into.push(value);
}
