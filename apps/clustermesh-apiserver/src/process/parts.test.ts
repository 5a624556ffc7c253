import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger, silentLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/runtime/testing";
import { closeParts, type Parts, runParts } from "./parts.js";

test("a part that throws, rejects or hangs is logged and does not prevent the others from closing", async () => {
  const lines: string[] = [];
  const log = createLogger({ app: "test", destination: { write: (line) => void lines.push(line) } });
  const closed: number[] = [];
  const parts = [
    () => void closed.push(1),
    () => {
      throw new TypeError("a bug");
    },
    () => Promise.reject(new Error("refused")),
    () => new Promise<void>(() => undefined),
    async () => void closed.push(2),
  ];
  await closeParts(parts, log, 20);
  assert.deepEqual(closed, [1, 2]);
  assert.equal(lines.length, 3);
  assert.match(lines.join(""), /a bug.*refused.*did not end within 20 ms/s);
});

/** Runs parts until the returned controller aborts; `story` has what happened in order. */
function process(start: (parts: Parts, story: string[]) => Promise<void>, shutdownDelayMs = 0) {
  const stop = new AbortController();
  const clock = createFakeClock();
  const story: string[] = [];
  const modules = { clock, log: silentLogger, signal: stop.signal };
  const running = runParts({ shutdownDelayMs }, modules, async (parts) => {
    parts.signal.addEventListener("abort", () => story.push("stopping"));
    await start(parts, story);
  });
  return { stop, clock, story, running };
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

test("parts run until the signal and are closed the newest first, after those that run have ended", async () => {
  const { stop, story, running } = process(async (parts, story) => {
    assert.equal(
      parts.keep("a", (part) => void story.push(`${part} closed`)),
      "a",
    );
    parts.start({ run: (signal) => untilAborted(signal).then(() => void story.push("run ended")) });
    parts.keep("b", (part) => void story.push(`${part} closed`));
    await parts.ended();
    story.push("ended");
  });
  stop.abort();
  await running;
  assert.deepEqual(story.toSorted(), ["a closed", "b closed", "ended", "run ended", "stopping"]);
  assert.deepEqual(
    story.filter((line) => line.includes("closed")),
    ["b closed", "a closed"],
  );
});

test("the error of a part that runs stops the process, which ends with it after all parts are closed", async () => {
  const { story, running } = process(async (parts, story) => {
    parts.keep("a", () => void story.push("closed"));
    parts.start({ run: () => Promise.reject(new Error("a bug")) });
    await parts.ended();
    story.push("ended");
  });
  await assert.rejects(running, /a bug/);
  assert.deepEqual(story, ["stopping", "closed"]);
});

test("a part that fails while the process starts ends what the start waits for, and the process ends with its error", async () => {
  for (const rejects of [true, false]) {
    const { story, running } = process(async (parts, story) => {
      parts.keep("a", () => void story.push("closed"));
      parts.start({ run: () => Promise.reject(new Error("a bug")) });
      await untilAborted(parts.signal);
      if (rejects) parts.signal.throwIfAborted();
    });
    await assert.rejects(running, /a bug/);
    assert.deepEqual(story, ["stopping", "closed"]);
  }
});

test("an error while starting closes what was started; one that the signal caused is none", async () => {
  const failing = process(async (parts, story) => {
    parts.keep("a", () => void story.push("closed"));
    throw new Error("no port");
  });
  await assert.rejects(failing.running, /no port/);
  assert.deepEqual(failing.story, ["stopping", "closed"]);
  const stopped = process(async (parts) => {
    await untilAborted(parts.signal);
    parts.signal.throwIfAborted();
  });
  stopped.stop.abort();
  await stopped.running;
});

test("only a process that serves waits for the delay", async () => {
  const { stop, clock, story, running } = process(async (parts) => {
    parts.markServing();
    await parts.ended();
  }, 1000);
  stop.abort();
  await clock.advance(999);
  assert.deepEqual(story, []);
  await clock.advance(1);
  await running;
  assert.deepEqual(story, ["stopping"]);
  const starting = process((parts) => parts.ended(), 1000);
  starting.stop.abort();
  await starting.running;
});
