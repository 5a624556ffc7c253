/** A process that goes wrong says so in one line of its log and ends, so that it is started again. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

const MODULE = new URL("./run-process.js", import.meta.url).href;

/** Runs `body` as the `run` of a process (`log`, `signal` are in scope); its exit code and the lines of its stderr. */
async function processOf(
  body: string,
  ...args: readonly string[]
): Promise<{ code: number | null; lines: Record<string, unknown>[]; text: string }> {
  const script = `import { runProcess } from ${JSON.stringify(MODULE)};
    await runProcess({ app: "test", version: "1.2.3", usage: "", run: async (argv, log, signal) => { ${body} } });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, "--", "test", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (text += data.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  const lines = text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      return [];
    }
  });
  return { code, lines, text };
}

const FOREVER = "await new Promise(() => setInterval(() => undefined, 1000));";

for (const [what, body] of [
  ["a handler that throws", "setImmediate(() => { throw new Error('a bug in a handler'); });"],
  ["a promise that nobody waits for", "void Promise.reject(new Error('a bug in a handler'));"],
  ["a value that is no error", "setImmediate(() => { throw 'a bug in a handler'; });"],
] as const) {
  test(`${what}: one line of the log with the place, exit 1`, async () => {
    const { code, lines, text } = await processOf(`${body} ${FOREVER}`);
    assert.equal(code, 1);
    assert.equal(lines.length, 1, text);
    assert.equal(lines[0]?.["level"], "error");
    assert.match(String(lines[0]?.["msg"]), /^Stopped by a bug/);
    assert.match(JSON.stringify(lines[0]), /a bug in a handler/);
  });
}

test("the place of a bug is in the line", async () => {
  const { lines } = await processOf(`function faulty() { throw new Error("no"); } setImmediate(faulty); ${FOREVER}`);
  assert.match(JSON.stringify(lines[0] ?? {}), /at .*faulty/);
});

test("asked for its version, it answers and does not run", async () => {
  assert.deepEqual(await processOf("throw new Error('ran');", "--version"), {
    code: 0,
    lines: [],
    text: "test 1.2.3\n",
  });
});

test("a run that fails, and one that ends", async () => {
  const failed = await processOf("throw new Error('cannot');");
  assert.deepEqual([failed.code, failed.lines[0]?.["msg"]], [1, "Stopped by an error"]);
  assert.equal((await processOf("")).code, 0);
});

test("told to stop, it ends well", async () => {
  const body = `setInterval(() => undefined, 1000); setTimeout(() => process.kill(process.pid, "SIGTERM"), 50);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));`;
  const { code, text } = await processOf(body);
  assert.deepEqual([code, text], [0, ""]);
});
