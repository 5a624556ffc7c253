import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "@isthmus/model";
import { parseClusterId, parseClusterName, systemClock } from "@isthmus/model";
import { PeerState } from "@isthmus/proto";
import { createSourceIndex, remotePosition } from "@isthmus/records";
import type { RemoteSource } from "./index.js";
import { remoteStreamSource } from "./remote-stream-source.js";

const at = (revision: bigint) => remotePosition(Buffer.alloc(16, 1), revision);
const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** A peer's source at revision 5, a clock whose delay must not be used, and the number of times that a floor was checked. */
function source() {
  const index = createSourceIndex();
  const move = (revision: bigint) =>
    index.apply({ upserts: [], deletes: [], position: at(revision), observedMicros: 0 });
  move(5n);
  let looked = 0;
  const since = index.since;
  Object.assign(index, {
    since: (have: Parameters<typeof since>[0]) => {
      looked++;
      return since(have);
    },
  });
  const remote: Partial<RemoteSource> = {
    cluster: parseClusterName("west"),
    id: parseClusterId(2),
    index,
    status: () => PeerState.PEER_STATE_IN_SYNC,
  };
  const clock: Clock = { ...systemClock, delay: () => Promise.reject(new Error("it polls")) };
  return { index, move, stream: remoteStreamSource(remote as RemoteSource, clock), looked: () => looked };
}

test("catchUp resolves when a position reaches the floor, and checks only after new positions", async () => {
  const { stream, move, looked } = source();
  const life = new AbortController();
  let served = false;
  const caughtUp = stream.catchUp(at(7n), life.signal).then(() => {
    served = true;
  });
  await turn();
  assert.equal(looked(), 1);
  for (let i = 0; i < 100; i++) move(6n);
  await turn();
  assert.deepEqual([looked(), served], [2, false], "a hundred positions in one turn cause one check");
  move(7n);
  await caughtUp;
  assert.equal(looked(), 3);
  move(8n);
  await turn();
  assert.equal(looked(), 3, "no listener is left");
});

test("an error in a check, or an abort, ends the wait", async () => {
  const { stream, index, move } = source();
  const gone = new AbortController();
  const left = stream.catchUp(at(9n), gone.signal);
  gone.abort(new Error("the agent left"));
  await assert.rejects(left, /the agent left/);
  const waiting = stream.catchUp(at(9n), new AbortController().signal);
  Object.assign(index, {
    since: () => {
      throw new TypeError("a bug");
    },
  });
  move(9n);
  await assert.rejects(waiting, /a bug/);
});
