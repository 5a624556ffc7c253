/** `proxy-url` of a kubeconfig: both transports use it, and errors describe the fault of the proxy. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { until } from "@isthmus/testing";
import { loadKubeAccess } from "./config.js";
import { KubeError } from "./errors.js";
import { ca, pair, startHttp2, text } from "./testing/http2-server.js";
import { listen, startConnectProxy, startSocksProxy } from "./testing/tunnel-proxies.js";
import { createTransport, type Transport } from "./transport.js";

/** No resolver knows the name: only a connection through the proxy reaches it. */
const SERVER = "https://api.invalid:6443";

function kubeconfig(t: TestContext, proxyUrl: string | undefined, server = SERVER, user = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-proxy-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const cluster = {
    server,
    "certificate-authority-data": Buffer.from(ca).toString("base64"),
    "tls-server-name": "localhost",
    ...(proxyUrl === undefined ? {} : { "proxy-url": proxyUrl }),
    ...(server.startsWith("http:") ? { "insecure-skip-tls-verify": true } : {}),
  };
  const config = {
    clusters: [{ name: "east", cluster }],
    users: [{ name: "me", user: { token: "secret", ...user } }],
    contexts: [{ name: "east", context: { cluster: "east", user: "me" } }],
    "current-context": "east",
  };
  const path = join(folder, "config");
  writeFileSync(path, JSON.stringify(config));
  return path;
}

function open(t: TestContext, proxyUrl: string, server = SERVER): Transport {
  const transport = createTransport(loadKubeAccess({ kubeconfig: kubeconfig(t, proxyUrl, server) }));
  t.after(() => transport.close());
  return transport;
}

/** Answers JSON over HTTP/1.1. */
async function startHttp1(t: TestContext): Promise<number> {
  return listen(
    t,
    createHttps(pair, (request, response) => response.end(JSON.stringify({ auth: request.headers.authorization }))),
  );
}

async function callThrough(t: TestContext, proxyUrl: string): Promise<void> {
  const transport = open(t, proxyUrl);
  assert.deepEqual(await transport.json({ method: "GET", path: "/api" }), { auth: "Bearer secret" });
  assert.deepEqual(await transport.json({ method: "GET", path: "/api" }), { auth: "Bearer secret" });
}

test("calls go through a CONNECT or a SOCKS 5 proxy, and the proxy resolves the name", async (t) => {
  const target = await startHttp1(t);
  const plain = await startConnectProxy(t, target);
  await callThrough(t, `http://127.0.0.1:${plain.port}`);
  await callThrough(t, `http://ann:p%40ss@127.0.0.1:${plain.port}`);
  // One tunnel for both calls.
  assert.deepEqual(plain.requestedTargets, ["api.invalid:6443", "ann:p@ss@api.invalid:6443"]);
  const socks = await startSocksProxy(t, target);
  await callThrough(t, `socks5://127.0.0.1:${socks.port}`);
  await callThrough(t, `socks5h://ann:p%40ss@127.0.0.1:${socks.port}`);
  assert.deepEqual(socks.requestedTargets, ["api.invalid:6443", "ann:p@ss@api.invalid:6443"]);
});

test("watches go through the same proxies over one HTTP/2 connection", async (t) => {
  const { port, sessions } = await startHttp2(t);
  const plain = await startConnectProxy(t, port);
  const socks = await startSocksProxy(t, port);
  for (const url of [`http://127.0.0.1:${plain.port}`, `socks5://127.0.0.1:${socks.port}`]) {
    const transport = open(t, url);
    for (const path of ["/a", "/b"])
      assert.equal(await text(await transport.stream({ method: "GET", path })), `${path} Bearer secret`);
  }
  assert.deepEqual([plain.requestedTargets.length, socks.requestedTargets.length, sessions.length], [1, 1, 2]);
});

test("a proxy over TLS needs a valid certificate like any server", async (t) => {
  const proxy = await startConnectProxy(t, await startHttp1(t), pair);
  const transport = open(t, `https://127.0.0.1:${proxy.port}`);
  await assert.rejects(transport.json({ method: "GET", path: "/api" }), /proxy https:\/\/127\.0\.0\.1:\d+: /);
  assert.deepEqual(proxy.requestedTargets, []);
  const folder = mkdtempSync(join(tmpdir(), "isthmus-proxy-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "ca.pem"), ca);
  const code = `import { createTransport, loadKubeAccess } from ${JSON.stringify(new URL("./index.js", import.meta.url).href)};
    const kubeconfig = ${JSON.stringify(kubeconfig(t, `https://127.0.0.1:${proxy.port}`))};
    const transport = createTransport(loadKubeAccess({ kubeconfig }));
    console.log(JSON.stringify(await transport.json({ method: "GET", path: "/api" })));
    transport.close();`;
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], { env });
  assert.equal(stdout, '{"auth":"Bearer secret"}\n');
  assert.deepEqual(proxy.requestedTargets, ["api.invalid:6443"]);
});

test("a server without TLS is reached through the proxy", async (t) => {
  const target = await listen(
    t,
    createHttp((_, response) => response.end("{}")),
  );
  const proxy = await startConnectProxy(t, target);
  const transport = open(t, `http://127.0.0.1:${proxy.port}`, "http://api.invalid:8080");
  assert.deepEqual(await transport.json({ method: "GET", path: "/api" }), {});
  assert.deepEqual(proxy.requestedTargets, ["api.invalid:8080"]);
});

test("errors about a refusing, absent or wrong proxy name its address and no password", async (t) => {
  const answering = (answer: string) =>
    listen(
      t,
      createServer((socket) => void socket.on("error", () => undefined).end(answer)),
    );
  const cases: readonly (readonly [answer: string, sentence: RegExp])[] = [
    [
      "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
      /proxy http:\/\/127\.0\.0\.1:\d+: it answers 407 Proxy Auth/,
    ],
    ["SSH-2.0-OpenSSH_9.2\r\n\r\n", /it does not speak HTTP$/],
    ["x".repeat(20_000), /the head of its answer is over 16384 bytes$/],
    ["", /it closed the connection$/],
  ];
  for (const [answer, sentence] of cases) {
    const transport = open(t, `http://ann:hunter2@127.0.0.1:${await answering(answer)}`);
    const failed: unknown = await transport.json({ method: "GET", path: "/api" }).catch((error: unknown) => error);
    assert.ok(failed instanceof KubeError, String(failed));
    assert.match(failed.message, sentence);
    assert.doesNotMatch(failed.message, /hunter2/);
    await assert.rejects(transport.stream({ method: "GET", path: "/api" }), sentence);
  }
});

test("a silent proxy keeps nothing open once the transport is closed", async (t) => {
  let [accepted, closed] = [0, 0];
  const server = createServer((socket) => {
    accepted++;
    socket.on("error", () => undefined).once("close", () => closed++);
    socket.resume();
  });
  const port = await listen(t, server);
  const transport = open(t, `socks5://127.0.0.1:${port}`);
  const ends = [
    assert.rejects(transport.json({ method: "GET", path: "/api" })),
    assert.rejects(transport.stream({ method: "GET", path: "/api" })),
  ];
  await until("both have connected", () => accepted === 2);
  transport.close();
  await Promise.all(ends);
  await until("both are closed", () => closed === 2);
});

test("a proxy-url that cannot be used is refused with the field, the cluster and the fix, and without a password", (t) => {
  for (const url of ["ftp://proxy:21", "proxy:3128", "http://", "socks4://ann:hunter2@proxy"]) {
    const path = kubeconfig(t, url);
    assert.throws(() => loadKubeAccess({ kubeconfig: path }), {
      code: "KUBE_CONFIG",
      message: `Cannot use proxy-url of cluster "east" in "${path}": it must be http://, https:// or socks5:// with a host`,
    });
  }
  assert.equal(loadKubeAccess({ kubeconfig: kubeconfig(t, undefined) }).proxy, undefined);
});

test("impersonation fields that are not supported are refused, not ignored", (t) => {
  for (const field of ["as-groups", "as-uid", "as-user-extra"]) {
    const path = kubeconfig(t, undefined, SERVER, { as: "ann", [field]: ["admins"] });
    assert.throws(() => loadKubeAccess({ kubeconfig: path }), {
      code: "KUBE_CONFIG",
      message: `Cannot use user "me" in "${path}": its field "${field}" is not supported; use a user without it`,
    });
  }
});
