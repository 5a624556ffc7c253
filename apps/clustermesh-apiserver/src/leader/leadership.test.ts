import assert from "node:assert/strict";
import { test } from "node:test";
import { type KubeClient, KubeError, type KubeLease } from "@isthmus/kube";
import { silentLogger } from "@isthmus/observe";
import { createFakeClock, until } from "@isthmus/testing";
import { createLeadership } from "./leadership.js";

type Target = { readonly signal?: AbortSignal } | undefined;

/** Applies a write at once and answers when `answer` is called; a caller that aborts earlier gets no answer. */
function createApi() {
  let lease: KubeLease | undefined;
  let answers: (() => void)[] | undefined;
  const put = async (_: unknown, object: KubeLease, target: Target): Promise<KubeLease> => {
    if (object.metadata.resourceVersion !== lease?.metadata.resourceVersion)
      throw new KubeError({ code: "KUBE_STATUS", status: 409, reason: "Conflict", path: "" }, "conflict");
    const version = String(Number(lease?.metadata.resourceVersion ?? 0) + 1);
    const taken = { ...object, metadata: { ...object.metadata, resourceVersion: version } };
    lease = taken;
    await new Promise<void>((resolve, reject) => {
      target?.signal?.addEventListener("abort", () => reject(new Error("aborted")));
      if (answers === undefined) resolve();
      else answers.push(resolve);
    });
    return taken;
  };
  return {
    client: { get: async () => lease, create: put, replace: put } as unknown as KubeClient,
    get holder() {
      return lease?.spec?.holderIdentity;
    },
    get renewed() {
      return lease?.spec?.renewTime;
    },
    hold: () => {
      answers = [];
    },
    answer: () => {
      for (const each of answers ?? []) each();
      answers = undefined;
    },
  };
}

test("a renewal after its deadline is reported as a change, so that withheld status is written", async () => {
  const [api, clock, stop] = [createApi(), createFakeClock(), new AbortController()];
  const leadership = createLeadership(
    { namespace: "ns", instance: "one", identity: "one_1" },
    { client: api.client, clock, log: silentLogger },
  );
  const changes: boolean[] = [];
  leadership.onChange(() => changes.push(leadership.writes));
  const running = leadership.run(stop.signal);
  await until("it acquires the Lease", () => leadership.writes);
  api.hold();
  const before = api.renewed;
  while (leadership.writes) await clock.advance(1000);
  assert.notEqual(api.renewed, before, "its renewal is on its way");
  assert.deepEqual(changes, [false, true], "no step was made while it lasted");
  api.answer();
  await until("it writes again", () => changes.length > 2);
  assert.deepEqual(changes, [false, true, true]);
  stop.abort();
  await running;
});

for (const { name, renewals } of [
  { name: "the first write", renewals: 0 },
  { name: "a renewal", renewals: 1 },
])
  test(`stopped while ${name} is in flight, an instance still releases the Lease`, async () => {
    const [api, clock, stop] = [createApi(), createFakeClock(), new AbortController()];
    const leadership = createLeadership(
      { namespace: "ns", instance: "one", identity: "one_1" },
      { client: api.client, clock, log: silentLogger },
    );
    if (renewals === 0) api.hold();
    const running = leadership.run(stop.signal);
    await until("it acquires the Lease", () => api.holder === "one_1");
    if (renewals > 0) {
      await until("it knows", () => leadership.writes);
      api.hold();
      const before = api.renewed;
      await until("it renews the Lease", async () => {
        await clock.advance(1000);
        return api.renewed !== before;
      });
    }
    stop.abort();
    api.answer();
    await running;
    assert.equal(api.holder, undefined);
  });
