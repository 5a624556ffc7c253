import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeClient } from "@isthmus/kube";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { createApiHeartbeat } from "./api-heartbeat.js";

/** A client whose answer is what `get` returns or throws. */
function makeHeartbeat(get: () => unknown, onUid: (uid: string) => void) {
  const clock = createFakeClock();
  const client = { get: async () => get() } as unknown as KubeClient;
  return { clock, heartbeat: createApiHeartbeat({ client, clock, log: silentLogger, onUid }) };
}

test("a failed request is the problem until one succeeds; another uid is reported once", async () => {
  const uids: string[] = [];
  let answer: () => unknown = () => {
    throw new Error("refused");
  };
  const { clock, heartbeat } = makeHeartbeat(
    () => answer(),
    (uid) => void uids.push(uid),
  );
  const stop = new AbortController();
  const running = heartbeat.run(stop.signal);
  await clock.advance(250);
  assert.match(heartbeat.problem ?? "", /refused/);
  answer = () => ({ metadata: { uid: "a" } });
  await clock.advance(250);
  assert.deepEqual([heartbeat.problem, heartbeat.uid], [undefined, "a"]);
  await clock.advance(2000);
  answer = () => ({ metadata: { uid: "b" } });
  await clock.advance(2000);
  assert.deepEqual(uids, ["a", "b"]);
  stop.abort();
  await running;
});

test("an error of the listener is no failed request: it ends the run", async () => {
  const { heartbeat } = makeHeartbeat(
    () => ({ metadata: { uid: "a" } }),
    () => {
      throw new Error("a bug");
    },
  );
  await assert.rejects(heartbeat.run(new AbortController().signal), /a bug/);
  assert.equal(heartbeat.problem, undefined);
});
