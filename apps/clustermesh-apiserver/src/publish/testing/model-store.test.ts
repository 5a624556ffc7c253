/** Runs the same scripts on the model and on a real etcd: their answers must be equal. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { StoreEvent } from "@isthmus/kvstore";
import { emptyStore, fillStore, startEtcd } from "@isthmus/kvstore/testing";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import type { Compare, Write } from "../events.js";
import { openStore } from "./fixture.js";
import { createModelStore, type ModelStore } from "./model-store.js";

const etcd = await startEtcd({ flags: ["--quota-backend-bytes", String(8 << 20)] });
const store = await openStore(etcd);
after(async () => {
  store.close();
  await etcd.close();
});

/** Operations of a script on a store; answers are text, so that they can be compared. */
interface Scripted {
  txn(compares: readonly Compare[], writes: readonly Write[]): Promise<string>;
  state(): Promise<string>;
  /** The events of a watch from a revision, up to now. */
  watch(from: bigint): Promise<string>;
  compact(revision: bigint): Promise<void>;
  wipe(): Promise<void>;
  keep(): Promise<void>;
  setBack(): Promise<void>;
  fill(full: boolean): Promise<void>;
}

const line = ({ key, value, modRevision }: { key: string; value: Uint8Array; modRevision: bigint }) =>
  `${key}=${Buffer.from(value).toString()}@${modRevision}`;
const change = (event: { key: string; value: Uint8Array; modRevision: bigint }, deleted: boolean) =>
  deleted ? `-${event.key}@${event.modRevision}` : line(event);

function onModel(model: ModelStore): Scripted {
  return {
    async txn(compares, writes) {
      const answer = model.txn(compares, writes);
      return typeof answer === "bigint" ? `committed ${answer}` : answer;
    },
    state: async () => [...model.keys.values()].map(line).sort().join(" "),
    async watch(from) {
      const seen = model.after(from);
      return typeof seen === "string" ? seen : seen.map((event) => change(event, event.deleted)).join(" ");
    },
    compact: async (revision) => model.compact(revision),
    wipe: async () => model.wipe(),
    keep: async () => model.keep(),
    setBack: async () => model.setBack(),
    async fill(full) {
      model.full = full;
    },
  };
}

function onEtcd(prefix: string): Scripted {
  const relative = <T extends { readonly key: string }>(of: T): T => ({ ...of, key: of.key.slice(prefix.length) });
  const absolute = <T extends { readonly key: string }>(of: T): T => ({ ...of, key: prefix + of.key });

  async function txn(compares: readonly Compare[], writes: readonly Write[]): Promise<string> {
    try {
      const { committed, revision } = await store.txn(compares.map(absolute), writes.map(absolute));
      return committed ? `committed ${revision}` : "rejected";
    } catch (thrown) {
      if ((thrown as { code?: string }).code === "STORE_FULL") return "full";
      throw thrown;
    }
  }

  /** Ends once the newest key of the prefix was reported, or when no event is due. */
  async function watch(from: bigint): Promise<string> {
    const { revision } = await store.get("/");
    let newest = 0n;
    for await (const { entries } of store.list(prefix))
      for (const { modRevision } of entries) if (modRevision > newest) newest = modRevision;
    const events: StoreEvent[] = [];
    const controller = new AbortController();
    let end = "";
    const enough = () => (events.at(-1)?.modRevision ?? 0n) >= newest || newest < from;
    await store.watch({ prefix, from, signal: controller.signal }, (news) => {
      if (news.type === "events") events.push(...news.events);
      if (news.type === "compacted" || news.type === "set-back") end = news.type;
      if ((news.type === "events" || (news.type === "opened" && revision < from)) && enough()) controller.abort();
    });
    return end === "" ? events.map((event) => change(relative(event), event.type === "delete")).join(" ") : end;
  }

  return {
    txn,
    watch,
    async state() {
      const lines: string[] = [];
      for await (const { entries } of store.list(prefix)) lines.push(...entries.map((entry) => line(relative(entry))));
      return lines.sort().join(" ");
    },
    async compact(revision) {
      await store.transport.kv.compact({ revision: String(revision), physical: true });
    },
    wipe: () => etcd.wipe(),
    keep: () => etcd.backUp(),
    setBack: () => etcd.restoreBackup(),
    fill: (full) => (full ? fillStore(store) : emptyStore(store)),
  };
}

const put = (key: string, value = "v"): Write => ({ type: "put", key, value: Buffer.from(value) });
const remove = (key: string): Write => ({ type: "delete", key });
const is = (key: string, modRevision: bigint): Compare => ({ key, modRevision });

/** Returns every answer of the script, in order. */
async function transcript(script: (on: Scripted, say: (text: string) => void) => Promise<void>, on: Scripted) {
  const said: string[] = [];
  await script(on, (text) => void said.push(text));
  return said;
}

/** Runs on an empty store, so that revisions are equal. */
async function sameOnBoth(
  script: (on: Scripted, say: (text: string) => void) => Promise<void>,
): Promise<readonly string[]> {
  await etcd.wipe();
  const [model, real] = [
    await transcript(script, onModel(createModelStore())),
    await transcript(script, onEtcd("/s/")),
  ];
  assert.deepEqual(model, real);
  return real;
}

test("a takeover, and a late txn of the old writer", async () => {
  const said = await sameOnBoth(async (on, say) => {
    say(await on.txn([is("fence", 0n), is("head", 0n)], [put("fence", "a"), put("head", "1")]));
    say(await on.txn([is("head", 2n)], [put("slices/1"), put("head", "2")]));
    say(await on.txn([is("fence", 2n), is("head", 3n)], [put("fence", "b"), put("head", "3")]));
    say(await on.txn([is("head", 3n)], [put("slices/2"), put("head", "late")]));
    say(await on.txn([is("fence", 2n)], [put("slices/3", "bulk, late")]));
    say(await on.txn([is("head", 4n)], [remove("slices/1"), put("head", "4")]));
    say(await on.state());
    say(await on.watch(2n));
  });
  assert.deepEqual(said.slice(3, 5), ["rejected", "rejected"]);
});

test("deleting an absent key is neither an event nor a revision", async () => {
  await sameOnBoth(async (on, say) => {
    say(await on.txn([], [put("a")]));
    say(await on.txn([], [remove("b")]));
    say(await on.txn([], [remove("b"), put("c")]));
    say(await on.txn([is("b", 0n)], []));
    say(await on.watch(1n));
    say(await on.state());
  });
});

test("watches from before, at and after a compaction, and from a future revision", async () => {
  const said = await sameOnBoth(async (on, say) => {
    for (const key of ["a", "b", "c", "a"]) await on.txn([], [put(key)]);
    await on.compact(4n);
    for (const from of [1n, 3n, 4n, 5n, 6n]) say(await on.watch(from));
    say(await on.watch(9n));
  });
  assert.deepEqual(said.slice(0, 2), ["compacted", "compacted"]);
  assert.equal(said.at(-1), "set-back");
});

test("a wipe, and another cluster that writes first", async () => {
  await sameOnBoth(async (on, say) => {
    for (const key of ["store", "head", "slices/1", "slices/2"]) await on.txn([], [put(key)]);
    await on.wipe();
    say(await on.state());
    say(await on.watch(5n));
    say(await on.txn([is("head", 3n)], [put("head", "still believes in the old store")]));
    say(await on.txn([], [put("head", "forged"), put("store", "forged")]));
    say(await on.txn([is("head", 0n), is("store", 0n)], [put("head", "mine")]));
    say(await on.txn([is("head", 2n), is("store", 2n)], [put("head", "mine"), put("store", "new")]));
    say(await on.state());
    say(await on.watch(1n));
  });
});

test("a restore from a backup: the same keys with revisions from before, and other events under the same numbers", async () => {
  const said = await sameOnBoth(async (on, say) => {
    for (const key of ["store", "a", "b"]) await on.txn([], [put(key)]);
    await on.keep();
    for (const key of ["c", "d", "a"]) await on.txn([], [put(key, "lost")]);
    await on.setBack();
    say(await on.state());
    say(await on.watch(8n));
    say(await on.txn([], [put("x", "another past")]));
    say(await on.watch(2n));
    say(await on.txn([is("a", 7n)], [put("a")]));
  });
  assert.equal(said[1], "set-back");
});

test("a full store takes deletions and no values; a refused txn is no revision", async () => {
  const said = await sameOnBoth(async (on, say) => {
    for (const key of ["a", "b"]) await on.txn([], [put(key)]);
    await on.fill(true);
    say(await on.txn([], [put("c")]));
    say(await on.txn([], [remove("a"), put("head")]));
    say(await on.txn([is("a", 99n)], [put("c")]));
    say((await on.txn([], [remove("a")])).split(" ")[0] ?? "");
    say((await on.state()).replace(/@\d+/g, ""));
    await on.fill(false);
    say((await on.txn([], [put("c")])).split(" ")[0] ?? "");
    say((await on.state()).replace(/@\d+/g, ""));
  });
  assert.deepEqual(said.slice(0, 4), ["full", "full", "full", "committed"]);
});

const KEYS = ["a", "b", "c", "head"];
const keys = fc.uniqueArray(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 3 });
const step = fc.record({
  compares: fc.array(fc.tuple(fc.constantFrom(...KEYS), fc.constantFrom("now", "absent", "stale")), { maxLength: 2 }),
  writes: keys.chain((names) =>
    fc.tuple(...names.map((key) => fc.boolean().map((gone) => (gone ? remove(key) : put(key))))),
  ),
});

test("random txns give the same answers, state and history", async () => {
  let run = 0;
  const script = fc.array(step, { minLength: 1, maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(script, async (steps) => {
      const { revision } = await store.get("/");
      const state = createModelStore(revision);
      const [model, real] = [onModel(state), onEtcd(`/run-${++run}/`)];
      for (const { compares, writes } of steps) {
        const asked = compares.map(([key, what]) => {
          const now = state.keys.get(key)?.modRevision ?? 0n;
          return is(key, what === "now" ? now : what === "absent" ? 0n : now - 1n);
        });
        assert.equal(await model.txn(asked, writes), await real.txn(asked, writes));
      }
      assert.equal(await model.state(), await real.state());
      // A last event, so that the end of the history is known.
      assert.equal(await model.txn([], [put("end")]), await real.txn([], [put("end")]));
      assert.equal(await model.watch(revision + 1n), await real.watch(revision + 1n));
    }),
    fastCheckOptions(40),
  );
});
