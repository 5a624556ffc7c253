import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeClient, KubeConfigMap } from "@isthmus/kube";
import { createLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { createFakeLeadership } from "../testing/fake-leadership.js";
import { createLastGood } from "./feed/last-good.js";
import { createLastGoodWriter, readLastGood } from "./last-good-store.js";

test("lines that do not fit in a ConfigMap are left out, the longest first, and that is logged", async () => {
  const clock = createFakeClock();
  let stored: KubeConfigMap | undefined;
  const client = {
    get: async () => stored,
    async replace(_: unknown, object: KubeConfigMap) {
      stored = object;
    },
  } as unknown as KubeClient;
  const lines: string[] = [];
  const log = createLogger({ app: "t", level: "warn", destination: { write: (line) => void lines.push(line) } });
  const target = { namespace: "mesh-system", name: "saved" };
  const lastGood = createLastGood<{ readonly text: string }>();
  const writer = createLastGoodWriter(target, lastGood, { client, clock, log, leadership: createFakeLeadership() });
  for (const [uid, length] of [
    ["huge", 990_000],
    ["large", 600_000],
    ["small", 300_000],
  ] as const)
    lastGood.set(uid, { text: "x".repeat(length) }, true);
  const controller = new AbortController();
  const running = writer.run(controller.signal);
  await clock.advance(1000);
  const parse = ({ text }: Readonly<Record<string, unknown>>) => ({ text: String(text) });
  const saved = await readLastGood({ client, ...target, parse }, clock, controller.signal);
  assert.deepEqual(
    Object.entries(saved).map(([uid, { text }]) => [uid, text?.length]),
    [
      ["small", 300_000],
      ["large", 600_000],
    ],
  );
  assert.match(lines.join(), /"objects":\["huge"\].*do not fit/);
  controller.abort();
  await running;
});
