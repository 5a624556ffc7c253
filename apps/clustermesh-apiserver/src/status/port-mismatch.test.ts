import assert from "node:assert/strict";
import { test } from "node:test";
import { Service } from "@isthmus/proto";
import { mismatch } from "./port-mismatch.js";

const service = (name: string, protocol = 6, shared = true): Service =>
  Service.fromPartial({ uid: "u1", shared, ports: [{ name, protocol, port: 80 }] });

test("ports are matched by name and protocol, numbers may differ; a Service that is not shared is no mismatch", () => {
  const local = service("http");
  const elsewhere = { ...service("http"), ports: [{ name: "http", protocol: 6, port: 8080 }] };
  assert.equal(mismatch("east", local, elsewhere), undefined);
  assert.equal(mismatch("east", local, service("web", 6, false)), undefined);
  assert.equal(
    mismatch("east", local, service("web", 17)),
    'Cannot use cluster "east" for port "http"/TCP: its Service has "web"/UDP. Give the ports the same names and protocols in both clusters',
  );
  assert.match(mismatch("east", local, service("http", 17)) ?? "", /for port "http"\/TCP: its Service has "http"\/UDP/);
});

test("a port without a name matches only a port without a name, and is shown as such", () => {
  assert.equal(mismatch("east", service(""), service("")), undefined);
  assert.match(
    mismatch("east", service(""), service("http")) ?? "",
    /for port \(no name\)\/TCP: its Service has "http"\/TCP/,
  );
});

test("of several ports those without a counterpart are named", () => {
  const local = { ports: [...service("http").ports, ...service("dns", 17).ports, ...service("admin").ports] };
  assert.match(
    mismatch("east", local, service("http")) ?? "",
    /for port "dns"\/UDP, "admin"\/TCP: its Service has "http"/,
  );
});

test("a peer's port names cannot push the rest of the sentence out of an Event", () => {
  const name = `\u001b[2J\u202e${"x".repeat(1 << 20)}`;
  const remote = { ...service("web"), ports: Array.from({ length: 1000 }, () => ({ name, protocol: 6, port: 80 })) };
  const sentence = mismatch("west", service("http"), remote) ?? "";
  assert.match(
    sentence,
    /^Cannot use cluster "west" for port "http"\/TCP: its Service has "\\u\{1b\}\[2J\\u\{202e\}x+…"\/TCP/,
  );
  assert.match(sentence, / and 995 more\. Give the ports the same names and protocols in both clusters$/);
  assert.ok(sentence.length < 1000);
});
