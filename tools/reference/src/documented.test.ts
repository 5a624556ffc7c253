import assert from "node:assert/strict";
import { test } from "node:test";
import { withFiles } from "@isthmus/checks/testing";
import { documented, documentedGroups } from "./documented.js";

const SOURCE = `
/** Not a member. */
export type Code =
  /** First. Fix: do this. */
  | "ONE"
  /**
   * Second, over
   * two lines.
   */
  | { readonly code: "TWO"; readonly value: string }
  | "THREE";
/** Not a member. */
export type Single = /** Alone. */ "ONE";
export type Bare = "ONE";
export const STATES = [
  /** Begins. */
  "start",
  "end",
] as const;
export type State = (typeof STATES)[number];
const enum E { A }
export const WORDS: readonly { readonly value: E; readonly name: string; readonly meaning: string }[] = [
  /** Fix: wait. */
  { value: E.A, name: "Waiting", meaning: "It waits" },
  { value: E.A, name: "Done", meaning: "It is done" },
];
export const LABELS = [{ label: "live" }] as const;
export type Exit =
  /** Fine. */
  | 0
  | 2;
export interface Reasons {
  /** The first condition. */
  readonly Ready: State;
  /** Words. */
  readonly Words: (typeof WORDS)[number]["name"];
  readonly "x.y/Other": /** Why. */ "A" | "B";
}
`;
const read = (name: string) => withFiles({ "libs/a/src/x.ts": SOURCE }, (sources) => documented(sources, name));

test("each member of a union has the comment before it, and what follows Fix: apart", () => {
  assert.deepEqual(read("Code"), [
    { name: "ONE", meaning: "First.", fix: "do this." },
    { name: "TWO", meaning: "Second, over two lines.", fix: "" },
    { name: "THREE", meaning: "", fix: "" },
  ]);
});

test("the comment of the type is not that of its only member", () => {
  assert.deepEqual(read("Single"), [{ name: "ONE", meaning: "Alone.", fix: "" }]);
  assert.deepEqual(read("Bare"), [{ name: "ONE", meaning: "", fix: "" }]);
});

test("arrays, types made of them, and numbers", () => {
  const states = [
    { name: "start", meaning: "Begins.", fix: "" },
    { name: "end", meaning: "", fix: "" },
  ];
  assert.deepEqual(read("STATES"), states);
  assert.deepEqual(read("State"), states);
  assert.deepEqual(
    read("Exit").map(({ name, meaning }) => [name, meaning]),
    [
      ["0", "Fine."],
      ["2", ""],
    ],
  );
});

test("words of a vocabulary have their own meanings, and the comment says what to do", () => {
  assert.deepEqual(read("WORDS"), [
    { name: "Waiting", meaning: "It waits.", fix: "wait." },
    { name: "Done", meaning: "It is done.", fix: "" },
  ]);
  assert.deepEqual(read("LABELS"), [{ name: "live", meaning: "", fix: "" }]);
});

test("the properties of an interface have their comments and the members of their unions", () => {
  const [ready, words, other] = withFiles({ "libs/a/src/x.ts": SOURCE }, (sources) =>
    documentedGroups(sources, "Reasons"),
  );
  assert.deepEqual([ready?.name, ready?.meaning, ready?.members.length], ["Ready", "The first condition.", 2]);
  assert.deepEqual([words?.meaning, words?.members.map(({ name }) => name)], ["Words.", ["Waiting", "Done"]]);
  assert.deepEqual([other?.name, other?.meaning, other?.members[0]?.meaning], ["x.y/Other", "", "Why."]);
});

test("a name that the sources have not, or twice, is an error", () => {
  assert.throws(() => read("None"), /0 lists "None"/);
  const files = { "libs/a/src/x.ts": SOURCE, "libs/b/src/x.ts": SOURCE };
  assert.throws(() => withFiles(files, (sources) => documented(sources, "Code")), /2 lists "Code"/);
});
