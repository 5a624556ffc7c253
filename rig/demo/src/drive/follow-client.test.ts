import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { test } from "node:test";
import type { Transport } from "@isthmus/kube";
import { createSampleLog } from "../samples/log.js";
import { followClient } from "./follow-client.js";

const START = '{"start":{"mono":1000000,"wall":1000000,"rate":100,"deadline":1000000,"target":"10.0.0.1:80"}}\n';
const FIRST = '{"responder":0,"name":"east/web-1"}\n{"s":[[0,"o",900,0,500],[1,"o",900,0,500]]}\n';
const REST = '{"s":[[2,"r",900,-1,-1]]}\n{"end":{"sent":3}}\n';

/** An API server that returns the given answers in order: chunks of the pod's output, or an error. */
function serving(...answers: readonly (readonly string[] | Error)[]): Transport {
  let turn = 0;
  return {
    server: "",
    json: async () => assert.fail("no call is expected"),
    close: () => undefined,
    async stream() {
      const answer = answers[Math.min(turn, answers.length - 1)] ?? [];
      turn += 1;
      if (answer instanceof Error) throw answer;
      return Readable.from(answer) as unknown as IncomingMessage;
    },
  };
}

test("a stream that is cut, fails and is read again gives every sample once", async () => {
  const log = createSampleLog();
  const cut = [START, FIRST.slice(0, 30), FIRST.slice(30), '{"s":[[2,"r"'];
  const transport = serving(new Error("not running yet"), cut, new Error("away"), [START, FIRST, REST]);
  await followClient(transport, "/pod", log, new AbortController().signal);
  assert.equal(log.samples().length, 3);
  assert.equal(log.missing(), 0);
  assert.equal(log.ended(), 3);
});

test("an abort ends following", async () => {
  const stop = new AbortController();
  stop.abort();
  await followClient(serving([START]), "/pod", createSampleLog(), stop.signal);
});
