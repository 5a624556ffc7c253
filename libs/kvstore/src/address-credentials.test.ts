/** Endpoints by address are verified as strictly as by name, and no server name is sent. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { type Authority, createAuthority, issue } from "@isthmus/pki";
import { createStore, type Store } from "./store.js";
import { startEtcd } from "./testing/index.js";

const warnings: string[] = [];
process.on("warning", (warning) => warnings.push(`${(warning as { code?: string }).code} ${warning.message}`));
after(() => assert.deepEqual(warnings, []));

interface Front {
  readonly port: number;
  /** Server names that clients sent; "" = none. */
  readonly names: string[];
  /** Number of data chunks from clients, which send only after accepting the certificate. */
  readonly spoken: number;
  close(): void;
}

/** A TLS server that never answers, with a certificate for `sans`. */
async function front(authority: Authority, sans: readonly string[], host = "127.0.0.1"): Promise<Front> {
  const { certificate, key } = await issue(authority, { cn: "front", sans, usages: ["server"] });
  const names: string[] = [];
  let spoken = 0;
  const sockets = new Set<TLSSocket>();
  const server: Server = createServer({ cert: certificate, key, ALPNProtocols: ["h2"] }, (socket) => {
    sockets.add(socket);
    names.push(socket.servername === false ? "" : (socket.servername ?? ""));
    socket.on("data", () => spoken++).on("error", () => undefined);
  }).listen(0, host);
  server.on("tlsClientError", () => undefined);
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    names,
    get spoken() {
      return spoken;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const open = (authority: Authority, endpoint: string): Store =>
  createStore({ endpoints: [endpoint], ca: authority.certificate, deadlineMs: 800 });

async function failure(store: Store): Promise<string> {
  const sentence = await store.get("/").then(
    () => "answered",
    (error: Error) => error.message,
  );
  store.close();
  return sentence;
}

test("calls and watches to an etcd by address work without a warning of Node", async (t) => {
  const etcd = await startEtcd({ tls: true });
  t.after(() => etcd.close());
  const options = await etcd.options("root");
  const store = createStore({ ...options, endpoints: [`https://127.0.0.1:${etcd.port}`] });
  t.after(() => store.close());
  await store.txn([], [{ type: "put", key: "/a", value: Buffer.from("1") }]);
  assert.equal((await store.get("/a")).entry?.value.toString(), "1");
  const controller = new AbortController();
  const keys: string[] = [];
  const over = store.watch({ prefix: "/", from: 1n, signal: controller.signal }, (message) => {
    if (message.type === "events") keys.push(...message.events.map(({ key }) => key));
    if (keys.length > 0) controller.abort();
  });
  await over;
  assert.deepEqual(keys, ["/a"]);
});

test("a server name is sent for a name, none for an address; both connect when the certificate matches", async (t) => {
  const authority = await createAuthority("ca");
  const server = await front(authority, ["localhost", "127.0.0.1"]);
  t.after(() => server.close());
  for (const host of ["127.0.0.1", "localhost"]) await failure(open(authority, `https://${host}:${server.port}`));
  assert.equal(server.names[0], "");
  assert.equal(server.names.at(-1), "localhost");
  assert.ok(server.spoken >= 2, `${server.spoken}`);
});

for (const [what, sans] of [
  ["another address", ["127.0.0.2"]],
  ["a name only", ["localhost"]],
  ["a name that looks like the address", ["127.0.0.1.example"]],
] as const) {
  test(`by address, a certificate for ${what} is refused`, async (t) => {
    const authority = await createAuthority("ca");
    const server = await front(authority, sans);
    t.after(() => server.close());
    const sentence = await failure(open(authority, `https://127.0.0.1:${server.port}`));
    assert.match(sentence, /IP: 127\.0\.0\.1 is not in the cert's list/);
    assert.equal(server.spoken, 0, "no byte was sent to it");
  });
}

test("by name, a certificate for the address only is refused", async (t) => {
  const authority = await createAuthority("ca");
  const server = await front(authority, ["127.0.0.1"]);
  t.after(() => server.close());
  const sentence = await failure(open(authority, `https://localhost:${server.port}`));
  assert.match(sentence, /Host: localhost\. is not/);
  assert.equal(server.spoken, 0);
});

test("by address, a certificate of another CA is refused", async (t) => {
  const server = await front(await createAuthority("other"), ["127.0.0.1"]);
  t.after(() => server.close());
  const sentence = await failure(open(await createAuthority("ca"), `https://127.0.0.1:${server.port}`));
  assert.match(sentence, /unable to verify|self[- ]signed|local issuer/);
  assert.equal(server.spoken, 0);
});
