import assert from "node:assert/strict";
import { test } from "node:test";
import { runOf } from "./drill-clients.js";
import { createLedger, lineOfCurl } from "./ledger.js";

test("a ledger counts results, and different errors each", () => {
  const ledger = createLedger();
  for (const line of ["ok 3 200", "established 9 ECONNRESET", "ok 40 200", "established 1 ECONNRESET", "end 4"])
    ledger.line(line);
  assert.deepEqual(ledger.counts, { ok: 2, connect: 0, established: 2 });
  assert.deepEqual([...ledger.errors], [["established: ECONNRESET", 2]]);
  assert.deepEqual([ledger.slowestMs, ledger.sent], [40, 4]);
  assert.equal(runOf("x", "fresh", ledger).passed, true);
  assert.throws(() => ledger.line("panic: nil"), /Cannot read a client's line/);
});

test("a failed connect, a request without a result, and no answer at all do not pass", () => {
  for (const lines of [["ok 1", "connect 1000 ECONNREFUSED", "end 2"], ["ok 1", "end 2"], ["end 0"]]) {
    const ledger = createLedger();
    for (const line of lines) ledger.line(line);
    assert.equal(runOf("x", "fresh", ledger).passed, false, lines.join());
  }
});

test("curl's lines tell a connect from an established connection", () => {
  assert.equal(lineOfCurl("0 0.000071 0.000210 "), "ok 0");
  assert.equal(lineOfCurl("7 0.000000 0.001000 Failed to connect"), "connect 1 7 Failed to connect");
  assert.equal(lineOfCurl("28 0.000000 1.001000 Connection timed out"), "connect 1001 28 Connection timed out");
  assert.equal(lineOfCurl("52 0.000060 0.000200 Empty reply"), "established 0 52 Empty reply");
  assert.equal(lineOfCurl("56 0.000000 0.000200 Recv failure"), "established 0 56 Recv failure");
});
