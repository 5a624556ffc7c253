import assert from "node:assert/strict";
import { test } from "node:test";
import { steady } from "./store-diagnostics.js";

const words = (last: string) => `Cannot read "/a" from the store: No connection established. Last error: ${last}`;

test("a sentence does not change with a time, a duration or a memory address", () => {
  const pairs = [
    [words("Protocol error (2026-11-21T14:55:59.280Z)"), words("Protocol error (2026-11-22T01:02:03.004Z)")],
    [
      'Cannot read "/a" from the store: Deadline exceeded after 3.005s,name resolution: 0.004s,Waiting for LB pick',
      'Cannot read "/a" from the store: Deadline exceeded after 3.001s,Waiting for LB pick',
    ],
    [
      words(
        "80FCE2E1C37F0000:error:0A000415:SSL routines:ssl3_read_bytes:sslv3 alert certificate expired:../x.c:1:SSL alert\n",
      ),
      words(
        "80ABCDE1C37F0000:error:0A000415:SSL routines:ssl3_read_bytes:sslv3 alert certificate expired:../x.c:2:SSL alert\n",
      ),
    ],
    ["The writer is silent for 17 s", "The writer is silent for 18.5 s"],
  ];
  for (const [one = "", other = ""] of pairs) assert.equal(steady(one), steady(other));
  assert.match(steady(pairs[2]?.[0] ?? ""), /Last error: sslv3 alert certificate expired$/);
  assert.equal(steady("Cannot write to the store: permission denied"), "Cannot write to the store: permission denied");
});
