/** A peer that accepts TCP and never answers the TLS handshake. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { until } from "@isthmus/testing";
import { createStore } from "./store.js";

const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  socket.resume();
});
let port = 0;

before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
});

after(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

for (const host of ["127.0.0.1", "localhost"])
  test(`a store at "${host}" that is closed leaves no connection, and the process ends`, async () => {
    const index = new URL("./index.js", import.meta.url).href;
    const script = `
      const { createStore } = await import(${JSON.stringify(index)});
      const store = createStore({ endpoints: ["https://${host}:${port}"], deadlineMs: 300 });
      console.log(await store.get("a").catch(({ code }) => code));
      store.close();`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    const [[code, signal], [output]] = await Promise.all([once(child, "close"), once(child.stdout, "data")]);
    clearTimeout(timer);
    assert.deepEqual([code, signal, String(output)], [0, null, "STORE_TIMEOUT\n"]);
  });

test("aborting the signal of a store ends its calls with the signal's reason", async () => {
  const stop = new AbortController();
  const endpoints = [`https://127.0.0.1:${port}`];
  const store = createStore({ endpoints, deadlineMs: 60_000, signal: stop.signal });
  const call = store.get("a");
  await until("a connection", () => sockets.size > 0);
  stop.abort(new Error("no answer within 3s"));
  await assert.rejects(call, /Cannot read "a" from the store: no answer within 3s/);
  await assert.rejects(store.get("b"), /Cannot read "b" from the store: no answer within 3s/);
  store.close();
  await until("its end", () => sockets.size === 0);
});
