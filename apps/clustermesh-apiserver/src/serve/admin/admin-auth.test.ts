/** Authorization of admin calls, with a fake Kubernetes API. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { ADMIN_AUDIENCE, type KubeClient, KubeError, type KubeRequest, statusError } from "@isthmus/kube";
import { type Clock, systemClock } from "@isthmus/model";
import { nextTurn } from "@isthmus/runtime";
import { until } from "@isthmus/testing";
import { type AdminRight, createAdminAuth } from "./admin-auth.js";

type Answer = (path: string, body: Body) => Promise<unknown> | unknown;
interface Body {
  readonly spec: {
    readonly token?: string;
    readonly audiences?: string[];
    readonly resourceAttributes?: { verb: string };
  };
}

function auth(answer: Answer) {
  const calls: string[] = [];
  const client = {
    transport: {
      json: async ({ path, body, signal }: KubeRequest) => {
        calls.push(path.split("/").at(-1) ?? "");
        const aborted = new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
        aborted.catch(() => undefined);
        return Promise.race([answer(path, body as Body), aborted]);
      },
    },
  } as unknown as KubeClient;
  let now = 0;
  const clock: Clock = { ...systemClock, now: () => now };
  const { check, close } = createAdminAuth({ client, clock });
  return {
    close,
    check: (metadata: Metadata, right: AdminRight, peer = "10.0.0.1:4711") => check(metadata, right, peer),
    calls,
    sleep: (ms: number) => (now += ms),
  };
}

const bearer = (token: string): Metadata => {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
};
const yes = { status: { authenticated: true, user: { username: "u" }, audiences: [ADMIN_AUDIENCE] } };
const good: Answer = (path) => (path.endsWith("tokenreviews") ? yes : { status: { allowed: true } });
const rejectsWith = (call: Promise<void>, code: status, words: RegExp) =>
  assert.rejects(call, (error: { data?: { status?: status }; message: string }) => {
    assert.equal(error.data?.status, code, error.message);
    assert.match(error.message, words);
    return true;
  });

test("an accepted token is cached for ten seconds, a refused one for three, each for its right only", async (t) => {
  let allowed = false;
  const a = auth((path) => (path.endsWith("tokenreviews") ? yes : { status: { allowed } }));
  t.after(() => a.close());
  await rejectsWith(a.check(bearer("t"), "read"), status.PERMISSION_DENIED, /"get" on meshclusters\.mesh\.isthmus\.io/);
  allowed = true;
  await rejectsWith(a.check(bearer("t"), "read"), status.PERMISSION_DENIED, /lacks the right/);
  assert.equal(a.calls.length, 2, "a recent refusal causes no other review");
  a.sleep(3001);
  await a.check(bearer("t"), "read");
  allowed = false;
  await a.check(bearer("t"), "read");
  await rejectsWith(a.check(bearer("t"), "dial"), status.PERMISSION_DENIED, /"check-store"/);
  a.sleep(10_001);
  await rejectsWith(a.check(bearer("t"), "read"), status.PERMISSION_DENIED, /lacks the right/);
});

test("the review requests the admin API's audience, and an answer without audiences is a refusal", async (t) => {
  const asked: unknown[] = [];
  const a = auth((path, body) => {
    if (path.endsWith("tokenreviews")) asked.push(body.spec.audiences);
    return path.endsWith("tokenreviews")
      ? { status: { authenticated: true, user: { username: "u" } } }
      : { status: { allowed: true } };
  });
  t.after(() => a.close());
  await rejectsWith(a.check(bearer("t"), "read"), status.UNAUTHENTICATED, /audience "mesh\.isthmus\.io\/admin"/);
  assert.deepEqual(asked, [[ADMIN_AUDIENCE]]);
});

test("while the Kubernetes API is down or silent calls fail with UNAVAILABLE within the CLI's deadline, without its address, and recover", async (t) => {
  const down = new KubeError({ code: "KUBE_UNREACHABLE", server: "https://10.0.0.1" }, "Cannot POST at 10.0.0.1");
  let answer: Answer = () => Promise.reject(down);
  const a = auth((path, body) => answer(path, body));
  t.after(() => a.close());
  for (let i = 0; i < 8; i++) {
    const call = a.check(bearer("t"), "read");
    await rejectsWith(call, status.UNAVAILABLE, /^(?!.*10\.0\.0\.1).*does not answer, so the token cannot be reviewed/);
  }
  assert.ok(a.calls.length < 8, "the breaker is open");
  answer = () => new Promise(() => undefined);
  const started = performance.now();
  const silent = auth((path, body) => answer(path, body));
  t.after(() => silent.close());
  await rejectsWith(silent.check(bearer("t"), "read"), status.UNAVAILABLE, /does not answer/);
  assert.ok(performance.now() - started < 4500, "below the CLI's deadline");
  answer = good;
  await until("it is answered again", () => {
    a.sleep(1000);
    return a.check(bearer("t"), "read").then(
      () => true,
      () => false,
    );
  });
});

test("tokens that Kubernetes refuses do not open the breaker for others", async (t) => {
  const a = auth((path, body) => {
    if (body.spec.token?.startsWith("bad")) throw statusError("POST", path, 400, "bad token");
    return good(path, body);
  });
  t.after(() => a.close());
  for (let i = 0; i < 20; i++) await assert.rejects(a.check(bearer(`bad${i}`), "read", `10.0.1.${i}:1`));
  await a.check(bearer("good"), "read");
});

test("the error names the right that the server's own ServiceAccount lacks", async (t) => {
  const a = auth((path) => Promise.reject(statusError("POST", path, 403, "")));
  t.after(() => a.close());
  await rejectsWith(a.check(bearer("t"), "read"), status.UNAVAILABLE, /needs "create" on tokenreviews/);
});

test("a flood of unknown tokens causes a bounded number of reviews; one token many times causes one", async (t) => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const a = auth(async (path, body) => {
    await gate;
    return good(path, body);
  });
  t.after(() => a.close());
  const hammer = Array.from({ length: 100 }, (_, i) =>
    a.check(bearer(`h${i}`), "read", "[fd00::1]:1").catch((error) => error),
  );
  await nextTurn();
  assert.equal(a.calls.length, 4, "of one client");
  const same = Array.from({ length: 50 }, () => a.check(bearer("t"), "read"));
  const flood = Array.from({ length: 500 }, (_, i) =>
    a.check(bearer(`x${i}`), "read", `10.1.0.${i}:1`).catch((error) => error),
  );
  await nextTurn();
  assert.equal(a.calls.length, 32);
  release();
  await Promise.all(same);
  const refused = (await Promise.all(flood)).filter((error) => error?.data?.status === status.RESOURCE_EXHAUSTED);
  assert.equal(refused.length, 500 - 27);
  await Promise.all(hammer);
});

/** A slow Kubernetes API that knows one operator and answers one call after the other. */
function busyApi(): Answer {
  return async (path, body) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const known = body.spec.token === undefined || body.spec.token.startsWith("operator");
    if (path.endsWith("tokenreviews")) return known ? yes : { status: { authenticated: false } };
    return { status: { allowed: true } };
  };
}

test("a pod that floods with invalid tokens does not delay an operator: each call is answered, and reviews stay few", async (t) => {
  const a = auth(busyApi());
  t.after(() => a.close());
  let hammering = true;
  t.after(() => {
    hammering = false;
  });
  let junk = 0;
  const pod = (async () => {
    for (; hammering; await nextTurn()) {
      for (let i = 0; i < 50; i++)
        a.check(bearer(`junk${junk++}`), "read", `10.0.0.66:${1024 + i}`).catch(() => undefined);
    }
  })();
  for (let i = 0; i < 20; i++) {
    const started = performance.now();
    await a.check(bearer(`operator${i}`), "read", `192.0.2.${i}:5000`);
    assert.ok(performance.now() - started < 2000, `${performance.now() - started} ms`);
  }
  hammering = false;
  await pod;
  assert.ok(junk > 1000, `${junk}`);
  assert.ok(a.calls.length <= 20 * 2 + 20, `${a.calls.length} reviews: the pod has twenty, and two a second`);
});

test("an accepted token keeps working from an address whose limit other clients use up", async (t) => {
  const a = auth(busyApi());
  t.after(() => a.close());
  await a.check(bearer("operator"), "read", "10.0.0.66:1");
  for (let i = 0; i < 100; i++) await assert.rejects(a.check(bearer(`junk${i}`), "read", "10.0.0.66:2"));
  a.sleep(10_001);
  const calls = a.calls.length;
  await a.check(bearer("operator"), "read", "10.0.0.66:3");
  assert.equal(a.calls.length, calls + 2, "reviewed again");
});

test("an accepted token is not cached beyond its expiry", async (t) => {
  const a = auth(good);
  t.after(() => a.close());
  const claims = { exp: Math.floor(systemClock.wallMicros() / 1e6) - 1 };
  const token = `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;
  await a.check(bearer(token), "read");
  await a.check(bearer(token), "read");
  assert.equal(a.calls.length, 4, "expired by now: reviewed each time");
});
