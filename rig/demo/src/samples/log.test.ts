import assert from "node:assert/strict";
import { test } from "node:test";
import { createSampleLog, lastAnswers } from "./log.js";

const start = '{"start":{"mono":5000000,"wall":1000000000,"rate":100,"deadline":1000000,"target":"10.0.0.1:80"}}';
const lines = [
  start,
  '{"responder":0,"name":"east/web-1","ready":4000000}',
  '{"responder":1,"name":"east/web-1","ready":0}',
  '{"s":[[1,"o",2000,0,1500],[0,"r",500,-1,-1]]}',
  '{"s":[[2,"t",1000000,-1,0],[3,"o",1000,1,500]]}',
];

test("samples get their times, outcome and responder", () => {
  const log = createSampleLog();
  const nobody = { cluster: "", pod: "", readyAt: null };
  const web = { cluster: "east", pod: "web-1" };
  for (const line of lines) log.line(line);
  assert.deepEqual(log.started(), { mono: 5000, wall: 1_000_000, rate: 100 });
  assert.deepEqual(log.samples(), [
    { number: 0, due: 5000, end: 5000.5, connected: null, outcome: "refused", ...nobody },
    { number: 1, due: 5010, end: 5012, connected: 5011.5, outcome: "ok", ...web, readyAt: 4000 },
    { number: 2, due: 5020, end: 6020, connected: 5020, outcome: "timeout", ...nobody },
    { number: 3, due: 5030, end: 5031, connected: 5030.5, outcome: "ok", ...web, readyAt: null },
  ]);
});

test("reading the output again adds nothing; a gap counts as missing", () => {
  const log = createSampleLog();
  for (const line of [...lines, ...lines]) log.line(line);
  assert.equal(log.samples().length, 4);
  assert.equal(log.missing(), 0);
  log.line('{"s":[[6,"o",2000,0,1500]]}');
  assert.equal(log.missing(), 2);
  log.line('{"end":{"sent":8}}');
  assert.equal(log.missing(), 3);
});

test("stalls of the client have their times, once each, and answers their clusters", () => {
  const log = createSampleLog();
  for (const line of [...lines, '{"stall":[5001000,5062000]}', '{"stall":[5001000,5062000]}']) log.line(line);
  assert.deepEqual(log.stalls(), [{ from: 5001, to: 5062 }]);
  assert.deepEqual(lastAnswers(log, 3), ["east", "", "east"]);
});

test("a line in another format is refused", () => {
  const log = createSampleLog();
  assert.throws(() => log.line('{"s":[[0,"o",1,0,1]]}'), /Cannot place/);
  log.line(start);
  assert.throws(() => log.line('{"s":[[0,"?",1,0,1]]}'), /Cannot place/);
  assert.throws(() => log.line("panic"));
});
