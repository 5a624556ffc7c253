/** tools/kernels is plain JavaScript, which runs before anything is built; its decisions are tested here. */
import assert from "node:assert/strict";
import { test } from "node:test";

interface Instructions {
  parseCount(line: string): { readonly program: string; readonly walked: number } | undefined;
  compareCounts(
    counts: Readonly<Record<string, number>>,
    baseline: Readonly<Record<string, number>>,
  ): readonly string[];
}

const url = new URL("../../kernels/instructions.mjs", import.meta.url);
const { parseCount, compareCounts } = (await import(url.href)) as Instructions;

test("a count is parsed only from the lines of the verifier test", () => {
  const line = "# sock_connect4: 932 instructions, 4904 walked by the verifier";
  assert.deepEqual(parseCount(line), { program: "sock_connect4", walked: 4904 });
  assert.deepEqual(parseCount(`${line}\r`), { program: "sock_connect4", walked: 4904 });
  assert.equal(parseCount("ok 1 - sock.bpf.o passes the verifier"), undefined);
});

test("up to a tenth more is accepted; more than that, a new program and a missing one are findings", () => {
  assert.deepEqual(compareCounts({ a: 110, b: 5 }, { a: 100, b: 50 }), []);
  assert.deepEqual(compareCounts({ a: 111 }, { a: 100 }), ['"a" walks 111, the baseline is 100']);
  assert.match(compareCounts({ a: 1 }, {})[0] ?? "", /"a" walks 1 and has no baseline/);
  assert.match(compareCounts({}, { a: 1 })[0] ?? "", /"a" is in the baseline and was not loaded/);
});
