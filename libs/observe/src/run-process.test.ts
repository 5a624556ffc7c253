/** A process that fails logs one line and exits, so that its supervisor restarts it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

const MODULE = new URL("./run-process.js", import.meta.url).href;

/** Runs `body` as the `run` of a process (`log`, `signal` are in scope); returns its exit code and its log lines. */
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
  ["an unhandled rejection", "void Promise.reject(new Error('a bug in a handler'));"],
  ["a thrown value that is not an Error", "setImmediate(() => { throw 'a bug in a handler'; });"],
] as const) {
  test(`${what} is logged in one line, and the exit code is 1`, async () => {
    const { code, lines, text } = await processOf(`${body} ${FOREVER}`);
    assert.equal(code, 1);
    assert.equal(lines.length, 1, text);
    assert.equal(lines[0]?.["level"], "error");
    assert.match(String(lines[0]?.["msg"]), /^Uncaught exception, exiting/);
    assert.match(JSON.stringify(lines[0]), /a bug in a handler/);
  });
}

test("the log line of a bug contains its stack", async () => {
  const { lines } = await processOf(`function faulty() { throw new Error("no"); } setImmediate(faulty); ${FOREVER}`);
  assert.match(JSON.stringify(lines[0] ?? {}), /at .*faulty/);
});

test("--version prints the version and does not run the process", async () => {
  assert.deepEqual(await processOf("throw new Error('ran');", "--version"), {
    code: 0,
    lines: [],
    text: "test 1.2.3\n",
  });
});

test("a run that fails exits with 1, one that ends exits with 0", async () => {
  const failed = await processOf("throw new Error('cannot');");
  assert.deepEqual([failed.code, failed.lines[0]?.["msg"]], [1, "Process failed, exiting"]);
  assert.equal((await processOf("")).code, 0);
});

test("SIGTERM aborts the run, and the exit code is 0", async () => {
  const body = `setInterval(() => undefined, 1000); setTimeout(() => process.kill(process.pid, "SIGTERM"), 50);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));`;
  const { code, text } = await processOf(body);
  assert.deepEqual([code, text], [0, ""]);
});
