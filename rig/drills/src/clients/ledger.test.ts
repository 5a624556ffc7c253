import assert from "node:assert/strict";
import { test } from "node:test";
import { runOf } from "./drill-clients.js";
import { createCurlReader, createLedger } from "./ledger.js";

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

test("curl's output tells a connect from an established connection", () => {
  const read = createCurlReader();
  const last = (...lines: readonly string[]) => lines.map(read).at(-1);
  assert.equal(read("< HTTP/1.1 200 OK"), undefined);
  assert.equal(read("ledger 0 0.000071 0.000210 "), "ok 0");
  const refused = "* connect to 10.96.0.1 port 80 failed: Connection refused";
  assert.equal(last(refused, "ledger 7 0.000000 0.001000 Failed to connect"), "connect 1 7 Connection refused");
  const reset = "* connect to 10.96.0.1 port 80 failed: Connection reset by peer";
  assert.equal(last(reset, "ledger 7 0.000000 0.005000 Failed"), "established 5 7 Connection reset by peer");
  assert.equal(read("ledger 28 0.000000 1.001000 Connection timed out"), "connect 1001 28 Connection timed out");
  assert.equal(read("ledger 52 0.000060 0.000200 Empty reply"), "established 0 52 Empty reply");
  assert.equal(read("ledger 56 0.000000 0.000200 Recv failure"), "established 0 56 Recv failure");
});
