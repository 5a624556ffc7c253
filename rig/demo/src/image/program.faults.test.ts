import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { before, describe, type TestContext, test } from "node:test";
import { freePort } from "@isthmus/testing";
import { createSampleLog } from "../samples/log.js";
import { monoNow, type Outcome, type Sample } from "../samples/sample.js";
import { buildProgram } from "./program.js";

let program = "";
before(async () => {
  program = join(await buildProgram(), "demo");
});

interface Ended {
  readonly samples: readonly Sample[];
  readonly status: number | null;
}

function start(t: TestContext, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function line(child: ChildProcess, pattern: RegExp): Promise<void> {
  assert.ok(child.stderr);
  for await (const text of createInterface({ input: child.stderr })) if (pattern.test(text)) return;
  assert.fail(`ended without a line like ${pattern}`);
}

async function httpd(t: TestContext, ...flags: string[]): Promise<{ child: ChildProcess; port: number }> {
  const port = await freePort();
  const child = start(t, ["httpd", "--port", String(port), "--cluster", "east", "--name", "web-1", ...flags]);
  await line(child, /listening/);
  return { child, port };
}

/** Runs the client to its end; `during` runs while it does. */
async function load(t: TestContext, port: number, flags: readonly string[], during?: () => unknown): Promise<Ended> {
  const child = start(t, ["load", "--target", `127.0.0.1:${port}`, ...flags]);
  const log = createSampleLog();
  assert.ok(child.stdout);
  const ended = once(child, "exit");
  const during_ = during?.();
  for await (const text of createInterface({ input: child.stdout })) log.line(text);
  const [status] = await ended;
  await during_;
  assert.equal(log.missing(), 0, "every request has a sample");
  return { samples: log.samples(), status: status as number | null };
}

const count = (samples: readonly Sample[], outcome: Outcome): number =>
  samples.filter((s) => s.outcome === outcome).length;

async function rawServer(t: TestContext, onConnection: (socket: import("node:net").Socket) => void): Promise<number> {
  const server: Server = createServer((socket) => onConnection(socket.on("error", () => {}))).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function after(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

describe("the demo's program", () => {
  test("every request is sent on time and its sample names the responder", async (t) => {
    const { port } = await httpd(t);
    const { samples, status } = await load(t, port, ["--rate", "200", "--duration-ms", "1000"]);
    assert.equal(status, 0);
    assert.equal(samples.length, 200);
    assert.equal(count(samples, "ok"), 200);
    assert.ok(samples.every((s) => s.cluster === "east" && s.pod === "web-1"));
    assert.ok(samples.every((s) => s.connected !== null && s.connected >= s.due && s.connected <= s.end));
    assert.ok(samples.every((s, n) => n === 0 || Math.abs(s.due - (samples[n - 1]?.due ?? 0) - 5) < 0.01));
  });

  test("a suspended server causes time-outs at the deadline", async (t) => {
    const { child, port } = await httpd(t);
    child.kill("SIGSTOP");
    const { samples } = await load(t, port, ["--duration-ms", "300", "--deadline-ms", "200"]);
    // On a busy machine the client itself can be late at a few of the deadlines, and says so.
    assert.equal(count(samples, "timeout") + count(samples, "starved"), 30);
    assert.ok(count(samples, "timeout") >= 10);
    assert.ok(samples.every((s) => s.end - s.due >= 200 && s.pod === ""));
    assert.ok(samples.some((s) => s.outcome === "timeout" && s.connected !== null && s.connected < s.end));
  });

  test("without a listener, requests are refused at once", async (t) => {
    const { samples } = await load(t, await freePort(), ["--duration-ms", "200"]);
    assert.equal(count(samples, "refused"), 20);
    assert.ok(samples.every((s) => s.connected === null));
  });

  test("a server that resets, or closes without an answer, causes resets", async (t) => {
    const resets = await rawServer(t, (socket) => socket.on("data", () => socket.resetAndDestroy()));
    const { samples } = await load(t, resets, ["--duration-ms", "100"]);
    assert.equal(count(samples, "reset"), 10);
    assert.ok(samples.every((s) => s.connected !== null));
    const closes = await rawServer(t, (socket) => socket.on("data", () => socket.end()));
    assert.equal(count((await load(t, closes, ["--duration-ms", "100"])).samples, "reset"), 10);
  });

  test("a status other than 200 does not count as answered", async (t) => {
    const port = await rawServer(t, (socket) => socket.on("data", () => socket.end("HTTP/1.1 503 x\r\n\r\nno\n")));
    assert.equal(count((await load(t, port, ["--duration-ms", "100"])).samples, "other"), 10);
  });

  test("a delayed client sends the requests that are due, and the delay counts as latency", async (t) => {
    const { port } = await httpd(t);
    const child = start(t, ["load", "--target", `127.0.0.1:${port}`, "--duration-ms", "1200"]);
    const log = createSampleLog();
    assert.ok(child.stdout);
    let stopped = false;
    for await (const text of createInterface({ input: child.stdout })) {
      log.line(text);
      if (stopped || log.samples().length < 20) continue;
      stopped = true;
      child.kill("SIGSTOP");
      await after(500);
      child.kill("SIGCONT");
    }
    assert.equal(log.samples().length, 120);
    assert.equal(log.samples().filter((s) => s.outcome === "ok").length, 120);
    assert.ok(Math.max(...log.samples().map((s) => s.end - s.due)) > 400);
    assert.ok(log.stalls().some(({ from, to }) => to - from > 400));
  });

  test("a client that was suspended past the deadline reports these requests as starved", async (t) => {
    const { port } = await httpd(t);
    // At this rate, a signal often arrives while the client handles an answer, and not only while it waits.
    const flags = ["--rate", "2000", "--duration-ms", "4000", "--deadline-ms", "400"];
    const child = start(t, ["load", "--target", `127.0.0.1:${port}`, ...flags]);
    const suspend = async (): Promise<void> => {
      for (let times = 0; times < 7; times++) {
        await after(80);
        child.kill("SIGSTOP");
        await after(450);
        child.kill("SIGCONT");
      }
    };
    const log = createSampleLog();
    assert.ok(child.stdout);
    await once(child, "spawn");
    const suspended = suspend();
    for await (const text of createInterface({ input: child.stdout })) log.line(text);
    await suspended;
    assert.equal(log.samples().length, 8_000);
    assert.ok(count(log.samples(), "starved") > 500);
    assert.equal(count(log.samples(), "timeout"), 0);
  });

  test("a reader that stops reading for a while loses no sample", async (t) => {
    const { port } = await httpd(t);
    const child = start(t, [
      "load",
      "--target",
      `127.0.0.1:${port}`,
      "--rate",
      "2000",
      "--duration-ms",
      "4000",
      "--deadline-ms",
      "20000",
    ]);
    await once(child, "spawn");
    await after(3500);
    const log = createSampleLog();
    assert.ok(child.stdout);
    for await (const text of createInterface({ input: child.stdout })) log.line(text);
    assert.equal(log.samples().length, 8_000);
    assert.equal(count(log.samples(), "timeout"), 0);
  });

  test("the server listens after a delay, and continues to answer after SIGTERM", async (t) => {
    const begun = performance.now();
    const { child, port } = await httpd(t, "--listen-after-ms", "300", "--linger-ms", "400");
    assert.ok(performance.now() - begun >= 300);
    const exit = once(child, "exit");
    const client = start(t, ["load", "--target", `127.0.0.1:${port}`, "--duration-ms", "1500"]);
    const log = createSampleLog();
    assert.ok(client.stdout);
    let atSignal = 0;
    for await (const text of createInterface({ input: client.stdout })) {
      log.line(text);
      if (atSignal > 0) continue;
      atSignal = log.samples().length;
      if (atSignal > 0) child.kill("SIGTERM");
    }
    const [status] = await exit;
    assert.equal(status, 0);
    const samples = log.samples();
    const answered = count(samples.slice(atSignal), "ok");
    assert.ok(answered >= 10, `${answered} of 40 in the 400 ms after SIGTERM were answered`);
    assert.notEqual(samples.at(-1)?.outcome, "ok");
    assert.equal(count(samples, "ok") + count(samples, "refused") + count(samples, "reset"), 150);
  });

  test("a sample has the time at which its server first answered a readiness probe", async (t) => {
    const { port } = await httpd(t);
    const readyTimes = async () => {
      const { samples } = await load(t, port, ["--duration-ms", "100"]);
      return [...new Set(samples.map(({ readyAt }) => readyAt))];
    };
    assert.deepEqual(await readyTimes(), [null]);
    const asked = monoNow();
    await fetch(`http://127.0.0.1:${port}/ready`);
    const answered = monoNow();
    await fetch(`http://127.0.0.1:${port}/ready`);
    const [readyAt, ...others] = await readyTimes();
    assert.deepEqual(others, []);
    assert.ok(readyAt && readyAt >= asked && readyAt <= answered, `${readyAt} from ${asked} to ${answered}`);
  });

  test("the server handles keep-alive, a split request, and other methods", async (t) => {
    const { port } = await httpd(t);
    const { connect } = await import("node:net");
    const socket = connect(port, "127.0.0.1").setEncoding("utf8");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    await once(socket, "connect");
    socket.write("GET / HTTP/1.1\r\nConnection: keep-");
    await after(20);
    socket.write("alive\r\n\r\nGET /ready HTTP/1.1\r\nconnection: Keep-Alive\r\n\r\nPOST / HTTP/1.1\r\n\r\n");
    await once(socket, "end");
    socket.destroy();
    assert.deepEqual(text.match(/HTTP\/1.1 \d+/g), ["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 405"]);
    assert.equal(text.match(/east\/web-1/g)?.length, 2);
  });

  test("invalid flags are exit status 2 and a sentence", async (t) => {
    const child = start(t, ["load", "--target", "example.org:80"]);
    const exit = once(child, "exit");
    await line(child, /Not an address/);
    assert.equal((await exit)[0], 2);
  });
});
