/** The truth tables against the evaluator; `make truth-tables` tries them with real connections. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createEvaluator } from "./evaluate.js";
import { parseGrid } from "./grid.js";
import { PODS } from "./pods.js";
import { TABLES } from "./tables.js";

/** Of each pod an address of the pod range of its cluster. */
const addressOf = (pod: string): string => {
  const index = PODS.findIndex(({ name }) => name === pod);
  return `10.${PODS[index]?.cluster === "solo" ? 1 : 2}.0.${10 + index}`;
};

describe("the evaluator says what each truth table does", () => {
  for (const { name, steps } of TABLES)
    test(name, async () => {
      const evaluator = createEvaluator(addressOf);
      for (const { text, changes, reach, refused } of steps) {
        const findings = changes.flatMap((change) => evaluator.change(change));
        const paths = findings.map(({ path }) => path);
        if (refused === undefined) assert.deepEqual(findings, [], text);
        else
          assert.ok(
            paths.some((path) => path.startsWith(refused)),
            `${text}: ${JSON.stringify(findings)}`,
          );
        assert.equal(await evaluator.grid(), parseGrid(reach), text);
      }
    });
});
